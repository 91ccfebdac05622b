// BucketEngine's opening: what a crash left, taken back into memory and made whole.
#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "base/clocks.h"
#include "base/log_context.h"
#include "engine/bucket_engine.h"
#include "engine/dead_letters.h"
#include "engine/log_replay.h"
#include "engine/table_rows.h"
#include "schema/normalizer.h"

namespace persisting {

Status BucketEngine::recover() {
  if (!options_.has_table) {
    begin_metering(options_.topic, 0);
    if (options_.initial_schema != nullptr) schema_ = visible_schema_ = options_.initial_schema;
    PERSISTING_RETURN_IF_ERROR(open_dead_letters());
    return apply_declaration();
  }
  const std::uint64_t begun_ns = monotonic_ns();
  const std::int64_t begun_us = environment_.now_us();
  FileSystem& file_system = *environment_.file_system;
  PERSISTING_RETURN_IF_ERROR(file_system.create_folders(options_.folder));
  PERSISTING_RETURN_IF_ERROR(check_storage());
  PERSISTING_ASSIGN_OR_RETURN(lock_, file_system.lock_file(options_.folder + "/LOCK"));
  PERSISTING_ASSIGN_OR_RETURN(
      const BucketIdentity identity,
      open_identity(file_system, options_.folder, options_.bucket_id, options_.topic));
  begin_metering(identity.topic, identity.id);
  const LogContext context(metered_->description().topic, options_.bucket_id);
  Status loaded = load(identity.id, NewerVersions::kAccept);
  if (loaded ? !table_agrees_with_log() : loaded.error().code == ErrorCode::kSchema) {
    // Everything acknowledged since the checkpoint is in the log: that version is not needed. A crash between a change of
    // types and its checkpoint leaves one whose columns do not go with the old types.
    loaded = load(identity.id, NewerVersions::kSetAside);
  }
  PERSISTING_RETURN_IF_ERROR(loaded);
  claimed_ = RecordBatch();
  PERSISTING_RETURN_IF_ERROR(
      table_->begin_epoch(wal_ != nullptr ? wal_->epoch() : table_->epoch() + 1));
  PERSISTING_RETURN_IF_ERROR(open_dead_letters());
  if (!options_.has_wal && wal_ != nullptr) PERSISTING_RETURN_IF_ERROR(drain_log());
  metrics().recovered_records.add(visible_end_ - flushed_to_);
  PERSISTING_RETURN_IF_ERROR(apply_declaration());
  metrics().recovery_ns.set(monotonic_ns() - begun_ns);
  publish_table();
  tell_recovery(begun_us);
  const std::lock_guard lock(mutex_);
  publish_buffer_locked();
  publish_maintenance_locked();
  if (wants_flush_locked()) schedule_flush_locked();
  arm_flush_timer_locked();
  return ok_status();
}

Status BucketEngine::check_storage() const {
  if (options_.allow_network_storage) return ok_status();
  PERSISTING_ASSIGN_OR_RETURN(const std::string network,
                              environment_.file_system->network_file_system(options_.folder));
  if (network.empty()) return ok_status();
  return make_error(ErrorCode::kUnsupported,
                    options_.folder + " is on a network file system (" + network +
                        "), whose locks and syncs cannot be relied on; use a local disk, or open "
                        "with allow_network_storage=True");
}

// Reads table and log into memory; the second time from the beginning.
Status BucketEngine::load(std::uint64_t identity, NewerVersions newer) {
  wal_.reset();
  replayed_from_.reset();
  unflushed_bytes_ = 0;
  oldest_unflushed_us_ = 0;
  claimed_ = RecordBatch();
  PERSISTING_ASSIGN_OR_RETURN(table_, BucketTable::open(*environment_.file_system, options_.folder,
                                                        environment_.open_table, newer));
  schema_ = table_->checkpoint_schema();
  flushed_to_ = table_->flushed_to();
  snapshot_ = table_->snapshot();
  tail_ = Tail(flushed_to_);
  PERSISTING_RETURN_IF_ERROR(open_log(identity));
  if (options_.initial_schema != nullptr && table_->is_new() && !replayed_from_)
    schema_ = options_.initial_schema;
  const bool log_reaches_back = replayed_from_ && *replayed_from_ <= table_->checkpointed_to();
  PERSISTING_ASSIGN_OR_RETURN(schema_, table_->complete_schema(schema_, log_reaches_back));
  visible_end_ = tail_.next_offset();
  visible_schema_ = schema_;
  const std::vector<TailSlice> unflushed = tail_.slice(flushed_to_, visible_end_);
  if (!unflushed.empty()) oldest_unflushed_us_ = unflushed.front().chunk->timestamp_us(0);
  return ok_status();
}

// A version that no checkpoint names may be torn where its ends do not show it. What the log still has of its rows
// tells.
bool BucketEngine::table_agrees_with_log() const {
  if (claimed_.empty()) return true;
  const std::uint64_t first = flushed_to_ - claimed_.size();
  const Result<RecordBatch> rows = read_rows(*snapshot_, first, claimed_.size(), *schema_);
  RecordBatch expected;
  for (std::size_t i = 0; i < claimed_.size(); ++i) normalize(*schema_, claimed_[i], &expected);
  const bool agrees = rows && rows->bytes() == expected.bytes() &&
                      std::ranges::equal(rows->ends(), expected.ends());
  if (!agrees) {
    const std::uint64_t version = snapshot_->version();
    const std::string reason = "version " + std::to_string(version) +
                               " of the table does not hold the records of the log from offset " +
                               std::to_string(first) + " on; it is set aside";
    tell(LogLevel::kWarning, "quarantine", reason,
         {{"version", static_cast<std::int64_t>(version)}, {"reason", reason}});
  }
  return agrees;
}

// Opens the log; also where the options want none but an earlier opening left one behind, whose records count.
Status BucketEngine::open_log(std::uint64_t identity) {
  const std::string folder = options_.folder + "/wal";
  if (!options_.has_wal) {
    PERSISTING_ASSIGN_OR_RETURN(const std::vector<std::string> left,
                                environment_.file_system->list_folder(folder));
    if (left.empty()) return ok_status();
  }
  WalOptions wal_options;
  wal_options.folder = folder;
  wal_options.bucket_identity = identity;
  wal_options.minimum_epoch = table_->epoch();
  wal_options.sync_interval = options_.wal_sync_interval;
  wal_options.segment_bytes = std::min(options_.max_wal_bytes, Wal::max_segment_bytes);
  wal_options.compression = options_.compression;
  wal_options.metrics = {metered_, &metrics().wal};
  PERSISTING_ASSIGN_OR_RETURN(
      wal_, Wal::open(
                *environment_.file_system, environment_.executors->commit, wal_options, flushed_to_,
                [this](const ReplayedFrame& frame) { return replay(frame); },
                [weak = weak_from_this()](std::uint64_t end_offset, const Status& status) {
                  if (const auto engine = weak.lock()) engine->on_committed(end_offset, status);
                },
                &recovery_));
  return ok_status();
}

Status BucketEngine::replay(const ReplayedFrame& frame) {
  if (!replayed_from_) replayed_from_ = frame.first_offset;
  return replay_frame(frame, {table_->checkpointed_to(), flushed_to_, &schema_, &tail_,
                              &unflushed_bytes_, &claimed_});
}

// Also where the options want none but an earlier opening left some.
Status BucketEngine::open_dead_letters() {
  const EngineOptions options = dead_letter_options(options_);
  bool wanted = options_.admission.on_conflict == ConflictPolicy::kDeadLetter;
  if (!wanted && options_.has_table) {
    PERSISTING_ASSIGN_OR_RETURN(wanted, environment_.file_system->exists(options.folder));
  }
  if (!wanted) return ok_status();
  PERSISTING_ASSIGN_OR_RETURN(dead_letters_, open(options, environment_));
  return ok_status();
}

}  // namespace persisting
