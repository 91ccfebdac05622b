// The encoder of records that are like the one before them: the same names in the same order, and plain values.
// Threads: call with the GIL held, which nothing here lets go.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <nanobind/nanobind.h>

#include "record_names.h"

namespace persisting::python {

namespace nb = nanobind;

// A string that is written into by pointer: longer than what it holds, until finish().
class ByteSink {
 public:
  // Behind the first `size` bytes of `out`.
  ByteSink(std::string& out, std::size_t size) : out_(out), size_(size) {}
  ByteSink(const ByteSink&) = delete;
  ByteSink& operator=(const ByteSink&) = delete;

  // Where the next `bytes` bytes go; advance() when they are there.
  char* room(std::size_t bytes) {
    if (out_.size() - size_ < bytes) grow(bytes);
    return out_.data() + size_;
  }
  void advance(std::size_t bytes) { size_ += bytes; }
  std::size_t size() const { return size_; }
  std::string_view bytes() const { return std::string_view(out_).substr(0, size_); }
  void cut_back(std::size_t size) { size_ = size; }
  // Cuts the string to what it holds, for those who append to it; resume() afterwards.
  std::string& finish() {
    out_.resize(size_);
    return out_;
  }
  void resume() { size_ = out_.size(); }

 private:
  void grow(std::size_t bytes);

  std::string& out_;
  std::size_t size_;
};

// The names of a record, encoded.
class RecordShape {
 public:
  // Appends the record, a dict, where it is of this shape. False: nothing was appended.
  bool append(PyObject* record, ByteSink& sink) const;

  // Becomes the shape of that record, if it is another one.
  void learn(PyObject* record);

  // Grows with every other shape that was learnt.
  std::uint64_t serial() const { return serial_; }

 private:
  RecordNames names_;
  std::vector<std::string> encoded_;  // each of them
  std::uint64_t serial_ = 0;
};

}  // namespace persisting::python
