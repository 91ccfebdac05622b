// Executors whose tasks run when the test says so, in its thread. Time passes when the test says so too.
// Order:   tasks of one executor start in the order of their submission, as in a pool; which executor comes next is the
//          caller's choice, so that a seed can decide it.
// Threads: none; thread-compatible.
#pragma once

#include <array>
#include <deque>
#include <map>
#include <utility>

#include "base/executor.h"

namespace persisting::testing {

class ManualExecutor final : public Executor {
 public:
  void submit(Task task) override { due_.push_back(std::move(task)); }
  void submit_after(Clock::duration delay, Task task) override {
    delayed_.emplace(now_ + delay, std::move(task));
  }
  bool has_due() const { return !due_.empty(); }
  // Runs the task that is due first.
  void run_one() {
    const Task task = std::move(due_.front());
    due_.pop_front();
    task();
  }
  // Makes due what is so after `time`.
  void pass(Clock::duration time) {
    now_ += time;
    while (!delayed_.empty() && delayed_.begin()->first <= now_) {
      due_.push_back(std::move(delayed_.begin()->second));
      delayed_.erase(delayed_.begin());
    }
  }
  // Forgets every task, as the end of a process does.
  void clear() {
    due_.clear();
    delayed_.clear();
  }

 private:
  std::deque<Task> due_;
  Clock::duration now_{0};
  std::multimap<Clock::duration, Task> delayed_;
};

struct ManualExecutors {
  ManualExecutor commit;
  ManualExecutor flush;
  ManualExecutor read;
  ManualExecutor maintenance;
  Executors executors{commit, flush, read, maintenance};

  // Runs one task of the first executor, from number `start` on, that has any. False: nothing is due.
  bool run_one(std::size_t start) {
    const std::array all{&commit, &flush, &read, &maintenance};
    for (std::size_t i = 0; i < all.size(); ++i) {
      ManualExecutor& executor = *all[(start + i) % all.size()];
      if (!executor.has_due()) continue;
      executor.run_one();
      return true;
    }
    return false;
  }
  void run_all() {
    while (run_one(0)) {
    }
  }
  void pass(Executor::Clock::duration time) {
    for (ManualExecutor* executor : {&commit, &flush, &read, &maintenance}) executor->pass(time);
  }
  void clear() {
    for (ManualExecutor* executor : {&commit, &flush, &read, &maintenance}) executor->clear();
  }
};

}  // namespace persisting::testing
