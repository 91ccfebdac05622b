// What lies in a bucket's folder, whole or not: the common ground of verify and repair.
// Guarantee: changes nothing but the lock file, which it holds as long as it lives.
// Threads:   thread-compatible.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "persisting/record.h"
#include "persisting/verify.h"

#include "base/file_system.h"
#include "engine/bucket_identity.h"
#include "engine/checkpoint.h"
#include "table/default_format.h"
#include "wal/segment_scan.h"

namespace persisting {

// The table of the bucket in `folder`; kUnsupported without a Lance engine.
Result<std::unique_ptr<TableInspection>> inspect_table(const TableFormat& format,
                                                       const std::string& folder);

// kInvalidArgument where the folder is no bucket.
Status check_is_bucket(FileSystem& file_system, const std::string& folder);

class BucketInspection {
 public:
  static Result<std::unique_ptr<BucketInspection>> open(FileSystem& file_system,
                                                        const TableFormat& format,
                                                        const std::string& folder);

  const VerifyReport& report() const { return report_; }
  const std::optional<BucketIdentity>& identity() const { return identity_; }
  const std::vector<wal::SegmentScan>& log() const { return log_; }
  // Where the CHECKPOINT is whole.
  const std::optional<Checkpoint>& checkpoint() const { return checkpoint_; }
  // Rows of the version that can be read: the checkpoint's, or where that is damaged the newest that opens.
  std::uint64_t table_rows() const;
  std::uint64_t end_offset() const;  // beyond every record that there is a trace of

  // Gives the table's whole rows in order: their first offset, the records, their times. A row that cannot be read is left
  // out, and reported as damage.
  using Consumer = std::function<Status(std::uint64_t first, const RecordBatch& records,
                                        const std::vector<std::int64_t>& timestamps)>;
  Status read_table(const Consumer& consume);

  void count_records(std::uint64_t records) { report_.records += records; }
  void add_damage(std::string file, std::string message,
                  std::optional<OffsetRange> at_stake = std::nullopt,
                  std::optional<std::uint64_t> byte = std::nullopt);

 private:
  BucketInspection(FileSystem& file_system, std::string folder);

  Status lock();
  Status read_sealed_files();
  Status inspect_table(const TableFormat& format);
  Status check_manifest();
  Status open_readable_version();
  Status check_data_files();
  Status inspect_log();
  Status judge_log();
  Result<FileDigest> digest(const std::string& path);
  void add_unfinished(std::string file, std::string message,
                      std::optional<std::uint64_t> byte = std::nullopt);
  std::vector<OffsetRange> whole_rows() const;
  Status read_rows(const Schema& schema, const OffsetRange& rows, const Consumer& consume);

  FileSystem& file_system_;
  VerifyReport report_;
  std::unique_ptr<FileLock> lock_;
  std::optional<BucketIdentity> identity_;
  std::optional<Checkpoint> checkpoint_;
  std::unique_ptr<TableInspection> table_;
  bool manifest_is_whole_ = false;
  std::optional<InspectedVersion> version_;
  std::vector<OffsetRange> damaged_rows_;
  std::vector<wal::SegmentScan> log_;
};

}  // namespace persisting
