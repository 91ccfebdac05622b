// How records reach a reader that makes its own objects of them, as the Python bindings make dicts: value by value, with
// no other form in between.
// Guarantee: the records and values that StorageBackend::get() gives, in the same order.
// Threads:   a RecordPage is immutable; a sink is called from the thread that writes to it.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "persisting/record.h"
#include "persisting/result.h"

namespace persisting {

// Takes records. What it is given lives until the call returns. It may not throw; where it cannot go on it says so at the
// record's end.
class RecordSink {
 public:
  virtual ~RecordSink() = default;

  // The fields of the records that follow, each of which brings a value for every field, in this order.
  virtual void fields(const std::vector<std::string_view>& names) = 0;
  virtual void begin_record() = 0;
  virtual void null() = 0;
  virtual void boolean(bool value) = 0;
  virtual void integer(std::int64_t value) = 0;
  virtual void real(double value) = 0;
  virtual void text(std::string_view utf8) = 0;
  // A value of any type as record.h encodes it: one item of MessagePack, to be read with msgpack::Reader.
  virtual void encoded(std::string_view value) = 0;
  // False: no more records, please.
  [[nodiscard]] virtual bool end_record() = 0;

  // A whole record as record.h encodes it, whatever its fields.
  [[nodiscard]] virtual bool record(std::string_view encoded) = 0;
};

// Records that were read.
class RecordPage {
 public:
  RecordPage() = default;
  RecordPage(const RecordPage&) = delete;
  RecordPage& operator=(const RecordPage&) = delete;
  virtual ~RecordPage() = default;

  virtual std::uint64_t size() const = 0;
  // Gives every record to `sink`; waits for nothing. kCorruption where the table's bytes are damaged.
  virtual Status write_to(RecordSink& sink) const = 0;
};

using RecordPagePtr = std::shared_ptr<const RecordPage>;

// A page of records in their encoded form.
RecordPagePtr make_page(RecordBatch records);

}  // namespace persisting
