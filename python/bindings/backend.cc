#include <memory>
#include <string>

#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>

#include "persisting/backend_registry.h"

#include "bindings.h"
#include "completion_queue.h"
#include "decode.h"
#include "encode.h"
#include "errors.h"
#include "lance_engine.h"

namespace persisting::python {
namespace {

template <typename Body>
auto without_gil(Body body) {
  const nb::gil_scoped_release released;
  return body();
}

RecordBatch encode_one(nb::handle record) {
  static const std::string what = "record";
  RecordBatch batch;
  encode_record(record, what, batch);
  return batch;
}

RecordBatch encode_many(const nb::object& records) {
  if (!PyList_Check(records.ptr()) && !PyTuple_Check(records.ptr())) {
    const std::string type = nb::cast<std::string>(nb::type_name(records.type()));
    throw nb::type_error(("records must be a list of dicts, not " + type).c_str());
  }
  RecordBatch batch;
  const Py_ssize_t size = PySequence_Fast_GET_SIZE(records.ptr());
  for (Py_ssize_t i = 0; i < size; ++i) {
    encode_record(PySequence_Fast_GET_ITEM(records.ptr(), i), "record " + std::to_string(i), batch);
  }
  return batch;
}

// A backend of the library. The async methods return the result where it is there at once, else a future of the
// running loop; the *_sync ones block. The GIL is released around every call that may wait for the disk.
class NativeBackend {
 public:
  NativeBackend(const std::string& kind, std::uint32_t bucket_id, std::string storage_path,
                std::uint64_t batch_size, const nb::dict& options) {
    if (kind != "memory") ensure_lance_engine();
    BackendConfig config{bucket_id, std::move(storage_path), batch_size, encode_options(options)};
    const BackendFactory factory = value_or_raise(find_backend(kind));
    backend_ = value_or_raise(without_gil([&] { return factory(config); }));
  }

  nb::object put(nb::handle record) { return start_put(encode_one(record)); }
  nb::object put_batch(const nb::object& records) { return start_put(encode_many(records)); }
  nb::object get(std::uint64_t limit, std::uint64_t offset) {
    return start([&](auto done) { backend_->get_async(limit, offset, std::move(done)); });
  }
  nb::object flush() {
    return start([&](auto done) { backend_->flush_async(std::move(done)); });
  }
  nb::object close() {
    closed_ = true;
    return start([&](auto done) { backend_->close_async(std::move(done)); });
  }

  std::uint64_t put_sync(nb::handle record) { return put_now(encode_one(record)); }
  std::uint64_t put_batch_sync(const nb::object& records) { return put_now(encode_many(records)); }
  nb::list get_sync(std::uint64_t limit, std::uint64_t offset) {
    return decode_records(
        value_or_raise(without_gil([&] { return backend_->get(limit, offset); })));
  }
  void flush_sync() {
    value_or_raise(without_gil([&] { return backend_->flush(); }));
  }
  void close_sync() {
    closed_ = true;
    value_or_raise(without_gil([&] { return backend_->close(); }));
  }

  nb::object wait_beyond(std::uint64_t offset) {
    const auto operation = std::make_shared<Operation>();
    // The listener must not keep the operation alive: the operation holds the subscription.
    operation->hold(backend_->subscribe([weak = std::weak_ptr(operation)] {
      if (const auto waiting = weak.lock()) waiting->complete(std::monostate{});
    }));
    if (closed_ || backend_->total_count() > offset) operation->complete(std::monostate{});
    return operation->result_or_future();
  }

  nb::dict stats() {
    return decode_stats(value_or_raise(without_gil([&] { return backend_->stats(); })));
  }
  std::uint64_t total_count() const { return backend_->total_count(); }
  bool closed() const { return closed_; }

 private:
  // Begins an asynchronous call; its callback may come from any thread.
  template <typename Begin>
  static nb::object start(Begin begin) {
    const auto operation = std::make_shared<Operation>();
    {
      const nb::gil_scoped_release released;
      begin([operation](auto result) { operation->complete(to_outcome(std::move(result))); });
    }
    return operation->result_or_future();
  }
  nb::object start_put(RecordBatch batch) {
    return start([&](auto done) { backend_->put_batch_async(std::move(batch), std::move(done)); });
  }
  std::uint64_t put_now(RecordBatch batch) {
    return value_or_raise(without_gil([&] { return backend_->put_batch(std::move(batch)); }));
  }

  std::shared_ptr<StorageBackend> backend_;
  bool closed_ = false;
};

}  // namespace

void bind_backend(nb::module_& module) {
  nb::class_<NativeBackend>(
      module, "NativeBackend", nb::is_weak_referenceable(),
      "A backend of the C++ core. Thread-safe. The public classes are in persisting.queue.")
      .def(nb::init<const std::string&, std::uint32_t, std::string, std::uint64_t,
                    const nb::dict&>(),
           nb::arg("kind"), nb::arg("bucket_id"), nb::arg("storage_path"), nb::arg("batch_size"),
           nb::arg("options"),
           nb::sig("def __init__(self, kind: str, bucket_id: int, storage_path: str, batch_size: "
                   "int, options: dict[str, "
                   "object]) -> None"))
      .def("put", &NativeBackend::put, nb::arg("record"))
      .def("put_batch", &NativeBackend::put_batch, nb::arg("records"))
      .def("get", &NativeBackend::get, nb::arg("limit"), nb::arg("offset"))
      .def("flush", &NativeBackend::flush)
      .def("close", &NativeBackend::close)
      .def("put_sync", &NativeBackend::put_sync, nb::arg("record"))
      .def("put_batch_sync", &NativeBackend::put_batch_sync, nb::arg("records"))
      .def("get_sync", &NativeBackend::get_sync, nb::arg("limit"), nb::arg("offset"),
           nb::sig("def get_sync(self, limit: int, offset: int) -> list[dict[str, object]]"))
      .def("flush_sync", &NativeBackend::flush_sync)
      .def("close_sync", &NativeBackend::close_sync)
      .def("wait_beyond", &NativeBackend::wait_beyond, nb::arg("offset"))
      .def("stats", &NativeBackend::stats, nb::sig("def stats(self) -> dict[str, object]"))
      .def("total_count", &NativeBackend::total_count)
      .def_prop_ro("closed", &NativeBackend::closed);
}

}  // namespace persisting::python
