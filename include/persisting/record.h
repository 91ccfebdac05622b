// Record and RecordBatch: what is put into a queue and what comes out of it.
// A record is a set of named values. Its one encoded form is a MessagePack map from names (str) to
// values; the log, the memory tail and the readers share these bytes. Timestamps and dates use the
// extension types 1 (instant, int64 big-endian microseconds), 2 (wall clock, likewise) and 3 (date,
// int32 big-endian days); numbers of other types, arrays, decimals and UUIDs 4 to 7.
// docs/formats.md has the details and a worked example.
// Threads: plain values; thread-compatible.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "persisting/result.h"
#include "persisting/value.h"

namespace persisting {

// One encoded record, owned.
class Record {
 public:
  // Encodes `fields`. Fails with kInvalidArgument for a name given twice, a name the store cannot
  // hold (see check_field_name), text that is not UTF-8, nesting deeper than max_nesting, or more
  // than 2^31 - 1 bytes.
  static Result<Record> make(const Struct& fields);

  // Takes bytes that are already in the encoded form; checks them fully.
  static Result<Record> from_encoded(std::string bytes);

  std::string_view encoded() const { return bytes_; }

  // The value of one field; kInvalidArgument if the record has no such field.
  Result<Value> get(std::string_view field) const;

  // All fields, in order.
  Struct fields() const;

  // Lists and structs may nest this deep. (A table takes 62: pyarrow imports no deeper schema.)
  static constexpr int max_nesting = 60;

 private:
  explicit Record(std::string bytes) : bytes_(std::move(bytes)) {}
  std::string bytes_;
};

// Fails with kInvalidArgument where `name` cannot name a field. Everywhere: a name with NUL. For a
// top-level field: one reserved by the store (_offset, _ts) or by Lance, an empty one, one holding
// '.', '`' or '*'. For a struct's member: "__empty_struct".
Status check_field_name(std::string_view name, bool top_level);

// A run of encoded records in one buffer. Elements are views into it.
class RecordBatch {
 public:
  std::size_t size() const { return ends_.size(); }
  bool empty() const { return ends_.empty(); }
  std::size_t byte_size() const { return bytes_.size(); }

  // The encoded bytes of record `index`; valid until the batch changes.
  std::string_view operator[](std::size_t index) const {
    const std::size_t begin = index == 0 ? 0 : ends_[index - 1];
    return std::string_view(bytes_).substr(begin, ends_[index] - begin);
  }
  // Decodes record `index` into named values.
  Struct fields(std::size_t index) const;

  void add(const Record& record) { add_encoded(record.encoded()); }
  // Trusts that `bytes` is one encoded record.
  void add_encoded(std::string_view bytes) {
    bytes_.append(bytes);
    ends_.push_back(bytes_.size());
  }
  void append(const RecordBatch& other);
  void reserve(std::size_t records, std::size_t bytes);

  // For encoders that write records in place: append to bytes(), then call end_record().
  std::string& bytes() { return bytes_; }
  const std::string& bytes() const { return bytes_; }
  void end_record() { end_record(bytes_.size()); }
  // The same where bytes() is longer than its records, for the time being.
  void end_record(std::size_t end) { ends_.push_back(end); }
  // End position in bytes() of each record.
  std::span<const std::size_t> ends() const { return ends_; }

 private:
  std::string bytes_;
  std::vector<std::size_t> ends_;
};

}  // namespace persisting
