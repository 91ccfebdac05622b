// Keeps up with a bucket that another process may have open: checkpoint, table version, and the log behind it.
// Operation: refresh() takes down how far the log reaches, then reads the checkpoint where it was replaced, then the new
//            frames up to there. In this order a frame is never read under a schema older than its own: an explicit change is
//            in the checkpoint before any record of the new form is in the log.
// Guarantee: a state is the bucket at one moment, not before the refresh began. Changes nothing.
// Failure:   what fails is tried again from the checkpoint on as long as that is replaced meanwhile: the writer has removed
//            what it no longer needs. What fails with the checkpoint as it was is an error.
// Threads:   thread-compatible; a state is immutable.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/file_system.h"
#include "engine/checkpoint.h"
#include "engine/read_plan.h"
#include "table/table_inspection.h"
#include "wal/log_follower.h"

namespace persisting {

struct ViewState {
  std::optional<FileState> checkpoint_file;
  std::shared_ptr<const Checkpoint> checkpoint;
  std::shared_ptr<const InspectedVersion> table;  // null: there is none yet
  std::shared_ptr<ReadAhead> ahead;               // of all states of a follower
  SchemaPtr schema;                               // of every record below
  std::vector<TailSlice> tail;                    // from checkpoint->flushed_to on
  std::uint64_t tail_bytes = 0;
  std::uint64_t end = 0;  // of all records

  ReadPlan plan(std::uint64_t limit, std::uint64_t offset) const;
};

class BucketFollower {
 public:
  BucketFollower(FileSystem& file_system, std::unique_ptr<TableInspection> table,
                 std::string folder, std::optional<std::uint64_t> bucket_identity);

  Result<std::shared_ptr<const ViewState>> refresh();
  Result<wal::LogFollower::Size> log_size() const { return log_.size(); }
  // Versions of the table that are kept.
  Result<std::uint64_t> count_versions();

 private:
  Status advance();
  Status load_checkpoint();
  void publish();

  FileSystem& file_system_;
  const std::unique_ptr<TableInspection> table_;
  const std::string folder_;

  bool must_reload_ = true;
  std::optional<FileState> checkpoint_file_;  // when the checkpoint was last looked at
  wal::LogExtent extent_;                     // up to which the log was read
  std::shared_ptr<const Checkpoint> checkpoint_;
  std::shared_ptr<const InspectedVersion> version_;
  const std::shared_ptr<ReadAhead> ahead_ = std::make_shared<ReadAhead>();
  wal::LogFollower log_;
  SchemaPtr schema_;
  Tail tail_{0};
  std::uint64_t tail_bytes_ = 0;
  std::shared_ptr<const ViewState> state_;
};

}  // namespace persisting
