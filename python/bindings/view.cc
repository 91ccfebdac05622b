#include <chrono>
#include <cmath>
#include <memory>
#include <optional>
#include <string>

#include <nanobind/nanobind.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>

#include "persisting/bucket_view.h"

#include "arrow_capsule.h"
#include "bindings.h"
#include "decode.h"
#include "errors.h"
#include "gil.h"
#include "lance_engine.h"

namespace persisting::python {
namespace {

// A view of the core. Every call reads files, without the GIL.
class NativeView {
 public:
  explicit NativeView(const std::string& folder) {
    ensure_lance_engine();
    view_ = value_or_raise(without_gil([&] { return open_view(folder); }));
  }

  const std::string& folder() const { return view_->folder(); }
  const std::string& topic() const { return view_->name().topic; }
  std::uint32_t bucket_id() const { return view_->name().bucket_id; }

  std::uint64_t total_count() {
    return value_or_raise(without_gil([&] { return view_->total_count(); }));
  }
  nb::list get(std::uint64_t limit, std::uint64_t offset) {
    return decode_records(value_or_raise(without_gil([&] { return view_->get(limit, offset); })));
  }
  nb::object get_arrow(std::uint64_t limit, std::uint64_t offset) {
    const ArrowStreamPtr stream =
        value_or_raise(without_gil([&] { return view_->get_arrow(limit, offset); }));
    return move_to_capsule(stream.get(), stream_capsule);
  }
  std::uint64_t wait_beyond(std::uint64_t offset, double seconds) {
    const std::chrono::milliseconds timeout(std::llround(std::ceil(seconds * 1000)));
    return value_or_raise(without_gil([&] { return view_->wait_beyond(offset, timeout); }));
  }
  nb::list schema() {
    return decode_schema(value_or_raise(without_gil([&] { return view_->schema(); })));
  }
  nb::list schema_history() {
    return decode_history(value_or_raise(without_gil([&] { return view_->schema_history(); })));
  }
  nb::list dead_letters(std::uint64_t limit, std::uint64_t offset) {
    return decode_records(
        value_or_raise(without_gil([&] { return view_->dead_letters(limit, offset); })));
  }
  nb::dict stats() {
    const BucketViewStats stats = value_or_raise(without_gil([&] { return view_->stats(); }));
    nb::dict dict;
    dict["bucket_id"] = bucket_id();
    dict["topic"] = topic();
    dict["storage_path"] = folder();
    dict["total_count"] = stats.total_count;
    dict["persisted_count"] = stats.persisted_count;
    dict["buffer_count"] = stats.buffer_count;
    dict["buffer_bytes"] = stats.buffer_bytes;
    dict["wal_size"] = stats.wal_size;
    dict["wal_segments"] = stats.wal_segments;
    dict["table_version"] = stats.table_version;
    dict["versions"] = stats.versions;
    dict["fragments"] = stats.fragments;
    dict["table_bytes"] = stats.table_bytes;
    dict["dead_letters"] = stats.dead_letters;
    dict["holder"] = stats.holder;
    return dict;
  }
  void close() {
    const nb::gil_scoped_release released;
    view_->close();
  }

 private:
  std::shared_ptr<BucketView> view_;
};

}  // namespace

void bind_view(nb::module_& module) {
  module.def(
      "name_of_bucket",
      [](const std::string& folder) {
        const BucketName name = name_of_bucket(folder);
        return nb::make_tuple(name.topic, name.bucket_id);
      },
      nb::arg("folder"), nb::sig("def name_of_bucket(folder: str) -> tuple[str, int]"),
      "Used by persisting.find_buckets.");
  nb::class_<NativeView>(module, "NativeView", nb::is_weak_referenceable(),
                         "A view of the C++ core. Thread-safe. The public class is "
                         "persisting.BucketView.")
      .def(nb::init<const std::string&>(), nb::arg("folder"))
      .def_prop_ro("folder", &NativeView::folder)
      .def_prop_ro("topic", &NativeView::topic)
      .def_prop_ro("bucket_id", &NativeView::bucket_id)
      .def("total_count", &NativeView::total_count)
      .def("get", &NativeView::get, nb::arg("limit"), nb::arg("offset"),
           nb::sig("def get(self, limit: int, offset: int) -> list[dict[str, object]]"))
      .def("get_arrow", &NativeView::get_arrow, nb::arg("limit"), nb::arg("offset"))
      .def("wait_beyond", &NativeView::wait_beyond, nb::arg("offset"), nb::arg("seconds"))
      .def("schema", &NativeView::schema, nb::sig("def schema(self) -> list[dict[str, object]]"))
      .def("schema_history", &NativeView::schema_history,
           nb::sig("def schema_history(self) -> list[dict[str, object]]"))
      .def("dead_letters", &NativeView::dead_letters, nb::arg("limit"), nb::arg("offset"),
           nb::sig("def dead_letters(self, limit: int, offset: int) -> list[dict[str, object]]"))
      .def("stats", &NativeView::stats, nb::sig("def stats(self) -> dict[str, object]"))
      .def("close", &NativeView::close);
}

}  // namespace persisting::python
