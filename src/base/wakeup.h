// A flag that threads set and one waits for.
// Use:     reset(), look whether there is something to do, wait(): a notify() after the reset is never lost.
// Threads: thread-safe.
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>

namespace persisting {

class Wakeup {
 public:
  using Deadline = std::optional<std::chrono::steady_clock::time_point>;

  // The deadline of a timeout that begins now; none for none.
  static Deadline deadline_of(std::optional<std::chrono::milliseconds> timeout) {
    if (!timeout) return std::nullopt;
    return std::chrono::steady_clock::now() + *timeout;
  }

  void reset() {
    const std::lock_guard lock(mutex_);
    set_ = false;
  }
  void notify() {
    const std::lock_guard lock(mutex_);
    set_ = true;
    changed_.notify_all();
  }
  // False where the deadline passes first.
  bool wait(const Deadline& deadline) {
    std::unique_lock lock(mutex_);
    const auto set = [this] { return set_; };
    if (deadline) return changed_.wait_until(lock, *deadline, set);
    changed_.wait(lock, set);
    return true;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool set_ = false;  // under mutex_
};

}  // namespace persisting
