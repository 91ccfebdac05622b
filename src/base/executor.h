// Where background work runs: at once or later. A program's own are thread pools (thread_pool.h); a test's run tasks when
// it says so, in the order that its seed gives.
// Threads: thread-safe.
#pragma once

#include <chrono>
#include <functional>

namespace persisting {

class Executor {
 public:
  using Task = std::function<void()>;
  using Clock = std::chrono::steady_clock;

  virtual ~Executor() = default;
  virtual void submit(Task task) = 0;
  // Starts no earlier than asked; dropped where the executor ends before.
  virtual void submit_after(Clock::duration delay, Task task) = 0;
};

// What an engine runs on.
struct Executors {
  Executor& commit;       // group commits and their timers: short, waits for the disk
  Executor& flush;        // flushes: long, waits for the Lance engine
  Executor& read;         // reads of flushed records
  Executor& maintenance;  // merges of fragments, which a flush need not wait for: longer still

  // The process's pools, made at first use. Few threads serve any number of buckets.
  static Executors& instance();
};

}  // namespace persisting
