#include <memory>
#include <optional>
#include <string>

#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>

#include "persisting/backend_registry.h"

#include "acknowledgement.h"
#include "arrow_capsule.h"
#include "bindings.h"
#include "completion_queue.h"
#include "decode.h"
#include "encode.h"
#include "errors.h"
#include "field_runs.h"
#include "gil.h"
#include "lance_engine.h"
#include "metrics.h"

namespace persisting::python {
namespace {

// Rows in Arrow on their way to the core, which takes both structs over.
struct ArrowArgument {
  ArrowSchema schema{};
  ArrowArray rows{};
  ArrowArgument() = default;
  // Delegates, so that the destructor runs where the second capsule is none.
  ArrowArgument(const nb::object& schema_object, const nb::object& rows_object) : ArrowArgument() {
    move_from_capsule(schema_object, schema_capsule, &schema);
    move_from_capsule(rows_object, array_capsule, &rows);
  }
  ArrowArgument(const ArrowArgument&) = delete;
  ArrowArgument& operator=(const ArrowArgument&) = delete;
  ~ArrowArgument() {
    if (schema.release != nullptr) schema.release(&schema);
    if (rows.release != nullptr) rows.release(&rows);
  }
};

CompactionOptions compaction_options(std::uint64_t target_rows, nb::object progress) {
  CompactionOptions options;
  options.target_rows_per_fragment = target_rows;
  if (progress.is_none()) return options;
  // Let go of where the last copy of the options ends, which may be a thread of the core.
  const std::shared_ptr<nb::object> target(new nb::object(std::move(progress)),
                                           [](nb::object* object) {
                                             if (Py_IsInitialized() == 0) return;
                                             const nb::gil_scoped_acquire gil;
                                             delete object;
                                           });
  options.progress = [target](std::uint64_t done, std::uint64_t total) {
    const nb::gil_scoped_acquire gil;
    try {
      (*target)(done, total);
    } catch (nb::python_error& error) {
      error.discard_as_unraisable("progress of a compaction");
    }
  };
  return options;
}

// A backend of the library. The async methods return the result where it is there at once, else a future of the
// running loop; the *_sync ones block. The GIL is released around every call that may wait for the disk.
class NativeBackend {
 public:
  NativeBackend(const std::string& kind, std::uint32_t bucket_id, std::string storage_path,
                std::uint64_t batch_size, const nb::dict& options, bool notes_fields)
      : notes_fields_(notes_fields) {
    if (kind != "memory") ensure_lance_engine();
    BackendConfig config{bucket_id, std::move(storage_path), batch_size, encode_options(options)};
    const BackendFactory factory = value_or_raise(find_backend(kind));
    backend_ = value_or_raise(without_gil([&] { return factory(config); }));
    field_runs_ = FieldRuns(backend_->total_count());
  }

  // None: not at once. The GIL is kept: nothing here waits for a disk.
  nb::object try_put(nb::handle record) {
    if (!backend_->can_put_at_once()) return nb::none();
    // Taken away meanwhile: encoding may run code that puts another record.
    std::string scratch = std::move(scratch_);
    ByteSink encoded(scratch, 0);
    append_record(record, shape_, encoded);
    const std::optional<std::uint64_t> offset = backend_->try_put(encoded.bytes());
    if (scratch.capacity() <= largest_scratch) scratch_ = std::move(scratch);
    if (!offset) return nb::none();
    if (notes_fields_) field_runs_.note_alike(*offset, record, 1, shape_.serial());
    return make_acknowledgement();
  }
  FieldRuns& field_runs() { return field_runs_; }

