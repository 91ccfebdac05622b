// A pool of threads that runs tasks, at once or later.
// Guarantee: tasks submitted from one thread start in order; a delayed task starts no earlier than asked.
// Threads:   thread-safe. stop(), and the destructor, drop delayed tasks, run those already due, and join; a task that is
//            submitted later starts a thread again.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/executor.h"

namespace persisting {

class ThreadPool final : public Executor {
 public:
  // Threads start when there are tasks, and end `idle_limit` after their last one. They carry `name` (at most 15 characters)
  // in the system's tools.
  ThreadPool(std::string name, std::size_t threads,
             Clock::duration idle_limit = std::chrono::seconds(1));
  ~ThreadPool() override;
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  void submit(Task task) override;
  void submit_after(Clock::duration delay, Task task) override;
  void stop();

 private:
  void run();
  // Whether a task came or a thread is needed otherwise.
  bool idle_locked(std::unique_lock<std::mutex>& lock);
  void forget_this_thread_locked();
  void ensure_thread_locked();

  const std::string name_;
  const std::size_t thread_limit_;
  const Clock::duration idle_limit_;

  std::mutex mutex_;
  std::condition_variable changed_;
  // Under mutex_.
  std::deque<Task> due_;
  std::multimap<Clock::time_point, Task> delayed_;
  std::size_t idle_ = 0;
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace persisting
