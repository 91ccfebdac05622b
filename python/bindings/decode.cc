#include "decode.h"

#include <chrono>
#include <cstdint>
#include <cstring>
#include <exception>
#include <string>
#include <string_view>
#include <vector>

#include <nanobind/stl/string.h>

#include "persisting/msgpack_reader.h"
#include "persisting/msgpack_writer.h"

#include "errors.h"
#include "metrics.h"
#include "time_convert.h"

namespace persisting::python {
namespace {

nb::object steal_or_raise(PyObject* object) {
  if (object == nullptr) throw nb::python_error();
  return nb::steal(object);
}

class Decoder {
 public:
  explicit Decoder(std::string_view encoded) : reader_(encoded) {}

  nb::object value() {
    using msgpack::Kind;
    const msgpack::Item item = reader_.next();
    switch (item.kind) {
      case Kind::kNil:
        return nb::none();
      case Kind::kBool:
        return nb::bool_(item.boolean);
      case Kind::kInt:
        return steal_or_raise(PyLong_FromLongLong(item.integer));
      case Kind::kDouble:
        return steal_or_raise(PyFloat_FromDouble(item.number));
      case Kind::kString:
        return text(item.text);
      case Kind::kBytes:
        return steal_or_raise(
            PyBytes_FromStringAndSize(item.text.data(), static_cast<Py_ssize_t>(item.text.size())));
      case Kind::kTimestampUtc:
        return steal_or_raise(make_datetime({item.integer, true}));
      case Kind::kTimestampNaive:
        return steal_or_raise(make_datetime({item.integer, false}));
      case Kind::kDate:
        return steal_or_raise(make_date({static_cast<std::int32_t>(item.integer)}));
      case Kind::kNumber:
        return make("make_number", static_cast<int>(item.text[0]), bytes(item.text.substr(1)));
      case Kind::kTensor:
        return tensor(msgpack::tensor(item));
      case Kind::kDecimal:
        return make("make_decimal", bytes(item.text.substr(1)), static_cast<int>(item.text[0]));
      case Kind::kUuid:
        return make("make_uuid", bytes(item.text));
      case Kind::kArray:
        return array(item.size);
      case Kind::kMap:
        return map(item.size);
      case Kind::kInvalid:
        break;
    }
    throw_invalid();
  }

  // Gives the name and the value of each member of a map to `take`.
  template <typename Take>
  void members(Take take) {
    const msgpack::Item head = reader_.next();
    if (head.kind != msgpack::Kind::kMap) throw_invalid();
    for (std::uint32_t i = 0; i < head.size; ++i) {
      const msgpack::Item name = reader_.next();
      if (name.kind != msgpack::Kind::kString) throw_invalid();
      take(name.text, value());
    }
  }

 private:
  [[noreturn]] static void throw_invalid() {
    throw std::runtime_error(
        "persisting: a record in memory is not valid MessagePack; please report this bug");
  }

  static nb::object text(std::string_view utf8) {
    return steal_or_raise(
        PyUnicode_DecodeUTF8(utf8.data(), static_cast<Py_ssize_t>(utf8.size()), "strict"));
  }

  static nb::object bytes(std::string_view data) {
    return steal_or_raise(
        PyBytes_FromStringAndSize(data.data(), static_cast<Py_ssize_t>(data.size())));
  }

  // Values of other packages; see python/persisting/_values.py.
  template <typename... Arguments>
  static nb::object make(const char* function, Arguments&&... arguments) {
    static nb::object* const module = new nb::object(nb::module_::import_("persisting._values"));
    return module->attr(function)(std::forward<Arguments>(arguments)...);
  }

  static nb::object tensor(const msgpack::TensorView& view) {
    nb::object shape = steal_or_raise(PyTuple_New(static_cast<Py_ssize_t>(view.dimensions())));
    for (std::size_t i = 0; i < view.dimensions(); ++i) {
      PyTuple_SET_ITEM(shape.ptr(), static_cast<Py_ssize_t>(i),
                       steal_or_raise(PyLong_FromUnsignedLong(view.extent(i))).release().ptr());
    }
    // A bytearray, so that the array can be written to.
    nb::object data = steal_or_raise(PyByteArray_FromStringAndSize(
        view.data().data(), static_cast<Py_ssize_t>(view.data().size())));
    return make("make_array", static_cast<int>(view.type()), std::move(shape), std::move(data));
  }

