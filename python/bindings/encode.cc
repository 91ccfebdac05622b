#include "encode.h"

#include <string>

#include <datetime.h>

#include "persisting/msgpack_reader.h"
#include "persisting/msgpack_writer.h"

#include "time_convert.h"

namespace persisting::python {
namespace {

// Where in the record the encoder is; a list on the stack, read only for messages.
struct Place {
  const Place* parent;
  PyObject* name;    // of a field, borrowed; null in a list
  Py_ssize_t index;  // in a list

  std::string text() const {
    std::string before = parent != nullptr ? parent->text() : "";
    if (name == nullptr) return before + "[" + std::to_string(index) + "]";
    if (!before.empty()) before += ".";
    return before + nb::cast<std::string>(nb::str(nb::handle(name)));
  }
};

class Encoder {
 public:
  Encoder(std::string& out, const std::string& what) : out_(out), what_(what) {}

  void dict(PyObject* object, const Place* place, int depth) {
    check_depth(depth, place);
    msgpack::write_map(out_, size32(PyDict_Size(object), place));
    PyObject* key = nullptr;
    PyObject* value = nullptr;
    Py_ssize_t position = 0;
    while (PyDict_Next(object, &position, &key, &value) != 0) {
      if (!PyUnicode_Check(key)) {
        const std::string where = place != nullptr ? " in field '" + place->text() + "'" : "";
        fail(nb::type_error, what_ + ": field names must be str; " +
                                 nb::cast<std::string>(nb::repr(nb::handle(key))) + where + " is " +
                                 type_name(key));
      }
      const Place inner{place, key, 0};
      text(key, inner);
      value_of(value, inner, depth);
    }
  }

  void value_of(PyObject* object, const Place& place, int depth) {
    if (PyUnicode_CheckExact(object)) return text(object, place);
    if (PyLong_CheckExact(object)) return integer(object, place);
    if (PyFloat_CheckExact(object)) return msgpack::write_double(out_, PyFloat_AS_DOUBLE(object));
    if (object == Py_None) return msgpack::write_nil(out_);
    if (PyBool_Check(object)) return msgpack::write_bool(out_, object == Py_True);
    if (PyDict_Check(object)) return dict(object, &place, depth + 1);
    if (PyList_Check(object) || PyTuple_Check(object)) return sequence(object, place, depth + 1);
    if (PyBytes_Check(object)) {
      return bytes({PyBytes_AS_STRING(object), static_cast<std::size_t>(PyBytes_GET_SIZE(object))},
                   place);
    }
    if (PyByteArray_Check(object)) {
      return bytes(
          {PyByteArray_AS_STRING(object), static_cast<std::size_t>(PyByteArray_GET_SIZE(object))},
          place);
    }
    if (PyMemoryView_Check(object)) return memory_view(object, place);
    if (is_datetime(object)) return msgpack::write_timestamp(out_, timestamp_of(object));
    if (is_date(object)) return msgpack::write_date(out_, date_of(object));
    // Subclasses, say numpy.float64 or an enum with str.
    if (PyUnicode_Check(object)) return text(object, place);
    if (PyLong_Check(object)) return integer(object, place);
    if (PyFloat_Check(object)) return msgpack::write_double(out_, PyFloat_AsDouble(object));
    fail(nb::type_error,
         describe(place) + " has type " + type_name(object) +
             ", which cannot be stored; use None, bool, int, float, str, bytes, datetime, date, or "
             "lists and dicts of these");
  }

 private:
  template <typename Exception>
  [[noreturn]] void fail(Exception make, const std::string& message) {
    throw make(message.c_str());
  }
  static std::string type_name(PyObject* object) {
    return nb::cast<std::string>(
        nb::type_name(nb::handle(reinterpret_cast<PyObject*>(Py_TYPE(object)))));
  }
  std::string describe(const Place& place) const {
    return what_ + ": field '" + place.text() + "'";
  }

  std::uint32_t size32(Py_ssize_t size, const Place* place) {
    if (size > static_cast<Py_ssize_t>(UINT32_MAX)) {
      fail(nb::value_error,
           (place != nullptr ? describe(*place) : what_) + " is larger than 2^32 - 1");
    }
    return static_cast<std::uint32_t>(size);
  }

  void check_depth(int depth, const Place* place) {
    if (depth <= Record::max_nesting) return;
    fail(nb::value_error, describe(*place) + " nests deeper than " +
                              std::to_string(Record::max_nesting) +
                              " levels; flatten it (does it contain itself?)");
  }

  void text(PyObject* object, const Place& place) {
    Py_ssize_t size = 0;
    const char* utf8 = PyUnicode_AsUTF8AndSize(object, &size);
    if (utf8 == nullptr) {
      PyErr_Clear();
      // The name itself may be the culprit, so it is shown in ASCII.
      const nb::object shown =
          nb::steal(PyObject_ASCII(place.name != nullptr ? place.name : object));
      fail(nb::value_error,
           what_ + ": field " + nb::cast<std::string>(shown) +
               " holds a lone surrogate, which is not valid Unicode text; encode it to bytes");
    }
    size32(size, &place);
    msgpack::write_string(out_, {utf8, static_cast<std::size_t>(size)});
  }

  void integer(PyObject* object, const Place& place) {
    int overflow = 0;
    const long long value = PyLong_AsLongLongAndOverflow(object, &overflow);
    if (overflow != 0) {
      fail(nb::value_error,
           describe(place) + " holds an int beyond 64 bits; store it as str or float");
    }
    msgpack::write_int(out_, value);
  }

  void sequence(PyObject* object, const Place& place, int depth) {
    check_depth(depth, &place);
    const Py_ssize_t size = PySequence_Fast_GET_SIZE(object);
    msgpack::write_array(out_, size32(size, &place));
    for (Py_ssize_t i = 0; i < size; ++i) {
      value_of(PySequence_Fast_GET_ITEM(object, i), Place{&place, nullptr, i}, depth);
    }
  }

  void bytes(std::string_view data, const Place& place) {
    size32(static_cast<Py_ssize_t>(data.size()), &place);
    msgpack::write_bytes(out_, data);
  }

  void memory_view(PyObject* object, const Place& place) {
    Py_buffer buffer;
    if (PyObject_GetBuffer(object, &buffer, PyBUF_SIMPLE) != 0) {
      PyErr_Clear();
      fail(nb::value_error,
           describe(place) + " is a memoryview that is not contiguous; store bytes(it)");
    }
    bytes({static_cast<const char*>(buffer.buf), static_cast<std::size_t>(buffer.len)}, place);
    PyBuffer_Release(&buffer);
  }

  std::string& out_;
  const std::string& what_;
};

}  // namespace

void encode_record(nb::handle record, const std::string& what, RecordBatch& batch) {
  if (!PyDict_Check(record.ptr())) {
    const std::string type = nb::cast<std::string>(nb::type_name(record.type()));
    throw nb::type_error((what + " must be a dict, not " + type).c_str());
  }
  Encoder(batch.bytes(), what).dict(record.ptr(), nullptr, 0);
  batch.end_record();
}

OptionMap encode_options(const nb::dict& options) {
  static const std::string what = "backend options";
  OptionMap map;
  for (const auto [name, value] : options) {
    std::string encoded;
    const Place place{nullptr, name.ptr(), 0};
    Encoder(encoded, what).value_of(value.ptr(), place, 0);
    msgpack::Reader reader(encoded);
    Value decoded;
    msgpack::read_value(reader, &decoded);
    map.emplace(nb::cast<std::string>(name), std::move(decoded));
  }
  return map;
}

}  // namespace persisting::python
