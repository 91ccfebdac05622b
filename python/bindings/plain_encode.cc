#include "plain_encode.h"

#include <algorithm>
#include <cstring>

#include "persisting/msgpack_writer.h"

namespace persisting::python {
namespace {

// Longer texts are copied by the general encoder, which looks at how much memory it takes.
constexpr std::size_t long_text = 1 << 16;
constexpr std::size_t slack = 1 << 10;
constexpr std::size_t part = 1 << 14;

bool append_text(PyObject* object, ByteSink& sink) {
  std::string_view text;
  if (PyUnicode_IS_COMPACT_ASCII(object)) {
    text = {static_cast<const char*>(PyUnicode_DATA(object)),
            static_cast<std::size_t>(PyUnicode_GET_LENGTH(object))};
  } else {
    Py_ssize_t size = 0;
    const char* const utf8 = PyUnicode_AsUTF8AndSize(object, &size);
    if (utf8 == nullptr) {
      PyErr_Clear();
      return false;
    }
    text = {utf8, static_cast<std::size_t>(size)};
  }
  if (text.size() >= long_text) return false;
  char* const to = sink.room(msgpack::largest_head + text.size());
  const std::size_t head = msgpack::store_string_head(to, text.size());
  std::memcpy(to + head, text.data(), text.size());
  sink.advance(head + text.size());
  return true;
}

// False where the value is not plain.
bool append_plain(PyObject* value, ByteSink& sink) {
  if (PyUnicode_CheckExact(value)) return append_text(value, sink);
  char* const to = sink.room(msgpack::largest_head);
  if (PyLong_CheckExact(value)) {
    int overflow = 0;
    const long long number = PyLong_AsLongLongAndOverflow(value, &overflow);
    if (overflow != 0) return false;
    sink.advance(msgpack::store_int(to, number));
  } else if (PyFloat_CheckExact(value)) {
    sink.advance(msgpack::store_double(to, PyFloat_AS_DOUBLE(value)));
  } else if (value == Py_None) {
    *to = static_cast<char>(0xc0);
    sink.advance(1);
  } else if (PyBool_Check(value)) {
    *to = static_cast<char>(value == Py_True ? 0xc3 : 0xc2);
    sink.advance(1);
  } else {
    return false;
  }
  return true;
}

}  // namespace

// The memory that there is comes first, a part at a time: it may have been made for large values to come. Beyond it the
// string's own growth doubles it.
void ByteSink::grow(std::size_t bytes) {
  const std::size_t needed = size_ + bytes;
  out_.resize(needed <= out_.capacity() ? std::min(out_.capacity(), needed + part)
                                        : needed + slack);
}

bool RecordShape::append(PyObject* record, ByteSink& sink) const {
  if (encoded_.empty() || PyDict_GET_SIZE(record) != static_cast<Py_ssize_t>(encoded_.size()))
    return false;
  const std::size_t begin = sink.size();
  sink.advance(msgpack::store_map_head(sink.room(msgpack::largest_head), encoded_.size()));
  PyObject* name = nullptr;
  PyObject* value = nullptr;
  Py_ssize_t position = 0;
  for (std::size_t i = 0; i < encoded_.size(); ++i) {
    if (PyDict_Next(record, &position, &name, &value) == 0 || !names_.is_at(i, name)) {
      sink.cut_back(begin);
      return false;
    }
    const std::string& encoded = encoded_[i];
    std::memcpy(sink.room(encoded.size()), encoded.data(), encoded.size());
    sink.advance(encoded.size());
    if (!append_plain(value, sink)) {
      sink.cut_back(begin);
      return false;
    }
  }
  return true;
}

void RecordShape::learn(PyObject* record) {
  if (names_.match(record)) return;
  names_.learn(record);
  encoded_.clear();
  ++serial_;
  for (std::size_t i = 0; i < names_.size(); ++i) {
    Py_ssize_t size = 0;
    // Was encoded once already.
    const char* const utf8 = PyUnicode_AsUTF8AndSize(names_[i].ptr(), &size);
    msgpack::write_string(encoded_.emplace_back(), {utf8, static_cast<std::size_t>(size)});
  }
}

}  // namespace persisting::python