  nb::object array(std::uint32_t size) {
    nb::object list = steal_or_raise(PyList_New(static_cast<Py_ssize_t>(size)));
    for (std::uint32_t i = 0; i < size; ++i) {
      PyList_SET_ITEM(list.ptr(), static_cast<Py_ssize_t>(i), value().release().ptr());
    }
    return list;
  }

  nb::object map(std::uint32_t size) {
    nb::object dict = steal_or_raise(PyDict_New());
    for (std::uint32_t i = 0; i < size; ++i) {
      const msgpack::Item name = reader_.next();
      if (name.kind != msgpack::Kind::kString) throw_invalid();
      const nb::object key = text(name.text);
      const nb::object value = this->value();
      if (PyDict_SetItem(dict.ptr(), key.ptr(), value.ptr()) != 0) throw nb::python_error();
    }
    return dict;
  }

  msgpack::Reader reader_;
};

// A str of UTF-8 text. Most text is ASCII, of which a str is a copy.
PyObject* make_text(std::string_view utf8) {
  constexpr std::uint64_t high_bits = 0x8080808080808080u;
  std::uint64_t seen = 0;
  const char* at = utf8.data();
  const char* const end = at + utf8.size();
  for (; end - at >= 8; at += 8) {
    std::uint64_t word;
    std::memcpy(&word, at, sizeof(word));
    seen |= word;
  }
  for (; at != end; ++at) seen |= static_cast<std::uint8_t>(*at);
  const auto size = static_cast<Py_ssize_t>(utf8.size());
  // Python keeps one object of each text of one character.
  if (size < 2 || (seen & high_bits) != 0) return PyUnicode_DecodeUTF8(utf8.data(), size, "strict");
  PyObject* const text = PyUnicode_New(size, 127);
  if (text != nullptr) std::memcpy(PyUnicode_1BYTE_DATA(text), utf8.data(), utf8.size());
  return text;
}

// Makes dicts of records. The first Python error ends it.
class DictSink final : public RecordSink {
 public:
  explicit DictSink(std::uint64_t records)
      : size_(static_cast<Py_ssize_t>(records)), list_(steal_or_raise(PyList_New(size_))) {
    // It has empty places until the end: nothing for the collector, which would look through it all the while.
    PyObject_GC_UnTrack(list_.ptr());
  }

  void fields(const std::vector<std::string_view>& names) override {
    guarded([&] {
      nb::dict empty;
      for (std::size_t place = 0; place < names.size(); ++place) {
        name_at(place, names[place]);
        empty[names_[place].object] = nb::none();
      }
      empty_ = std::move(empty);
    });
  }
  void begin_record() override {
    place_ = 0;
    if (failed_) return;
    // A copy of a dict has its keys in place already, which is cheaper than to put them in one by one.
    dict_ = count_ == size_ ? nullptr : PyDict_Copy(empty_.ptr());
    if (dict_ == nullptr) return fail("a page gives more records than it has");
    PyList_SET_ITEM(list_.ptr(), count_++, dict_);
  }
  void null() override { ++place_; }
  void boolean(bool value) override { add(PyBool_FromLong(value ? 1 : 0)); }
  void integer(std::int64_t value) override { add(PyLong_FromLongLong(value)); }
  void real(double value) override { add(PyFloat_FromDouble(value)); }
  void text(std::string_view utf8) override { add(make_text(utf8)); }
  void encoded(std::string_view value) override {
    if (failed_) return;
    guarded([&] {
      Decoder decoder(value);
      add(decoder.value().release().ptr());
    });
  }
  bool end_record() override { return !failed_; }
  bool record(std::string_view encoded) override {
    guarded([&] {
      if (empty_.size() > 0) empty_ = nb::dict();
      begin_record();
      Decoder decoder(encoded);
      decoder.members([&](std::string_view name, nb::object value) {
        name_at(place_, name);
        add(value.release().ptr());
      });
    });
    return !failed_;
  }

  bool failed() const { return failed_; }
  // The list of dicts; raises the error that ended it.
  nb::list finish() {
    if (!failed_ && count_ != size_) fail("a page gives fewer records than it has");
    if (failed_) throw nb::python_error();
    PyObject_GC_Track(list_.ptr());
    return nb::borrow<nb::list>(list_);
  }

 private:
  struct FieldName {
    std::string utf8;
    nb::object object;  // one str for all records
  };

