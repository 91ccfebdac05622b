#include "wal/segment_writer.h"

#include <algorithm>
#include <utility>

#include "base/clocks.h"

namespace persisting::wal {
namespace {

// Zeros are written twice, as zeros and as frames: that pays where rounds are small against them.
constexpr std::uint64_t smallest_room = 16 << 10;
constexpr std::uint64_t largest_synced_room = 256 << 10;
constexpr std::uint64_t largest_synced_round = 16 << 10;
// Without a sync a round the kernel usually has them replaced before it writes anything.
constexpr std::uint64_t largest_mapped_room = 4 << 20;
constexpr std::uint64_t largest_mapped_round = 256 << 10;

}  // namespace

SegmentWriter::SegmentWriter(FileSystem& file_system, const WalOptions& options,
                             std::uint64_t epoch, RecoveredLog recovered)
    : file_system_(file_system),
      options_(options),
      epoch_(epoch),
      sealed_(recovered.segments.begin(), recovered.segments.end()),
      last_(recovered.last) {
  std::uint64_t bytes = 0;
  for (const SealedSegment& segment : sealed_) bytes += segment.bytes;
  options_.metrics->size_bytes.set(bytes);
}

Status SegmentWriter::append(const std::vector<EncodedFrame>& frames, std::uint64_t first_offset,
                             std::uint64_t end_offset) {
  if (active_ != nullptr && active_->bytes >= options_.segment_bytes) {
    // The next segment must not become durable before this one.
    PERSISTING_RETURN_IF_ERROR(cut_room());
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
    unsynced_ = active_;
    folder_unsynced_ = true;
  }
  const std::string header =
      encode_segment_header({options_.bucket_identity, epoch_, first_offset, last_});
  PERSISTING_RETURN_IF_ERROR(active_->file->append({header}));
  active_->bytes = header.size();
  // A codec makes frames whose size is not known before; they are written the other way.
  if (options_.sync_interval.count() > 0 && options_.compression == Compression::kNone)
    active_->file->map(options_.segment_bytes + largest_mapped_room);
  add_bytes(static_cast<std::int64_t>(header.size()));
  return ok_status();
}

Status SegmentWriter::write(const std::vector<EncodedFrame>& frames) {
  pieces_.clear();
  std::uint64_t bytes = 0;
  for (const EncodedFrame& frame : frames) {
    frame.append_to(&pieces_);
    bytes += frame.file_bytes();
  }
  active_->bytes_before_append = active_->bytes;
  make_room(bytes);
  if (Status written = active_->file->append(pieces_); !written) {
    (void)active_->file->truncate(active_->bytes);  // the log is poisoned all the same
    return written;
  }
  note_append(bytes);
  return ok_status();
}

void SegmentWriter::note_append(std::uint64_t bytes) {
  // After the write: a sync that began during it does not cover it, and leaves it to the next.
  active_->is_unsynced.store(true, std::memory_order_release);
  active_->bytes += bytes;
  active_->has_frames = true;
  average_round_bytes_ = (average_round_bytes_ * 7 + bytes) / 8;
  add_bytes(static_cast<std::int64_t>(bytes));
}

// A sync that finds nothing but new contents is cheaper than one that finds a new size and new blocks; and where puts have
// used up the mapped room before more was made in the background, the next ones find some.
void SegmentWriter::make_room(std::uint64_t round_bytes) {
  const bool syncs = options_.sync_interval.count() == 0;
  if (!syncs && !active_->file->is_mapped()) return;
  const std::uint64_t largest_round = syncs ? largest_synced_round : largest_mapped_round;
  if (std::max(round_bytes, average_round_bytes_) > largest_round) return;
  if (active_->file->room() >= round_bytes) return;
  // Little for a bucket that gets little. Without room, the append tells what is wrong.
  (void)active_->file->reserve(std::clamp(active_->bytes, smallest_room, largest_synced_room));
}

bool SegmentWriter::has_room(std::uint64_t frame_bytes) const {
  return active_ != nullptr && active_->bytes < options_.segment_bytes &&
         active_->file->is_mapped() && active_->file->room() >= frame_bytes;
}

void SegmentWriter::append_in_room(const SingleRecordFrame& frame, std::uint64_t end_offset) {
  active_->bytes_before_append = active_->bytes;
  active_->file->append_in_room(frame.bytes());
  note_append(frame.bytes().size());
  active_->end_offset = end_offset;
  last_ = {active_->first_offset, end_offset, frame.checksum()};
}

std::function<void()> SegmentWriter::more_room() {
  if (active_ == nullptr || !active_->file->is_mapped()) return nullptr;
  const std::uint64_t wanted = std::clamp(active_->bytes, smallest_room, largest_mapped_room);
  if (active_->file->room() > wanted / 2 || average_round_bytes_ > largest_mapped_round ||
      active_->bytes >= options_.segment_bytes) {
    return nullptr;
  }
  // Without room, appends go the other way.
  return [active = active_, wanted] { (void)active->file->reserve(wanted); };
}

// Takes the zeros behind the last frame away.
Status SegmentWriter::cut_room() {
  if (active_->file->room() == 0) return ok_status();
  return active_->file->truncate(active_->bytes);
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
    if (unsynced_ != nullptr && unsynced_->is_unsynced.exchange(false)) unsynced = unsynced_;
    folder_unsynced = std::exchange(folder_unsynced_, false);
  }
  if (unsynced == nullptr && !folder_unsynced) return ok_status();
  const std::uint64_t begun = monotonic_ns();
  if (unsynced != nullptr) PERSISTING_RETURN_IF_ERROR(unsynced->file->sync());
  if (folder_unsynced) PERSISTING_RETURN_IF_ERROR(file_system_.sync_folder(options_.folder));
  options_.metrics->sync_duration.observe_nanoseconds(monotonic_ns() - begun);
  return ok_status();
}

std::optional<Error> SegmentWriter::sync_failure() {
  const std::lock_guard syncing(syncing_);
  return sync_failure_;
}

void SegmentWriter::take_back() {
  (void)active_->file->truncate(active_->bytes_before_append);  // the log is poisoned all the same
}

void SegmentWriter::add_bytes(std::int64_t bytes) {
  options_.metrics->size_bytes.set(size_bytes() + static_cast<std::uint64_t>(bytes));
}

void SegmentWriter::seal_active() {
  sealed_.push_back({active_->path, active_->end_offset, active_->bytes});
  close_active();
}

Status SegmentWriter::retire(std::uint64_t flushed_to) {
  if (active_ != nullptr && active_->has_frames && active_->end_offset <= flushed_to) {
    PERSISTING_RETURN_IF_ERROR(cut_room());
    PERSISTING_RETURN_IF_ERROR(sync());
    seal_active();
  }
  bool removed = false;
  while (!sealed_.empty() && sealed_.front().end_offset <= flushed_to) {
    PERSISTING_RETURN_IF_ERROR(file_system_.remove_file(sealed_.front().path));
    add_bytes(-static_cast<std::int64_t>(sealed_.front().bytes));
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
  if (active_ != nullptr) PERSISTING_RETURN_IF_ERROR(cut_room());
  PERSISTING_RETURN_IF_ERROR(sync());
  close_active();
  return ok_status();
}

// Once it is synced.
void SegmentWriter::close_active() {
  const std::lock_guard lock(unsynced_mutex_);
  unsynced_.reset();
  active_.reset();
}

}  // namespace persisting::wal
