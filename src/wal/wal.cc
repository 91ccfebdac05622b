#include "wal/wal.h"

#include <algorithm>
#include <cassert>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "base/fork_generation.h"
#include "wal/frame.h"
#include "wal/recovery.h"
#include "wal/segment_writer.h"

namespace persisting {
namespace wal {
namespace {

// Up to so many waiting bytes a background commit that does not sync runs in the caller's thread: a write into the
// page cache is cheaper than waking another.
constexpr std::uint64_t inline_commit_bytes = 1 << 20;

}  // namespace

// The commit queue. Whoever sets leading_ is the leader until it clears it: only the leader touches the writer, the
// file system (but for a timed sync) and the listener.
class CommitQueue : public std::enable_shared_from_this<CommitQueue> {
 public:
  CommitQueue(FileSystem& file_system, Executor& executor, WalOptions options,
              RecoveredLog recovered, std::uint64_t epoch, Wal::Listener listener)
      : executor_(executor),
        options_(std::move(options)),
        epoch_(epoch),
        listener_(std::move(listener)),
        enqueued_end_(recovered.report.next_offset),
        committed_end_(enqueued_end_),
        durable_end_(enqueued_end_),
        writer_(file_system, options_, epoch, std::move(recovered)) {}

  std::uint64_t epoch() const { return epoch_; }
  std::uint64_t size_bytes() const { return writer_.size_bytes(); }

  void enqueue(const WalFrame& frame) {
    const std::lock_guard lock(mutex_);
    if (failure_ || closed_) return;
    assert(frame.first_offset == enqueued_end_ && frame.count > 0);
    assert(frame.record_bytes.size() == (frame.content == FrameContent::kArrow ? 0 : frame.count));
    enqueued_end_ = frame.first_offset + frame.count;
    waiting_bytes_ += frame.records.size();
    waiting_.push_back({frame, {frame.record_bytes.begin(), frame.record_bytes.end()}});
  }

  Status commit(std::uint64_t end_offset) {
    std::unique_lock lock(mutex_);
    ++blocked_;
    while (committed_end_ < end_offset && !failure_ && !closed_) {
      if (leading_) {
        changed_.wait(lock);
      } else if (waiting_.empty()) {
        break;  // end_offset lies beyond all that was enqueued
      } else {
        leading_ = true;
        run_round(lock);
        leading_ = false;
        changed_.notify_all();
      }
    }
    --blocked_;
    std::optional<Error> refusal;
    if (committed_end_ < end_offset) refusal = refusal_locked();
    hand_over(lock);
    if (refusal) return *std::move(refusal);
    return ok_status();
  }

  bool try_commit(std::uint64_t offset, std::int64_t timestamp_us, std::string_view record) {
    const std::lock_guard lock(mutex_);
    if (leading_ || !waiting_.empty() || failure_ || closed_ ||
        !writer_.has_room(SingleRecordFrame::file_bytes(record.size()))) {
      return false;
    }
    assert(offset == enqueued_end_);
    single_frame_.encode(offset, timestamp_us, record, durable_end_, seed_);
    writer_.append_in_room(single_frame_, offset + 1);
    options_.metrics->group_commit.observe(1, 1);
    enqueued_end_ = committed_end_ = offset + 1;
    end_unsynced_round_locked();
    return true;
  }

  void commit_in_background() {
    std::unique_lock lock(mutex_);
    if (waiting_.empty() || leading_ || failure_) return;  // a leader hands over what it leaves
    if (options_.sync_interval.count() > 0 && waiting_bytes_ <= inline_commit_bytes) {
      leading_ = true;
      run_round(lock);
      leading_ = false;
      changed_.notify_all();
    }
    hand_over(lock);
  }

  Status sync() {
    std::unique_lock lock(mutex_);
    if (auto refusal = refusal_locked()) return *std::move(refusal);
    const std::uint64_t end = enqueued_end_;
    lock.unlock();
    PERSISTING_RETURN_IF_ERROR(commit(end));
    lock.lock();
    if (durable_end_ >= end) return ok_status();
    if (auto refusal = refusal_locked()) return *std::move(refusal);
    return sync_now(lock, end);
  }

  Status retire(std::uint64_t flushed_to) {
    return as_leader([&] { return writer_.retire(flushed_to); });
  }

