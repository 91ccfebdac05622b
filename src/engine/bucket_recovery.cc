// BucketEngine's opening: what a crash left, taken back into memory and made whole.
#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "persisting/log.h"

#include "engine/bucket_engine.h"
#include "engine/table_rows.h"
#include "schema/admission.h"
#include "schema/normalizer.h"

namespace persisting {

Status BucketEngine::recover() {
  if (!options_.has_table) return ok_status();
  FileSystem& file_system = *environment_.file_system;
  PERSISTING_RETURN_IF_ERROR(file_system.create_folders(options_.folder));
  PERSISTING_RETURN_IF_ERROR(check_storage());
  PERSISTING_ASSIGN_OR_RETURN(lock_, file_system.lock_file(options_.folder + "/LOCK"));
  PERSISTING_ASSIGN_OR_RETURN(
      const BucketIdentity identity,
      open_identity(file_system, options_.folder, options_.bucket_id, options_.topic));
  PERSISTING_RETURN_IF_ERROR(load(identity.id, NewerVersions::kAccept));
  if (!table_agrees_with_log()) {
    // The log has everything since the checkpoint: that version is not needed.
    PERSISTING_RETURN_IF_ERROR(load(identity.id, NewerVersions::kSetAside));
  }
  claimed_ = RecordBatch();
  PERSISTING_RETURN_IF_ERROR(
      table_->begin_epoch(wal_ != nullptr ? wal_->epoch() : table_->epoch() + 1));
  if (!options_.has_wal && wal_ != nullptr) return drain_log();
  const std::lock_guard lock(mutex_);
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
  claimed_ = RecordBatch();
  PERSISTING_ASSIGN_OR_RETURN(table_, BucketTable::open(*environment_.file_system, options_.folder,
                                                        environment_.open_table, newer));
  schema_ = table_->checkpoint_schema();
  flushed_to_ = table_->flushed_to();
  snapshot_ = table_->snapshot();
  tail_ = Tail(flushed_to_);
  PERSISTING_RETURN_IF_ERROR(open_log(identity));
  const bool log_reaches_back = replayed_from_ && *replayed_from_ <= table_->checkpointed_to();
  PERSISTING_ASSIGN_OR_RETURN(schema_, table_->complete_schema(schema_, log_reaches_back));
  visible_end_ = tail_.next_offset();
  visible_schema_ = schema_;
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
    log(LogLevel::kWarning, options_.folder + ": version " + std::to_string(snapshot_->version()) +
                                " of the table does not hold the records of the log from offset " +
                                std::to_string(first) + " on; it is set aside");
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
  wal_options.segment_bytes = options_.max_wal_bytes;
  wal_options.compression = options_.compression;
  PERSISTING_ASSIGN_OR_RETURN(
      wal_, Wal::open(
                *environment_.file_system, environment_.executors->commit, wal_options, flushed_to_,
                [this](const ReplayedFrame& frame) { return replay(frame); },
                [weak = weak_from_this()](std::uint64_t end_offset, const Status& status) {
                  if (const auto engine = weak.lock()) engine->on_committed(end_offset, status);
                },
                &recovery_));
  if (recovery_.replayed_records > 0) {
    log(LogLevel::kInfo, options_.folder + ": recovered offsets up to " +
                             std::to_string(recovery_.next_offset) + ", of which the table holds " +
                             std::to_string(flushed_to_));
  }
  return ok_status();
}

// Takes one frame of the log back into schema and tail. Frames below flushed_to_ only tell what the schema was.
Status BucketEngine::replay(const ReplayedFrame& frame) {
  if (!replayed_from_) replayed_from_ = frame.first_offset;
  RecordBatch all;
  RecordBatch unflushed;
  std::size_t position = 0;
  for (std::size_t i = 0; i < frame.record_bytes.size(); ++i) {
    const std::string_view record = frame.records.substr(position, frame.record_bytes[i]);
    position += frame.record_bytes[i];
    all.add_encoded(record);
    const std::uint64_t offset = frame.first_offset + i;
    if (offset >= flushed_to_) {
      unflushed.add_encoded(record);
    } else if (offset >= table_->checkpointed_to()) {
      claimed_.add_encoded(record);
    }
  }
  Result<SchemaPtr> admitted = admit(schema_, all, frame.first_offset);
  if (!admitted) {
    return Error{ErrorCode::kCorruption, Component::kWal,
                 "the log holds records that its own schema refuses: " + admitted.error().message};
  }
  schema_ = std::move(admitted).value();
  if (unflushed.empty()) return ok_status();
  tail_.append(unflushed, frame.timestamp_us);
  unflushed_bytes_ += unflushed.byte_size();
  return ok_status();
}

}  // namespace persisting