  // Takes the value of the next field over; null: its error is set.
  void add(PyObject* value) {
    if (failed_ || value == nullptr ||
        PyDict_SetItem(dict_, names_[place_++].object.ptr(), value) != 0) {
      failed_ = true;
    }
    Py_XDECREF(value);
  }

  // Records of one read share their fields, so the str of the same place in the record before is nearly always right.
  void name_at(std::size_t place, std::string_view name) {
    if (place < names_.size() && names_[place].utf8 == name) return;
    PyObject* made =
        PyUnicode_DecodeUTF8(name.data(), static_cast<Py_ssize_t>(name.size()), "strict");
    // As the literals of a program are: looking a field up then compares addresses.
    if (made != nullptr) PyUnicode_InternInPlace(&made);
    if (place == names_.size()) names_.emplace_back();
    names_[place] = {std::string(name), steal_or_raise(made)};
  }

  void fail(const char* what) {
    failed_ = true;
    if (PyErr_Occurred() == nullptr)
      PyErr_Format(PyExc_RuntimeError, "persisting: %s; please report this bug", what);
  }

  // Nothing may be thrown into the core.
  template <typename Body>
  void guarded(Body body) {
    if (failed_) return;
    try {
      body();
    } catch (nb::python_error& error) {
      error.restore();
      failed_ = true;
    } catch (const std::exception& error) {
      fail(error.what());
    }
  }

  const Py_ssize_t size_;
  const nb::object list_;  // has dict_
  std::vector<FieldName> names_;
  nb::dict empty_;  // with None for each field
  PyObject* dict_ = nullptr;
  Py_ssize_t count_ = 0;  // of dicts begun
  std::size_t place_ = 0;
  bool failed_ = false;  // a Python error is set
};

}  // namespace

nb::list decode_page(const RecordPage& page) {
  DictSink sink(page.size());
  const Status written = page.write_to(sink);
  if (!sink.failed()) value_or_raise(written);
  return sink.finish();
}

nb::list decode_records(const RecordBatch& records) {
  DictSink sink(records.size());
  for (std::size_t i = 0; i < records.size() && sink.record(records[i]); ++i) {
  }
  return sink.finish();
}

nb::object decode_value(const Value& value) {
  std::string encoded;
  msgpack::write_value(encoded, value);
  Decoder decoder(encoded);
  return decoder.value();
}

nb::dict decode_stats(const BackendStats& stats) {
  nb::dict dict;
  dict["bucket_id"] = stats.bucket_id;
  dict["backend"] = nb::str(stats.backend.c_str(), stats.backend.size());
  dict["storage_path"] = nb::str(stats.storage_path.c_str(), stats.storage_path.size());
  dict["total_count"] = stats.total_count;
  dict["buffer_count"] = stats.buffer_count;
  dict["buffer_size"] = stats.buffer_count;  // the name that Pulsing's memory backend uses
  dict["persisted_count"] = stats.persisted_count;
  for (const auto& [name, value] : stats.extra) dict[name.c_str()] = decode_value(value);
  if (!stats.metrics.empty()) dict["metrics"] = metrics_dict(stats.metrics);
  return dict;
}

nb::list decode_schema(const std::vector<FieldDescription>& fields) {
  nb::list list;
  for (const FieldDescription& field : fields) {
    nb::dict described;
    described["name"] = field.name;
    described["type"] = field.type;
    described["default"] = decode_value(field.default_value);
    list.append(described);
  }
  return list;
}

nb::list decode_history(const std::vector<SchemaChange>& changes) {
  const auto text_or_none = [](const std::string& text) {
    return text.empty() ? nb::none() : nb::object(nb::str(text.c_str(), text.size()));
  };
  nb::list list;
  for (const SchemaChange& change : changes) {
    nb::dict described;
    described["offset"] = change.offset;
    described["change"] = std::string(name_of(change.kind));
    described["field"] = change.field;
    described["before"] = text_or_none(change.before);
    described["after"] = text_or_none(change.after);
    list.append(described);
  }
  return list;
}

nb::dict decode_report(const CompactionReport& report) {
  nb::dict dict;
  dict["fragments_before"] = report.fragments_before;
  dict["fragments_after"] = report.fragments_after;
  dict["versions_removed"] = report.versions_removed;
  dict["bytes_removed"] = report.bytes_removed;
  dict["duration_seconds"] = std::chrono::duration<double>(report.duration).count();
  return dict;
}

}  // namespace persisting::python