  Status close() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return !leading_ || closed_; });
    if (closed_) return ok_status();
    leading_ = true;
    while (!waiting_.empty()) run_round(lock);
    closed_ = true;  // nothing is taken in from here on
    changed_.wait(lock, [this] { return rooms_in_making_ == 0; });
    std::optional<Error> failure = failure_;
    if (!failure) {
      lock.unlock();
      Status finished = writer_.finish();
      lock.lock();
      if (finished) durable_end_ = committed_end_;
      if (!finished) failure = as_wal_error(std::move(finished).error());
    }
    leading_ = false;
    changed_.notify_all();
    // The listener must not be called any more.
    changed_.wait(lock, [this] { return syncs_running_ == 0; });
    if (failure) return *std::move(failure);
    return ok_status();
  }

 private:
  struct Waiting {
    WalFrame frame;  // whose record_bytes may be gone
    std::vector<std::uint32_t> record_bytes;
  };

  std::optional<Error> refusal_locked() const {
    if (failure_) return failure_;
    if (closed_) return wal_error(ErrorCode::kClosed, "the log is closed");
    return std::nullopt;
  }

  // Sees to it that frames which nobody waits for in commit() are committed all the same. Lets the lock go.
  void hand_over(std::unique_lock<std::mutex>& lock) {
    const bool needed =
        !waiting_.empty() && !leading_ && !scheduled_ && !failure_ && !closed_ && blocked_ == 0;
    if (needed) scheduled_ = true;
    lock.unlock();
    if (!needed) return;
    executor_.submit([self = shared_from_this()] { self->lead_while_waiting(); });
  }

  void lead_while_waiting() {
    std::unique_lock lock(mutex_);
    scheduled_ = false;
    while (!waiting_.empty() && !leading_ && !failure_ && !closed_) {
      leading_ = true;
      run_round(lock);
      leading_ = false;
      changed_.notify_all();
    }
  }

  // Writes everything that waits. Called by the leader with the lock, which it lets go meanwhile.
  void run_round(std::unique_lock<std::mutex>& lock) {
    if (waiting_.empty()) return;
    const std::vector<Waiting> round = std::exchange(waiting_, {});
    waiting_bytes_ = 0;
    const std::uint64_t durable = durable_end_;
    lock.unlock();
    const WalFrame& last = round.back().frame;
    const std::uint64_t end = last.first_offset + last.count;
    Status status = write_round(round, durable, end);
    if (!status) status = poisoned(std::move(status).error());
    status = tell(end, std::move(status));
    lock.lock();
    if (!status) {
      fail_locked(status.error());
      return;
    }
    committed_end_ = end;
    if (options_.sync_interval.count() == 0) {
      durable_end_ = end;
    } else {
      end_unsynced_round_locked();
    }
  }

  // Sees to it that what was written becomes durable, and that there is room for what comes.
  void end_unsynced_round_locked() {
    if (!sync_armed_) {
      sync_armed_ = true;
      executor_.submit_after(options_.sync_interval, [weak = weak_from_this()] {
        if (const auto self = weak.lock()) self->timed_sync();
      });
    }
    if (is_making_room_) return;
    auto make_room = writer_.more_room();
    if (!make_room) return;
    is_making_room_ = true;
    executor_.submit([weak = weak_from_this(), make_room = std::move(make_room)] {
      if (const auto self = weak.lock()) self->run_beside(make_room);
    });
  }

  // Beside a leader; close() waits for it.
  void run_beside(const std::function<void()>& make_room) {
    {
      const std::lock_guard lock(mutex_);
      if (closed_) return;
      ++rooms_in_making_;
    }
    make_room();
    const std::lock_guard lock(mutex_);
    --rooms_in_making_;
    is_making_room_ = false;
    changed_.notify_all();
  }

  Status write_round(const std::vector<Waiting>& round, std::uint64_t durable, std::uint64_t end) {
    std::vector<EncodedFrame> frames;
    frames.reserve(round.size());
    for (const Waiting& waiting : round) {
      WalFrame frame = waiting.frame;
      frame.record_bytes = waiting.record_bytes;
      frames.push_back(encode_frame(frame, durable, options_.compression, seed_));
    }
    const std::uint64_t first = round.front().frame.first_offset;
    PERSISTING_RETURN_IF_ERROR(writer_.append(frames, first, end));
    options_.metrics->group_commit.observe(end - first, end - first);
    if (options_.sync_interval.count() > 0) return ok_status();
    Status synced = writer_.sync();
    if (!synced) writer_.take_back();
    return synced;
  }

  void timed_sync() {
    std::unique_lock lock(mutex_);
    sync_armed_ = false;
    if (failure_ || closed_) return;
    (void)sync_now(lock, committed_end_);  // a failure sticks
  }

  // Beside a leader that may be writing: what it appends meanwhile is covered by the next sync.
  Status sync_now(std::unique_lock<std::mutex>& lock, std::uint64_t end) {
    ++syncs_running_;
    lock.unlock();
    Status status = writer_.sync();
    if (!status) status = tell(0, poisoned(std::move(status).error()));
    lock.lock();
    --syncs_running_;
    changed_.notify_all();
    if (status) {
      durable_end_ = std::max(durable_end_, end);
    } else {
      fail_locked(status.error());
    }
    return status;
  }

  // Runs `body` as the leader, unless the log has failed or is closed.
  template <typename Body>
  Status as_leader(Body body) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return !leading_; });
    if (auto refusal = refusal_locked()) return *std::move(refusal);
    leading_ = true;
    lock.unlock();
    Status status = body();
    if (!status) status = as_wal_error(std::move(status).error());
    const std::optional<Error> sync_failure = writer_.sync_failure();
    if (sync_failure) status = tell(0, poisoned(*sync_failure));
    lock.lock();
    if (sync_failure) fail_locked(status.error());
    leading_ = false;
    changed_.notify_all();
    hand_over(lock);
    return status;
  }

  static Error poisoned(Error error) {
    error.message += "; the bucket takes no more records until it is opened again";
    return as_wal_error(std::move(error));
  }

  // Returns what the listener was told: after a failure only that.
  Status tell(std::uint64_t end, Status status) {
    const std::lock_guard lock(listener_mutex_);
    if (told_failure_) status = *told_failure_;
    if (!status) told_failure_ = status.error();
    listener_(end, status);
    return status;
  }

  void fail_locked(const Error& error) {
    if (!failure_) failure_ = error;
    waiting_.clear();
    changed_.notify_all();
  }

  Executor& executor_;
  const WalOptions options_;
  const std::uint64_t epoch_;
  const std::uint64_t seed_ = frame_seed(options_.bucket_identity, epoch_);
  const Wal::Listener listener_;
  std::mutex listener_mutex_;          // one call at a time; taken with no other lock
  std::optional<Error> told_failure_;  // under listener_mutex_

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  // Under mutex_.
  std::vector<Waiting> waiting_;
  std::uint64_t waiting_bytes_ = 0;
  std::uint64_t enqueued_end_;
  std::uint64_t committed_end_;
  std::uint64_t durable_end_;
  std::size_t blocked_ = 0;          // threads in commit()
  std::size_t syncs_running_ = 0;    // beside the leader
  std::size_t rooms_in_making_ = 0;  // likewise
  bool is_making_room_ = false;      // or about to
  bool leading_ = false;
  bool scheduled_ = false;
  bool sync_armed_ = false;
  bool closed_ = false;
  std::optional<Error> failure_;

  SegmentWriter writer_;            // the leader's, but for sync(); without a leader under mutex_
  SingleRecordFrame single_frame_;  // under mutex_
};

