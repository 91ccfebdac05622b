// How results of the library's threads reach an event loop: one queue a loop, one wake-up for all that has gathered.
// The pool threads never take the GIL: they push into the queue and, if it was empty, write to an eventfd which
// the loop watches; the loop then calls drain(), which settles the futures.
// Guarantee: each operation settles its future once, in the loop's thread.
// Threads:   push() from any thread, without the GIL; everything else in the loop's thread with the GIL.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <variant>
#include <vector>

#include <nanobind/nanobind.h>

#include "persisting/record_page.h"
#include "persisting/storage_backend.h"

namespace persisting::python {

namespace nb = nanobind;

class CompletionQueue;

// What an asynchronous call gives: nothing, an offset, records, an Arrow stream, a report, or an error.
using Outcome = std::variant<std::monostate, std::uint64_t, RecordPagePtr, ArrowStreamPtr,
                             CompactionReport, Error>;

template <typename T>
Outcome to_outcome(Result<T> result) {
  if (!result) return std::move(result).error();
  return Outcome(std::move(result).value());
}

// The Python object for an outcome; raises an error's exception.
nb::object outcome_to_python(const Outcome& outcome);

// One asynchronous call. It usually ends within the call; only otherwise a future is made for it.
class Operation : public std::enable_shared_from_this<Operation> {
 public:
  Operation() = default;
  ~Operation();
  Operation(const Operation&) = delete;
  Operation& operator=(const Operation&) = delete;

  // From any thread, without the GIL. Only the first call counts.
  void complete(Outcome outcome);

  // The result if there is one already (raising its error), else a future of the running loop.
  nb::object result_or_future();

  // Ends with the operation: what wakes it up.
  void hold(std::unique_ptr<Subscription> subscription) { subscription_ = std::move(subscription); }

 private:
  friend class CompletionQueue;
  void settle();
  void abandon();

  std::mutex mutex_;
  // Under mutex_.
  bool completed_ = false;
  Outcome outcome_;
  std::shared_ptr<CompletionQueue> queue_;  // set once a future waits

  // Loop's thread only. Held, because often nothing else holds a task that awaits it.
  nb::object future_;
  std::unique_ptr<Subscription> subscription_;
};

class CompletionQueue {
 public:
  CompletionQueue();
  ~CompletionQueue();
  CompletionQueue(const CompletionQueue&) = delete;
  CompletionQueue& operator=(const CompletionQueue&) = delete;

  int fileno() const { return event_fd_; }
  void push(std::shared_ptr<Operation> operation);
  void drain();

  // Remembers an operation that only a put can end, for abandon().
  void remember_wait(const std::shared_ptr<Operation>& operation);
  // Lets go of every future: the loop is closed, nobody will ever take them.
  void abandon();

 private:
  const int event_fd_;
  std::vector<std::weak_ptr<Operation>> waits_;  // loop's thread only
  std::mutex mutex_;
  std::vector<std::shared_ptr<Operation>> finished_;  // under mutex_
};

}  // namespace persisting::python
