// A pool of threads that runs tasks, at once or later.
// Guarantee: tasks submitted from one thread start in order; a delayed task starts no earlier than asked.
// Threads:   thread-safe. stop(), and the destructor, drop delayed tasks, run those already due, and join; a task that is
//            submitted later starts a thread again.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace persisting {

class Executor {
 public:
  using Task = std::function<void()>;
  using Clock = std::chrono::steady_clock;

  // Threads start with the first task and carry `name` (at most 15 characters) in the system's tools.
  Executor(std::string name, std::size_t threads);
  ~Executor();
  Executor(const Executor&) = delete;
  Executor& operator=(const Executor&) = delete;

  void submit(Task task);
  void submit_after(Clock::duration delay, Task task);
  void stop();

 private:
  void run();
  void ensure_thread_locked();

  const std::string name_;
  const std::size_t thread_limit_;

  std::mutex mutex_;
  std::condition_variable changed_;
  // Under mutex_.
  std::deque<Task> due_;
  std::multimap<Clock::time_point, Task> delayed_;
  std::size_t idle_ = 0;
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

// The process's pools, made at first use. Few threads serve any number of buckets.
struct Executors {
  Executor commit;  // group commits and their timers: short, waits for the disk
  Executor flush;   // flushes: long, waits for the Lance engine
  Executor read;    // reads of flushed records

  static Executors& instance();

 private:
  Executors();
};

// Counts forks: differs between a parent and its forked child. Objects that own threads or locks remember it and
// refuse calls in the child.
std::uint64_t fork_generation();

}  // namespace persisting