namespace {

// Owns a commit queue; tasks on the executor may outlive it. In a forked child nothing may touch the queue, whose locks and
// files are the parent's: every call is refused, and the end leaks it.
class QueuedWal : public Wal {
 public:
  explicit QueuedWal(std::shared_ptr<CommitQueue> queue)
      : queue_(std::make_unique<std::shared_ptr<CommitQueue>>(std::move(queue))),
        fork_generation_(fork_generation()) {}
  ~QueuedWal() override {
    if (is_child()) {
      (void)queue_.release();
    } else {
      (void)queue().close();
    }
  }
  QueuedWal(const QueuedWal&) = delete;
  QueuedWal& operator=(const QueuedWal&) = delete;

  void enqueue(const WalFrame& frame) override {
    if (!is_child()) queue().enqueue(frame);
  }
  Status commit(std::uint64_t end_offset) override {
    return is_child() ? refused() : queue().commit(end_offset);
  }
  bool try_commit(std::uint64_t offset, std::int64_t timestamp_us,
                  std::string_view record) override {
    return !is_child() && queue().try_commit(offset, timestamp_us, record);
  }
  void commit_in_background() override {
    if (!is_child()) queue().commit_in_background();
  }
  Status sync() override { return is_child() ? refused() : queue().sync(); }
  Status retire(std::uint64_t flushed_to) override {
    return is_child() ? refused() : queue().retire(flushed_to);
  }
  Status close() override { return is_child() ? refused() : queue().close(); }
  std::uint64_t epoch() const override { return queue().epoch(); }
  std::uint64_t size_bytes() const override { return queue().size_bytes(); }

 private:
  CommitQueue& queue() const { return **queue_; }
  bool is_child() const { return fork_generation_ != fork_generation(); }
  static Status refused() {
    return wal_error(ErrorCode::kClosed, "the log was opened before this process was forked");
  }

  std::unique_ptr<std::shared_ptr<CommitQueue>> queue_;  // on the heap, so that a child can leak it
  const std::uint64_t fork_generation_;
};

}  // namespace
}  // namespace wal

Result<std::unique_ptr<Wal>> Wal::open(FileSystem& file_system, Executor& executor,
                                       WalOptions options, std::uint64_t flushed_to,
                                       const Replay& replay, Listener listener,
                                       WalRecovery* recovery) {
  if (Status made = file_system.create_folders(options.folder); !made)
    return wal::as_wal_error(std::move(made).error());
  PERSISTING_ASSIGN_OR_RETURN(wal::RecoveredLog recovered,
                              wal::recover_log(file_system, options, flushed_to, replay));
  *recovery = recovered.report;
  const std::uint64_t epoch = std::max(options.minimum_epoch, recovered.highest_epoch) + 1;
  auto queue = std::make_shared<wal::CommitQueue>(file_system, executor, std::move(options),
                                                  std::move(recovered), epoch, std::move(listener));
  return std::unique_ptr<Wal>(std::make_unique<wal::QueuedWal>(std::move(queue)));
}

}  // namespace persisting
