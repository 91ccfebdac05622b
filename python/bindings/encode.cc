#include "encode.h"

#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include <datetime.h>
#include <nanobind/stl/string.h>

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

// What persisting._values.plan() returns first.
enum class Plan { kValue = 0, kNumber = 1, kArray = 2, kDecimal = 3, kUuid = 4 };

// From here on it matters how often a value is copied.
constexpr std::size_t large_bytes = 1 << 16;
constexpr std::size_t slack_bytes = 1 << 12;

// About how many bytes a value takes once encoded.
std::size_t estimate(PyObject* object) {
  if (PyBytes_Check(object)) return static_cast<std::size_t>(PyBytes_GET_SIZE(object)) + 8;
  if (PyByteArray_Check(object)) return static_cast<std::size_t>(PyByteArray_GET_SIZE(object)) + 8;
  if (PyUnicode_Check(object)) return static_cast<std::size_t>(PyUnicode_GET_LENGTH(object)) + 8;
  std::size_t total = 16;
  if (PyDict_Check(object)) {
    PyObject* key = nullptr;
    PyObject* value = nullptr;
    Py_ssize_t position = 0;
    while (PyDict_Next(object, &position, &key, &value) != 0) total += 16 + estimate(value);
  } else if (PyList_Check(object) || PyTuple_Check(object)) {
    const Py_ssize_t size = PySequence_Fast_GET_SIZE(object);
    for (Py_ssize_t i = 0; i < size; ++i) total += estimate(PySequence_Fast_GET_ITEM(object, i));
  } else if (nb::hasattr(nb::handle(object), "nbytes")) {
    const nb::object bytes = nb::handle(object).attr("nbytes");
    std::size_t known = 0;
    if (nb::try_cast<std::size_t>(bytes, known)) total += known;
  }
  return total;
}

// What is still to be encoded: one object, or the rest of a sequence.
struct Rest {
  PyObject* object;
  Py_ssize_t first;  // -1: the object alone

  std::size_t estimate() const {
    if (first < 0) return python::estimate(object);
    std::size_t total = 0;
    for (Py_ssize_t i = first; i < PySequence_Fast_GET_SIZE(object); ++i)
      total += python::estimate(PySequence_Fast_GET_ITEM(object, i));
    return total;
  }
};

class Encoder {
 public:
  Encoder(std::string& out, const std::string& what, const Rest& rest)
      : out_(out), what_(what), rest_(rest) {}

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
    if (is_datetime(object)) return datetime(object, place, depth);
    if (is_date(object)) return msgpack::write_date(out_, date_of(object));
    // Subclasses, say numpy.float64 or an enum with str.
    if (PyUnicode_Check(object)) return text(object, place);
    if (PyLong_Check(object)) return integer(object, place);
    if (PyFloat_Check(object)) return msgpack::write_double(out_, PyFloat_AsDouble(object));
    foreign(object, place, depth);
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
    make_room(data.size());
    msgpack::write_bytes(out_, data);
  }

  void datetime(PyObject* object, const Place& place, int depth) {
    // Subclasses may know more than microseconds.
    if (!is_exact_datetime(object)) return foreign(object, place, depth);
    const Timestamp value = timestamp_of(object);
    if (!is_python_time(value)) {
      fail(nb::value_error,
           describe(place) +
               " holds a datetime that lies outside the years 1 to 9999 in UTC, so that no reader "
               "could have it; store it without zone, or as str");
    }
    msgpack::write_timestamp(out_, value);
  }

  // Values of other packages; python/persisting/_values.py says what to make of them.
  void foreign(PyObject* object, const Place& place, int depth) {
    const nb::object plan = plan_of(object, place);
    if (plan.is_none()) {
      fail(nb::type_error,
           describe(place) + " has type " + type_name(object) +
               ", which cannot be stored; use None, bool, int, float, str, bytes, datetime, date, "
               "Decimal, UUID, Enum, numpy scalars and arrays, or lists and dicts of these");
    }
    switch (static_cast<Plan>(nb::cast<int>(plan[0]))) {
      case Plan::kValue:
        // An enum's value may be an enum again; that ends with the nesting.
        check_depth(depth + 1, &place);
        return value_of(nb::object(plan[1]).ptr(), place, depth + 1);
      case Plan::kNumber:
        return number(plan);
      case Plan::kArray:
        return array(plan, place);
      case Plan::kDecimal: {
        Decimal value;
        const nb::bytes coefficient = nb::borrow<nb::bytes>(plan[1]);
        std::memcpy(&value.coefficient, coefficient.c_str(), sizeof(value.coefficient));
        value.scale = nb::cast<std::uint8_t>(plan[2]);
        return msgpack::write_decimal(out_, value);
      }
      case Plan::kUuid: {
        Uuid value;
        std::memcpy(value.bytes.data(), nb::borrow<nb::bytes>(plan[1]).c_str(), value.bytes.size());
        return msgpack::write_uuid(out_, value);
      }
    }
  }

  nb::object plan_of(PyObject* object, const Place& place) {
    static nb::object* const function =
        new nb::object(nb::module_::import_("persisting._values").attr("plan"));
    try {
      return (*function)(nb::handle(object));
    } catch (nb::python_error& error) {
      const bool is_type_error = error.matches(PyExc_TypeError);
      if (!is_type_error && !error.matches(PyExc_ValueError)) throw;
      const std::string message =
          describe(place) + " " + nb::cast<std::string>(nb::str(nb::handle(error.value())));
      if (is_type_error) fail(nb::type_error, message);
      fail(nb::value_error, message);
    }
  }

  void number(const nb::object& plan) {
    Number value{static_cast<NumberType>(nb::cast<int>(plan[1])), {}};
    const nb::bytes data = nb::borrow<nb::bytes>(plan[2]);
    std::memcpy(value.bytes.data(), data.c_str(), std::min(data.size(), value.bytes.size()));
    msgpack::write_number(out_, value);
  }

  void array(const nb::object& plan, const Place& place) {
    std::vector<std::uint32_t> shape;
    for (const nb::handle extent : nb::borrow<nb::tuple>(plan[2])) {
      shape.push_back(size32(nb::cast<Py_ssize_t>(extent), &place));
    }
    Py_buffer buffer;
    if (PyObject_GetBuffer(nb::object(plan[3]).ptr(), &buffer, PyBUF_SIMPLE) != 0)
      throw nb::python_error();
    if (buffer.len > static_cast<Py_ssize_t>(INT32_MAX)) {
      PyBuffer_Release(&buffer);
      fail(nb::value_error, describe(place) + " is an array of more than 2 GiB; split it");
    }
    make_room(static_cast<std::size_t>(buffer.len));
    msgpack::write_tensor_head(out_, static_cast<NumberType>(nb::cast<int>(plan[1])), shape);
    out_.append(static_cast<const char*>(buffer.buf), static_cast<std::size_t>(buffer.len));
    PyBuffer_Release(&buffer);
  }

  // Large values are copied once: the buffer grows to what the rest of the batch needs rather than to twice its size
  // again and again.
  void make_room(std::size_t bytes) {
    if (bytes < large_bytes || out_.capacity() - out_.size() >= bytes + slack_bytes) return;
    out_.reserve(out_.size() + std::max(bytes, rest_.estimate()) + slack_bytes);
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
  const Rest& rest_;
};

}  // namespace

