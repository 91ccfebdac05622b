// Reads MessagePack front to back without copying: the cursor behind the schema check, the readers
// and recovery. A pull reader, because each of them walks a record beside a schema.
// Failure: next() returns Kind::kInvalid at bytes that are cut short or not of the record encoding; the position
//          stays there. Never reads outside its input.
// Threads: thread-compatible.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "persisting/value.h"

namespace persisting::msgpack {

enum class Kind : std::uint8_t {
  kInvalid,
  kNil,
  kBool,
  kInt,
  kDouble,
  kString,
  kBytes,
  kTimestampUtc,
  kTimestampNaive,
  kDate,
  kArray,
  kMap,
};

// One item. For kArray and kMap the elements follow as items of their own (a map's as key, value, key, …).
struct Item {
  Kind kind = Kind::kInvalid;
  bool boolean = false;
  double number = 0;
  std::int64_t integer = 0;  // kInt; microseconds of a timestamp; days of a date
  std::uint32_t size = 0;    // elements of an array, pairs of a map
  std::string_view text;     // kString, kBytes
};

class Reader {
 public:
  explicit Reader(std::string_view input) : input_(input) {}

  // The next item, or kInvalid.
  Item next();
  // Passes over the next item and everything in it. False where it is invalid or nests deeper than
  // Record::max_nesting.
  bool skip();
  bool at_end() const { return position_ == input_.size(); }
  std::size_t position() const { return position_; }
  std::string_view remaining() const { return input_.substr(position_); }

 private:
  // Fill `item` in place: an Item that is copied between calls costs more than reading it.
  bool fill(Item& item);
  bool fill_long(std::uint8_t head, Item& item);
  bool fill_integer(std::uint8_t head, Item& item);
  bool fill_text(Kind kind, std::size_t size, Item& item);
  bool fill_ext(std::size_t size, Item& item);
  bool fill_container(Kind kind, std::size_t size, Item& item);
  bool take_length(std::size_t width, std::size_t* length);
  template <typename T>
  bool take_big_endian(T* value);

  std::string_view input_;
  std::size_t position_ = 0;
};

// Decodes one whole item into a Value; false where it is invalid or nests deeper than
// Record::max_nesting. Checks neither that text is UTF-8 nor that names are unique: that is
// Record::from_encoded's part.
bool read_value(Reader& reader, Value* value);

}  // namespace persisting::msgpack
