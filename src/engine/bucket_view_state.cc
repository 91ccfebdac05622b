#include "engine/bucket_view_state.h"

#include <algorithm>
#include <chrono>
#include <thread>
#include <utility>

#include "engine/log_replay.h"

namespace persisting {
namespace {

// How often a failure is seen with the same checkpoint before it counts. A bucket that is being opened loses an empty
// segment without a new checkpoint.
constexpr int tries = 3;
constexpr std::chrono::milliseconds pause{5};
// How long a writer is followed that replaces its checkpoint faster than it can be read.
constexpr std::chrono::seconds patience{10};

}  // namespace

ReadPlan ViewState::plan(std::uint64_t limit, std::uint64_t offset) const {
  ReadPlan plan;
  plan.schema = schema;
  if (offset >= end) return plan;
  const std::uint64_t read_end = offset + std::min(limit, end - offset);
  const std::uint64_t flushed_to = checkpoint->flushed_to;
  if (offset < flushed_to) {
    plan.snapshot = table->snapshot;
    plan.ahead = ahead;
    plan.table_first = offset;
    plan.table_count = std::min(read_end, flushed_to) - offset;
  }
  for (const TailSlice& slice : tail) {
    const std::uint64_t first = std::max(offset, slice.first_offset());
    const std::uint64_t last = std::min(read_end, slice.first_offset() + slice.count);
    if (first >= last) continue;
    plan.tail.push_back({slice.chunk, first - slice.chunk->first_offset(), last - first});
  }
  return plan;
}

BucketFollower::BucketFollower(FileSystem& file_system, std::unique_ptr<TableInspection> table,
                               std::string folder, std::optional<std::uint64_t> bucket_identity)
    : file_system_(file_system),
      table_(std::move(table)),
      folder_(std::move(folder)),
      log_(file_system, folder_ + "/wal", bucket_identity) {}

Result<std::shared_ptr<const ViewState>> BucketFollower::refresh() {
  const auto deadline = std::chrono::steady_clock::now() + patience;
  int failures = 0;  // with the same checkpoint
  while (true) {
    const std::optional<FileState> before = checkpoint_file_;
    Status advanced = advance();
    if (advanced) return state_;
    must_reload_ = true;
    extent_ = {};
    if (advanced.error().code == ErrorCode::kUnsupported) return std::move(advanced).error();
    failures = checkpoint_file_ == before ? failures + 1 : 1;
    if (failures == tries || std::chrono::steady_clock::now() > deadline)
      return std::move(advanced).error();
    std::this_thread::sleep_for(pause);
  }
}

Status BucketFollower::advance() {
  PERSISTING_ASSIGN_OR_RETURN(wal::LogExtent extent, log_.look());
  PERSISTING_ASSIGN_OR_RETURN(const std::optional<FileState> file,
                              file_system_.file_state(folder_ + "/CHECKPOINT"));
  const bool is_new = must_reload_ || file != checkpoint_file_;
  if (!is_new && !extent.may_exceed(extent_)) return ok_status();
  checkpoint_file_ = file;
  if (is_new) {
    // Until all of it has been read nothing of it counts.
    const bool restarts = std::exchange(must_reload_, true);
    PERSISTING_RETURN_IF_ERROR(load_checkpoint());
    schema_ = std::make_shared<const Schema>(checkpoint_->schema);
    tail_ = Tail(checkpoint_->flushed_to);
    tail_bytes_ = 0;
    restarts ? log_.restart(checkpoint_->flushed_to) : log_.seek(checkpoint_->flushed_to);
  }
  const std::uint64_t flushed_to = checkpoint_->flushed_to;
  const ReplayTarget target{flushed_to, flushed_to, &schema_, &tail_, &tail_bytes_, nullptr};
  PERSISTING_RETURN_IF_ERROR(log_.read(
      extent, [&target](const ReplayedFrame& frame) { return replay_frame(frame, target); }));
  must_reload_ = false;
  extent_ = std::move(extent);
  publish();
  return ok_status();
}

Status BucketFollower::load_checkpoint() {
  PERSISTING_ASSIGN_OR_RETURN(std::optional<Checkpoint> read,
                              read_checkpoint(file_system_, folder_));
  auto checkpoint = std::make_shared<Checkpoint>();  // of a bucket that has none yet
  if (read) *checkpoint = *std::move(read);
  if (checkpoint->table.version == 0) {
    version_ = nullptr;
  } else if (version_ == nullptr || checkpoint->table != checkpoint_->table) {
    PERSISTING_ASSIGN_OR_RETURN(InspectedVersion version, table_->open(checkpoint->table.version));
    PERSISTING_RETURN_IF_ERROR(check_has_flushed_rows(folder_, *checkpoint, *version.snapshot));
    version_ = std::make_shared<const InspectedVersion>(std::move(version));
  }
  checkpoint_ = std::move(checkpoint);
  return ok_status();
}

void BucketFollower::publish() {
  auto state = std::make_shared<ViewState>();
  state->checkpoint_file = checkpoint_file_;
  state->checkpoint = checkpoint_;
  state->table = version_;
  state->ahead = ahead_;
  state->schema = schema_;
  state->end = tail_.next_offset();
  state->tail = tail_.slice(checkpoint_->flushed_to, state->end);
  state->tail_bytes = tail_bytes_;
  state_ = std::move(state);
}

Result<std::uint64_t> BucketFollower::count_versions() {
  PERSISTING_ASSIGN_OR_RETURN(const std::vector<std::uint64_t> versions, table_->versions());
  return static_cast<std::uint64_t>(versions.size());
}

}  // namespace persisting
