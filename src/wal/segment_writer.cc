#include "wal/segment_writer.h"

#include <utility>

namespace persisting::wal {

SegmentWriter::SegmentWriter(FileSystem& file_system, const WalOptions& options,
                             std::uint64_t epoch, RecoveredLog recovered)
    : file_system_(file_system),
      options_(options),
      epoch_(epoch),
      sealed_(recovered.segments.begin(), recovered.segments.end()),
      last_(recovered.last) {
  for (const SealedSegment& segment : sealed_) size_bytes_ += segment.bytes;
}

Status SegmentWriter::append(const std::vector<EncodedFrame>& frames, std::uint64_t first_offset,
                             std::uint64_t end_offset) {
  if (active_ != nullptr && active_->bytes >= options_.segment_bytes) {
    // The next segment must not become durable before this one.
    PERSISTING_RETURN_IF_ERROR(sync());
    seal_active();
  }
  if (active_ == nullptr) PERSISTING_RETURN_IF_ERROR(open_segment(first_offset));
  PERSISTING_RETURN_IF_ERROR(write(frames));
  active_->end_offset = end_offset;
  last_ = {active_->first_offset, end_offset, frames.back().checksum};
  return ok_status();
}

Status SegmentWriter::open_segment(std::uint64_t first_offset) {
  auto active = std::make_shared<Active>();
  active->path = options_.folder + "/" + segment_name(first_offset, epoch_);
  active->first_offset = active->end_offset = first_offset;
  PERSISTING_ASSIGN_OR_RETURN(active->file, file_system_.open_append(active->path));
  active_ = std::move(active);
  {
    const std::lock_guard lock(unsynced_mutex_);
    folder_unsynced_ = true;
  }
  const std::string header =
      encode_segment_header({options_.bucket_identity, epoch_, first_offset, last_});
  PERSISTING_RETURN_IF_ERROR(active_->file->append({header}));
  active_->bytes = header.size();
  size_bytes_ += header.size();
  return ok_status();
}

Status SegmentWriter::write(const std::vector<EncodedFrame>& frames) {
  std::vector<std::string_view> pieces;
  std::uint64_t bytes = 0;
  for (const EncodedFrame& frame : frames) {
    frame.append_to(&pieces);
    bytes += frame.file_bytes();
  }
  active_->bytes_before_append = active_->bytes;
  if (Status written = active_->file->append(pieces); !written) {
    (void)active_->file->truncate(active_->bytes);  // the log is poisoned all the same
    return written;
  }
  {
    // After the write: a sync that began during it does not cover it, and leaves it to the next.
    const std::lock_guard lock(unsynced_mutex_);
    unsynced_ = active_;
  }
  active_->bytes += bytes;
  active_->has_frames = true;
  size_bytes_ += bytes;
  return ok_status();
}

Status SegmentWriter::sync() {
  const std::lock_guard syncing(syncing_);
  if (sync_failure_) return *sync_failure_;
  Status synced = sync_once();
  if (!synced) sync_failure_ = synced.error();
  return synced;
}

Status SegmentWriter::sync_once() {
  std::shared_ptr<Active> unsynced;
  bool folder_unsynced = false;
  {
    const std::lock_guard lock(unsynced_mutex_);
    unsynced = std::exchange(unsynced_, nullptr);
    folder_unsynced = std::exchange(folder_unsynced_, false);
  }
  if (unsynced != nullptr) PERSISTING_RETURN_IF_ERROR(unsynced->file->sync());
  if (folder_unsynced) PERSISTING_RETURN_IF_ERROR(file_system_.sync_folder(options_.folder));
  return ok_status();
}

std::optional<Error> SegmentWriter::sync_failure() {
  const std::lock_guard syncing(syncing_);
  return sync_failure_;
}

void SegmentWriter::take_back() {
  (void)active_->file->truncate(active_->bytes_before_append);  // the log is poisoned all the same
}

void SegmentWriter::seal_active() {
  sealed_.push_back({active_->path, active_->end_offset, active_->bytes});
  active_.reset();
}

Status SegmentWriter::retire(std::uint64_t flushed_to) {
  if (active_ != nullptr && active_->has_frames && active_->end_offset <= flushed_to) {
    PERSISTING_RETURN_IF_ERROR(sync());
    seal_active();
  }
  bool removed = false;
  while (!sealed_.empty() && sealed_.front().end_offset <= flushed_to) {
    PERSISTING_RETURN_IF_ERROR(file_system_.remove_file(sealed_.front().path));
    size_bytes_ -= sealed_.front().bytes;
    sealed_.pop_front();
    removed = true;
  }
  if (!removed) return ok_status();
  {
    const std::lock_guard lock(unsynced_mutex_);
    folder_unsynced_ = true;
  }
  return sync();
}

Status SegmentWriter::finish() {
  // The mark says that everything before it is durable.
  PERSISTING_RETURN_IF_ERROR(sync());
  if (active_ != nullptr && active_->has_frames)
    PERSISTING_RETURN_IF_ERROR(write(
        {encode_clean_end(active_->end_offset, frame_seed(options_.bucket_identity, epoch_))}));
  PERSISTING_RETURN_IF_ERROR(sync());
  active_.reset();
  return ok_status();
}

}  // namespace persisting::wal