  nb::object put(nb::handle record) { return start_put(encode_record(record, shape_)); }
  // With the shape of all the records, for note_batch() of field_runs.
  nb::tuple put_batch(const nb::object& records) {
    EncodedRecords encoded = encode_records(records, shape_);
    return nb::make_tuple(start_put(std::move(encoded.batch)), encoded.shape);
  }
  nb::object put_arrow(const nb::object& schema, const nb::object& rows) {
    ArrowArgument argument(schema, rows);
    return start([&](auto done) {
      backend_->put_arrow_async(&argument.schema, &argument.rows, std::move(done));
    });
  }
  nb::object get_arrow(std::uint64_t limit, std::uint64_t offset) {
    return start([&](auto done) { backend_->get_arrow_async(limit, offset, std::move(done)); });
  }
  nb::object drop_field(const std::string& name) {
    return start([&](auto done) { backend_->drop_field_async(name, std::move(done)); });
  }
  nb::object rename_field(const std::string& name, const std::string& new_name) {
    return start([&](auto done) { backend_->rename_field_async(name, new_name, std::move(done)); });
  }
  nb::object get_dead_letters(std::uint64_t limit, std::uint64_t offset) {
    return start([&](auto done) {
      backend_->get_dead_letters_async(
          limit, offset, [done = std::move(done)](Result<RecordBatch> letters) mutable {
            done(letters ? Result<RecordPagePtr>(make_page(std::move(letters).value()))
                         : Result<RecordPagePtr>(std::move(letters).error()));
          });
    });
  }
  nb::list schema() {
    return decode_schema(value_or_raise(without_gil([&] { return backend_->schema(); })));
  }
  nb::list schema_history() {
    return decode_history(value_or_raise(without_gil([&] { return backend_->schema_history(); })));
  }
  nb::object get(std::uint64_t limit, std::uint64_t offset) {
    return start([&](auto done) { backend_->read_async(limit, offset, std::move(done)); });
  }
  nb::object flush() {
    return start([&](auto done) { backend_->flush_async(std::move(done)); });
  }
  nb::object compact(std::uint64_t target_rows, nb::object progress) {
    CompactionOptions options = compaction_options(target_rows, std::move(progress));
    return start([&](auto done) { backend_->compact_async(std::move(options), std::move(done)); });
  }
  nb::object close() {
    closed_ = true;
    return start([&](auto done) { backend_->close_async(std::move(done)); });
  }

