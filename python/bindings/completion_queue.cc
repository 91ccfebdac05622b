#include "completion_queue.h"

#include <cerrno>
#include <cstring>
#include <string>

#include <nanobind/stl/shared_ptr.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "bindings.h"
#include "decode.h"
#include "errors.h"

namespace persisting::python {

nb::object outcome_to_python(const Outcome& outcome) {
  if (const Error* error = std::get_if<Error>(&outcome)) raise(*error);
  if (const RecordBatch* records = std::get_if<RecordBatch>(&outcome))
    return decode_records(*records);
  if (const std::uint64_t* offset = std::get_if<std::uint64_t>(&outcome)) return nb::int_(*offset);
  return nb::none();
}

Operation::~Operation() {
  // An operation whose loop went away may end in a thread without the GIL: its future then leaks, harmlessly.
  if (future_.is_valid() && PyGILState_Check() == 0) (void)future_.release();
}

void Operation::complete(Outcome outcome) {
  std::shared_ptr<CompletionQueue> queue;
  {
    const std::lock_guard lock(mutex_);
    if (completed_) return;
    completed_ = true;
    outcome_ = std::move(outcome);
    queue = queue_;
  }
  if (queue != nullptr) queue->push(shared_from_this());
}

nb::object Operation::result_or_future() {
  {
    const std::lock_guard lock(mutex_);
    if (completed_) {
      subscription_.reset();
      return outcome_to_python(outcome_);
    }
  }
  auto queue = nb::cast<std::shared_ptr<CompletionQueue>>(
      nb::module_::import_("persisting._mailbox").attr("mailbox")());
  const nb::object future =
      nb::module_::import_("asyncio").attr("get_running_loop")().attr("create_future")();
  future_ = future;
  if (subscription_ != nullptr) {
    queue->remember_wait(shared_from_this());
    // A cancelled wait must not stay subscribed.
    future.attr("add_done_callback")(
        nb::cpp_function([self = shared_from_this()](nb::handle) { self->abandon(); }));
  }
  bool completed = false;
  {
    const std::lock_guard lock(mutex_);
    completed = completed_;
    if (!completed) queue_ = std::move(queue);
  }
  if (completed) settle();
  return future;
}

void Operation::settle() {
  const nb::object future = std::move(future_);
  subscription_.reset();
  if (!future.is_valid() || nb::cast<bool>(future.attr("done")())) return;  // abandoned, cancelled
  nb::object result;
  try {
    result = outcome_to_python(outcome_);
  } catch (nb::python_error& error) {
    future.attr("set_exception")(error.value());
    return;
  }
  future.attr("set_result")(result);
}

void Operation::abandon() {
  subscription_.reset();
  future_.reset();
}

CompletionQueue::CompletionQueue() : event_fd_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  if (event_fd_ < 0) throw std::runtime_error(std::string("eventfd: ") + std::strerror(errno));
}

CompletionQueue::~CompletionQueue() { ::close(event_fd_); }

void CompletionQueue::push(std::shared_ptr<Operation> operation) {
  bool first = false;
  {
    const std::lock_guard lock(mutex_);
    first = finished_.empty();
    finished_.push_back(std::move(operation));
  }
  if (!first) return;  // the loop has been told and has not come yet
  const std::uint64_t one = 1;
  // Fails only when the counter is full, and then the descriptor is readable anyway.
  (void)!::write(event_fd_, &one, sizeof(one));
}

void CompletionQueue::drain() {
  std::uint64_t count = 0;
  (void)!::read(event_fd_, &count, sizeof(count));
  std::vector<std::shared_ptr<Operation>> finished;
  {
    const std::lock_guard lock(mutex_);
    finished.swap(finished_);
  }
  for (const std::shared_ptr<Operation>& operation : finished) operation->settle();
}

void CompletionQueue::remember_wait(const std::shared_ptr<Operation>& operation) {
  std::erase_if(waits_, [](const std::weak_ptr<Operation>& wait) { return wait.expired(); });
  waits_.push_back(operation);
}

void CompletionQueue::abandon() {
  std::vector<std::shared_ptr<Operation>> finished;
  {
    const std::lock_guard lock(mutex_);
    finished.swap(finished_);
  }
  for (const std::shared_ptr<Operation>& operation : finished) operation->abandon();
  for (const std::weak_ptr<Operation>& wait : waits_) {
    if (const auto operation = wait.lock()) operation->abandon();
  }
  waits_.clear();
}

void bind_completion_queue(nb::module_& module) {
  nb::class_<CompletionQueue>(
      module, "CompletionQueue",
      "Results on their way to one event loop. Used by persisting._mailbox.")
      .def(nb::init<>())
      .def("fileno", &CompletionQueue::fileno, "Descriptor that is readable while results wait.")
      .def("abandon", &CompletionQueue::abandon,
           "Lets go of every future; for a loop that is closed.")
      .def("drain", &CompletionQueue::drain,
           "Settles the futures of all results that wait; call it in the loop's thread.");
}

}  // namespace persisting::python
