#include "completion_queue.h"

#include <cerrno>
#include <cstring>
#include <string>

#include <nanobind/stl/shared_ptr.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "arrow_capsule.h"
#include "bindings.h"
#include "decode.h"
#include "errors.h"

namespace persisting::python {

namespace {

// Names of methods that are called for every put: made once.
PyObject* interned(const char* name) { return PyUnicode_InternFromString(name); }

nb::object call(nb::handle object, PyObject* method) {
  nb::object result = nb::steal(PyObject_CallMethodNoArgs(object.ptr(), method));
  if (!result.is_valid()) throw nb::python_error();
  return result;
}

nb::object call(nb::handle object, PyObject* method, nb::handle argument) {
  nb::object result = nb::steal(PyObject_CallMethodOneArg(object.ptr(), method, argument.ptr()));
  if (!result.is_valid()) throw nb::python_error();
  return result;
}

nb::object running_loop() {
  static nb::object* const function =
      new nb::object(nb::module_::import_("asyncio").attr("get_running_loop"));
  return (*function)();
}

// The queue of a loop. Usually there is one loop, which is remembered; not kept alive.
std::shared_ptr<CompletionQueue> queue_of(const nb::object& loop) {
  static nb::object* const known_loop = new nb::object();  // a weak reference
  static std::shared_ptr<CompletionQueue>& known_queue = *new std::shared_ptr<CompletionQueue>();
  if (known_loop->is_valid() && PyWeakref_GetObject(known_loop->ptr()) == loop.ptr())
    return known_queue;
  known_queue = nb::cast<std::shared_ptr<CompletionQueue>>(
      nb::module_::import_("persisting._mailbox").attr("mailbox")());
  *known_loop = nb::steal(PyWeakref_NewRef(loop.ptr(), nullptr));
  if (!known_loop->is_valid())
    PyErr_Clear();  // a loop without weak references is asked for each time
  return known_queue;
}

}  // namespace

nb::object outcome_to_python(const Outcome& outcome) {
  if (const Error* error = std::get_if<Error>(&outcome)) raise(*error);
  if (const RecordPagePtr* page = std::get_if<RecordPagePtr>(&outcome)) return decode_page(**page);
  if (const ArrowStreamPtr* stream = std::get_if<ArrowStreamPtr>(&outcome))
    return move_to_capsule(stream->get(), stream_capsule);
  if (const CompactionReport* report = std::get_if<CompactionReport>(&outcome))
    return decode_report(*report);
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
  static PyObject* const create_future = interned("create_future");
  const nb::object loop = running_loop();
  std::shared_ptr<CompletionQueue> queue = queue_of(loop);
  const nb::object future = call(loop, create_future);
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
  static PyObject* const done = interned("done");
  static PyObject* const set_result = interned("set_result");
  if (!future.is_valid() || call(future, done).ptr() == Py_True) return;  // abandoned, cancelled
  nb::object result;
  try {
    result = outcome_to_python(outcome_);
  } catch (nb::python_error& error) {
    future.attr("set_exception")(error.value());
    return;
  }
  call(future, set_result, result);
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