  std::uint64_t put_sync(nb::handle record) {
    RecordBatch batch = encode_record(record, shape_);
    if (const auto offset = backend_->try_put(batch[0])) return *offset;
    return put_now(std::move(batch));
  }
  std::uint64_t put_batch_sync(const nb::object& records) {
    return put_now(encode_records(records, shape_).batch);
  }
  nb::list get_sync(std::uint64_t limit, std::uint64_t offset) {
    const RecordPagePtr page =
        value_or_raise(without_gil([&] { return backend_->read(limit, offset); }));
    return decode_page(*page);
  }
  std::uint64_t put_arrow_sync(const nb::object& schema, const nb::object& rows) {
    ArrowArgument argument(schema, rows);
    return value_or_raise(
        without_gil([&] { return backend_->put_arrow(&argument.schema, &argument.rows); }));
  }
  nb::object get_arrow_sync(std::uint64_t limit, std::uint64_t offset) {
    const ArrowStreamPtr stream =
        value_or_raise(without_gil([&] { return backend_->get_arrow(limit, offset); }));
    return move_to_capsule(stream.get(), stream_capsule);
  }
  void drop_field_sync(const std::string& name) {
    value_or_raise(without_gil([&] { return backend_->drop_field(name); }));
  }
  void rename_field_sync(const std::string& name, const std::string& new_name) {
    value_or_raise(without_gil([&] { return backend_->rename_field(name, new_name); }));
  }
  nb::list get_dead_letters_sync(std::uint64_t limit, std::uint64_t offset) {
    return decode_records(
        value_or_raise(without_gil([&] { return backend_->get_dead_letters(limit, offset); })));
  }
  void flush_sync() {
    value_or_raise(without_gil([&] { return backend_->flush(); }));
  }
  nb::dict compact_sync(std::uint64_t target_rows, nb::object progress) {
    const CompactionOptions options = compaction_options(target_rows, std::move(progress));
    return decode_report(value_or_raise(without_gil([&] { return backend_->compact(options); })));
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

  void pause_maintenance() {
    value_or_raise(without_gil([&] { return backend_->pause_maintenance(); }));
  }
  void resume_maintenance() {
    value_or_raise(without_gil([&] { return backend_->resume_maintenance(); }));
  }
  nb::dict get_metrics() {
    return metrics_dict(value_or_raise(without_gil([&] { return backend_->get_metrics(); })));
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

  static constexpr std::size_t largest_scratch = 1 << 20;

  std::shared_ptr<StorageBackend> backend_;
  const bool notes_fields_;
  FieldRuns field_runs_{0};
  // Under the GIL.
  RecordShape shape_;
  std::string scratch_;  // kept for its memory
  bool closed_ = false;
};

// One record in its encoded form, as a dead letter holds it.
nb::object decode_record(const nb::bytes& encoded) {
  const Record record =
      value_or_raise(Record::from_encoded(std::string(encoded.c_str(), encoded.size())));
  RecordBatch batch;
  batch.add(record);
  return nb::object(decode_records(batch)[0]);
}

}  // namespace

void bind_backend(nb::module_& module) {
  module.def("decode_record", &decode_record, nb::arg("encoded"),
             nb::sig("def decode_record(encoded: bytes) -> dict[str, object]"),
             "Return the record that these bytes encode; ValueError where they encode none.");
  nb::class_<NativeBackend>(
      module, "NativeBackend", nb::is_weak_referenceable(),
      "A backend of the C++ core. Thread-safe. The public classes are in persisting.queue.")
      .def(nb::init<const std::string&, std::uint32_t, std::string, std::uint64_t, const nb::dict&,
                    bool>(),
           nb::arg("kind"), nb::arg("bucket_id"), nb::arg("storage_path"), nb::arg("batch_size"),
           nb::arg("options"), nb::arg("notes_fields"),
           nb::sig("def __init__(self, kind: str, bucket_id: int, storage_path: str, batch_size: "
                   "int, options: dict[str, object], notes_fields: bool) -> None"))
      .def("try_put", &NativeBackend::try_put, nb::arg("record"),
           nb::sig("def try_put(self, record: object) -> collections.abc.Coroutine[Any, "
                   "Any, None] | None"))
      .def_prop_ro("field_runs", &NativeBackend::field_runs)
      .def("put", &NativeBackend::put, nb::arg("record"))
      .def("put_batch", &NativeBackend::put_batch, nb::arg("records").none(),
           nb::sig("def put_batch(self, records: object | None) -> tuple[object, int]"))
      .def("get", &NativeBackend::get, nb::arg("limit"), nb::arg("offset"))
      .def("put_arrow", &NativeBackend::put_arrow, nb::arg("schema"), nb::arg("rows"))
      .def("get_arrow", &NativeBackend::get_arrow, nb::arg("limit"), nb::arg("offset"))
      .def("drop_field", &NativeBackend::drop_field, nb::arg("name"))
      .def("rename_field", &NativeBackend::rename_field, nb::arg("name"), nb::arg("new_name"))
      .def("get_dead_letters", &NativeBackend::get_dead_letters, nb::arg("limit"),
           nb::arg("offset"))
      .def("schema", &NativeBackend::schema, nb::sig("def schema(self) -> list[dict[str, object]]"))
      .def("schema_history", &NativeBackend::schema_history,
           nb::sig("def schema_history(self) -> list[dict[str, object]]"))
      .def("flush", &NativeBackend::flush)
      .def("compact", &NativeBackend::compact, nb::arg("target_rows"), nb::arg("progress").none())
      .def("close", &NativeBackend::close)
      .def("put_sync", &NativeBackend::put_sync, nb::arg("record"))
      .def("put_batch_sync", &NativeBackend::put_batch_sync, nb::arg("records").none())
      .def("get_sync", &NativeBackend::get_sync, nb::arg("limit"), nb::arg("offset"),
           nb::sig("def get_sync(self, limit: int, offset: int) -> list[dict[str, object]]"))
      .def("put_arrow_sync", &NativeBackend::put_arrow_sync, nb::arg("schema"), nb::arg("rows"))
      .def("get_arrow_sync", &NativeBackend::get_arrow_sync, nb::arg("limit"), nb::arg("offset"))
      .def("drop_field_sync", &NativeBackend::drop_field_sync, nb::arg("name"))
      .def("rename_field_sync", &NativeBackend::rename_field_sync, nb::arg("name"),
           nb::arg("new_name"))
      .def("get_dead_letters_sync", &NativeBackend::get_dead_letters_sync, nb::arg("limit"),
           nb::arg("offset"),
           nb::sig("def get_dead_letters_sync(self, limit: int, offset: int) -> list[dict[str, "
                   "object]]"))
      .def("flush_sync", &NativeBackend::flush_sync)
      .def("compact_sync", &NativeBackend::compact_sync, nb::arg("target_rows"),
           nb::arg("progress").none(),
           nb::sig("def compact_sync(self, target_rows: int, progress: object | None) -> "
                   "dict[str, object]"))
      .def("close_sync", &NativeBackend::close_sync)
      .def("wait_beyond", &NativeBackend::wait_beyond, nb::arg("offset"))
      .def("pause_maintenance", &NativeBackend::pause_maintenance)
      .def("resume_maintenance", &NativeBackend::resume_maintenance)
      .def("stats", &NativeBackend::stats, nb::sig("def stats(self) -> dict[str, object]"))
      .def("get_metrics", &NativeBackend::get_metrics,
           nb::sig("def get_metrics(self) -> dict[str, Any]"))
      .def("total_count", &NativeBackend::total_count)
      .def_prop_ro("closed", &NativeBackend::closed);
}

}  // namespace persisting::python
