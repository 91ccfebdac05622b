#include "decode.h"

#include <string_view>
#include <vector>

#include "persisting/msgpack_reader.h"
#include "persisting/msgpack_writer.h"

#include "time_convert.h"

namespace persisting::python {
namespace {

nb::object steal_or_raise(PyObject* object) {
  if (object == nullptr) throw nb::python_error();
  return nb::steal(object);
}

class Decoder {
 public:
  nb::object record(std::string_view bytes) {
    reader_ = msgpack::Reader(bytes);
    const msgpack::Item head = reader_.next();
    if (head.kind != msgpack::Kind::kMap) throw_invalid();
    nb::object dict = steal_or_raise(PyDict_New());
    for (std::uint32_t i = 0; i < head.size; ++i) {
      const msgpack::Item name = reader_.next();
      if (name.kind != msgpack::Kind::kString) throw_invalid();
      const nb::object value = this->value();
      if (PyDict_SetItem(dict.ptr(), field_name(i, name.text).ptr(), value.ptr()) != 0)
        throw nb::python_error();
    }
    return dict;
  }

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
      case Kind::kArray:
        return array(item.size);
      case Kind::kMap:
        return map(item.size);
      case Kind::kInvalid:
        break;
    }
    throw_invalid();
  }

  void read(std::string_view bytes) { reader_ = msgpack::Reader(bytes); }

 private:
  [[noreturn]] static void throw_invalid() {
    throw std::runtime_error(
        "persisting: a record in memory is not valid MessagePack; please report this bug");
  }

  static nb::object text(std::string_view utf8) {
    return steal_or_raise(
        PyUnicode_DecodeUTF8(utf8.data(), static_cast<Py_ssize_t>(utf8.size()), "strict"));
  }

  // Records of one read share their fields, so the str of the same place in the record before is nearly always right.
  const nb::object& field_name(std::size_t place, std::string_view name) {
    if (place == names_.size()) names_.push_back({std::string(name), text(name)});
    CachedName& cached = names_[place];
    if (cached.utf8 != name) cached = {std::string(name), text(name)};
    return cached.object;
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

  struct CachedName {
    std::string utf8;
    nb::object object;
  };
  msgpack::Reader reader_{std::string_view()};
  std::vector<CachedName> names_;
};

nb::object decode_value(const Value& value) {
  std::string encoded;
  msgpack::write_value(encoded, value);
  Decoder decoder;
  decoder.read(encoded);
  return decoder.value();
}

}  // namespace

nb::list decode_records(const RecordBatch& records) {
  nb::object list = steal_or_raise(PyList_New(static_cast<Py_ssize_t>(records.size())));
  Decoder decoder;
  for (std::size_t i = 0; i < records.size(); ++i) {
    PyList_SET_ITEM(list.ptr(), static_cast<Py_ssize_t>(i),
                    decoder.record(records[i]).release().ptr());
  }
  return nb::borrow<nb::list>(list);
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
  return dict;
}

}  // namespace persisting::python