namespace {

void encode(nb::handle record, const std::string& what, const Rest& rest, std::string& out) {
  if (!PyDict_Check(record.ptr())) {
    const std::string type = nb::cast<std::string>(nb::type_name(record.type()));
    throw nb::type_error((what + " must be a dict, not " + type).c_str());
  }
  Encoder(out, what, rest).dict(record.ptr(), nullptr, 0);
}

}  // namespace

void append_record(nb::handle record, RecordShape& shape, ByteSink& sink) {
  static const std::string what = "record";
  if (PyDict_Check(record.ptr()) && shape.append(record.ptr(), sink)) return;
  encode(record, what, {record.ptr(), -1}, sink.finish());
  sink.resume();
  shape.learn(record.ptr());
}

RecordBatch encode_record(nb::handle record, RecordShape& shape) {
  RecordBatch batch;
  ByteSink sink(batch.bytes(), 0);
  append_record(record, shape, sink);
  sink.finish();
  batch.end_record();
  return batch;
}

EncodedRecords encode_records(nb::handle records, RecordShape& shape) {
  if (!PyList_Check(records.ptr()) && !PyTuple_Check(records.ptr())) {
    const std::string type = nb::cast<std::string>(nb::type_name(records.type()));
    throw nb::type_error(("records must be a list of dicts or Arrow data, not " + type).c_str());
  }
  RecordBatch batch;
  batch.reserve(static_cast<std::size_t>(PySequence_Fast_GET_SIZE(records.ptr())), 0);
  ByteSink sink(batch.bytes(), 0);
  std::uint64_t first_shape = 0;
  for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(records.ptr()); ++i) {
    PyObject* const record = PySequence_Fast_GET_ITEM(records.ptr(), i);
    if (!PyDict_Check(record) || !shape.append(record, sink)) {
      encode(record, "record " + std::to_string(i), {records.ptr(), i}, sink.finish());
      sink.resume();
      shape.learn(record);
    }
    batch.end_record(sink.size());
    if (i == 0) first_shape = shape.serial();
  }
  sink.finish();
  return {std::move(batch), first_shape == shape.serial() ? first_shape : 0};
}

OptionMap encode_options(const nb::dict& options) {
  static const std::string what = "backend options";
  OptionMap map;
  for (const auto [name, value] : options) {
    std::string encoded;
    const Place place{nullptr, name.ptr(), 0};
    const Rest rest{value.ptr(), -1};
    Encoder(encoded, what, rest).value_of(value.ptr(), place, 0);
    msgpack::Reader reader(encoded);
    Value decoded;
    msgpack::read_value(reader, &decoded);
    map.emplace(nb::cast<std::string>(name), std::move(decoded));
  }
  return map;
}

}  // namespace persisting::python
