#include "base/thread_pool.h"

#include <algorithm>
#include <atomic>
#include <system_error>
#include <utility>

#include <pthread.h>
#include <signal.h>

#include "persisting/threads.h"

#include "base/fork_generation.h"

namespace persisting {

ThreadPool::ThreadPool(std::string name, std::size_t threads, Clock::duration idle_limit)
    : name_(std::move(name)), thread_limit_(threads), idle_limit_(idle_limit) {}

ThreadPool::~ThreadPool() { stop(); }

void ThreadPool::stop() {
  std::multimap<Clock::time_point, Task> dropped;  // destroyed without the lock
  std::vector<std::thread> threads;
  {
    const std::lock_guard guard(mutex_);
    stopping_ = true;
    dropped.swap(delayed_);
    threads.swap(threads_);
  }
  changed_.notify_all();
  for (std::thread& thread : threads) thread.join();
  const std::lock_guard guard(mutex_);
  stopping_ = false;
  if (!due_.empty()) ensure_thread_locked();
}

void ThreadPool::submit(Task task) {
  {
    const std::lock_guard guard(mutex_);
    due_.push_back(std::move(task));
    ensure_thread_locked();
  }
  changed_.notify_one();
}

void ThreadPool::submit_after(Clock::duration delay, Task task) {
  {
    const std::lock_guard guard(mutex_);
    if (stopping_) return;
    delayed_.emplace(Clock::now() + delay, std::move(task));
    ensure_thread_locked();
  }
  // Any of the idle threads may be the one that the others rely on to watch the clock.
  changed_.notify_all();
}

// One idle thread is enough to watch the clock; a due task wants one each.
void ThreadPool::ensure_thread_locked() {
  if (threads_.size() >= thread_limit_ || stopping_) return;
  if (idle_ > 0 && idle_ >= due_.size()) return;
  try {
    threads_.emplace_back([this] { run(); });
  } catch (const std::system_error&) {
    // Fewer threads serve as well. With none the process cannot work at all.
    if (threads_.empty()) throw;
  }
}

void ThreadPool::run() {
  ::pthread_setname_np(::pthread_self(), name_.c_str());
  std::unique_lock lock(mutex_);
  for (;;) {
    while (!delayed_.empty() && delayed_.begin()->first <= Clock::now()) {
      due_.push_back(std::move(delayed_.begin()->second));
      delayed_.erase(delayed_.begin());
    }
    if (!due_.empty()) {
      Task task = std::move(due_.front());
      due_.pop_front();
      if (!due_.empty()) {
        ensure_thread_locked();
        changed_.notify_one();
      }
      lock.unlock();
      task();
      task = nullptr;  // what it holds may be destroyed here, without the lock
      lock.lock();
      continue;
    }
    if (stopping_) return;
    if (!idle_locked(lock)) return forget_this_thread_locked();
  }
}

bool ThreadPool::idle_locked(std::unique_lock<std::mutex>& lock) {
  const Clock::time_point limit = Clock::now() + idle_limit_;
  // The only idle one watches the clock for as long as there is a delayed task.
  Clock::time_point until = idle_ > 0 || delayed_.empty() ? limit : Clock::time_point::max();
  if (!delayed_.empty()) until = std::min(until, delayed_.begin()->first);
  ++idle_;
  const bool timed_out = changed_.wait_until(lock, until) == std::cv_status::timeout;
  --idle_;
  return !timed_out || Clock::now() < limit || !due_.empty() || stopping_ ||
         (idle_ == 0 && !delayed_.empty());
}

// Nobody need join it: it touches nothing of the pool any more but the lock that it lets go of.
void ThreadPool::forget_this_thread_locked() {
  const auto self = std::ranges::find(threads_, std::this_thread::get_id(), &std::thread::get_id);
  self->detach();
  threads_.erase(self);
}

namespace {

std::atomic<std::uint64_t> forks{0};

struct Pools {
  ThreadPool commit{"prst-commit", 4};
  ThreadPool flush{"prst-flush", 2};
  ThreadPool read{"prst-read", 2};
  // One: the rest of the machine is for those that somebody waits for.
  ThreadPool maintenance{"prst-maintain", 1};
  Executors executors{commit, flush, read, maintenance};
};

// Never destroyed, nor are its threads joined: a static object that goes at exit may still use them. Each
// process of a fork has its own, because threads do not survive it.
std::atomic<Pools*> process_pools{nullptr};

void after_fork_in_child() {
  forks.fetch_add(1, std::memory_order_relaxed);
  process_pools.store(nullptr, std::memory_order_relaxed);
}

[[maybe_unused]] const int registered = ::pthread_atfork(nullptr, nullptr, after_fork_in_child);

Pools& pools() {
  Pools* current = process_pools.load(std::memory_order_acquire);
  if (current != nullptr) return *current;
  auto* const made = new Pools();  // starts no thread yet
  if (process_pools.compare_exchange_strong(current, made, std::memory_order_acq_rel)) return *made;
  delete made;
  return *current;
}

}  // namespace

Executors& Executors::instance() { return pools().executors; }

void stop_background_threads() {
  Pools& all = pools();
  // In this order: maintenance flushes, a flush commits and reads, the others never flush.
  all.maintenance.stop();
  all.flush.stop();
  all.read.stop();
  all.commit.stop();
}

std::uint64_t fork_generation() { return forks.load(std::memory_order_relaxed); }

}  // namespace persisting
