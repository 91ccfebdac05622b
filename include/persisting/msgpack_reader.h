// Reads MessagePack front to back without copying: the cursor behind the schema check, the readers
// and recovery. A pull reader, because each of them walks a record beside a schema.
// Failure: next() returns Kind::kInvalid at bytes that are cut short or not of the record encoding; the position
//          stays there. Never reads outside its input.
// Threads: thread-compatible.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <vector>

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
  kNumber,
  kTensor,
  kDecimal,
  kUuid,
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
  // kString, kBytes; of kNumber, kTensor, kDecimal and kUuid the bytes that number(), tensor(),
  // decimal() and uuid() look into.
  std::string_view text;
};

// A tensor in place.
class TensorView {
 public:
  // `encoded` is the text of a kTensor.
  explicit TensorView(std::string_view encoded) : encoded_(encoded) {}
  NumberType type() const { return static_cast<NumberType>(encoded_[0]); }
  std::size_t dimensions() const { return static_cast<std::uint8_t>(encoded_[1]); }
  std::uint32_t extent(std::size_t dimension) const;
  std::string_view data() const { return encoded_.substr(2 + 4 * dimensions()); }
  std::uint64_t elements() const { return data().size() / size_of(type()); }
  std::vector<std::uint32_t> shape() const;

 private:
  std::string_view encoded_;
};

// Of a kNumber, kTensor, kDecimal and kUuid item.
Number number(const Item& item);
inline TensorView tensor(const Item& item) { return TensorView(item.text); }
Decimal decimal(const Item& item);
Uuid uuid(const Item& item);

// In place of a call of memcmp: names are short.
inline bool has_same_bytes(const char* left, const char* right, std::size_t size) {
  const auto differ = [&]<typename Word>(std::size_t at, Word) {
    Word words[2];
    std::memcpy(&words[0], left + at, sizeof(Word));
    std::memcpy(&words[1], right + at, sizeof(Word));
    return words[0] != words[1];
  };
  if (size < 4) {
    for (std::size_t i = 0; i < size; ++i) {
      if (left[i] != right[i]) return false;
    }
    return true;
  }
  if (size < 8) return !differ(0, std::uint32_t{}) && !differ(size - 4, std::uint32_t{});
  for (std::size_t i = 0; i + 8 < size; i += 8) {
    if (differ(i, std::uint64_t{})) return false;
  }
  return !differ(size - 8, std::uint64_t{});
}

class Reader {
 public:
  explicit Reader(std::string_view input) : input_(input) {}

  // The next item, or kInvalid.
  Item next();
  // Take the next item where it is of that kind; else false, and the position stays. Readers of records know what to
  // expect, and then need neither a call for the short forms nor an Item. (Results by pointer: g++ 12 passes an optional
  // through memory, in parts.)
  bool take_nil() { return take_byte(0xc0); }
  bool take_bool(bool* value);
  bool take_int(std::int64_t* value);
  bool take_double(double* value);  // one of 64 bits
  bool take_text(std::string_view* text);
  // The number of pairs of a map, which follow.
  bool take_map(std::uint32_t* size);
  // Takes the next item if it is this text.
  bool take_text_if(std::string_view expected);

  // Passes over the next item and everything in it. False where it is invalid or nests deeper than
  // Record::max_nesting.
  bool skip();
  bool at_end() const { return position_ == input_.size(); }
  std::size_t position() const { return position_; }
  std::string_view remaining() const { return input_.substr(position_); }

 private:
  bool take_byte(std::uint8_t byte) {
    if (at_end() || static_cast<std::uint8_t>(input_[position_]) != byte) return false;
    ++position_;
    return true;
  }
  bool take_long_int(std::int64_t* value);
  bool take_long_text(std::string_view* text);
  bool take_long_map(std::uint32_t* size);

  // Fill `item` in place: an Item that is copied between calls costs more than reading it.
  bool fill(Item& item);
  bool fill_long(std::uint8_t head, Item& item);
  bool fill_integer(std::uint8_t head, Item& item);
  bool fill_text(Kind kind, std::size_t size, Item& item);
  bool fill_ext(std::size_t size, Item& item);
  bool fill_wide_ext(std::int8_t ext, std::size_t size, Item& item);
  bool fill_container(Kind kind, std::size_t size, Item& item);
  bool take_length(std::size_t width, std::size_t* length);
  template <typename T>
  bool take_big_endian(T* value);

  std::string_view input_;
  std::size_t position_ = 0;
};

inline bool Reader::take_bool(bool* value) {
  *value = take_byte(0xc3);
  return *value || take_byte(0xc2);
}

inline bool Reader::take_int(std::int64_t* value) {
  if (at_end()) return false;
  const auto head = static_cast<std::uint8_t>(input_[position_]);
  if (head > 0x7f && head < 0xe0) return take_long_int(value);
  ++position_;
  // The byte itself in two's complement: 0 to 127, or -32 to -1.
  *value = head <= 0x7f ? head : std::int64_t{head} - 0x100;
  return true;
}

inline bool Reader::take_double(double* value) {
  if (input_.size() - position_ < 9 || input_[position_] != '\xcb') return false;
  // Written out, g++ makes one load and one swap of it.
  const auto byte = [at = input_.data() + position_ + 1](int index) {
    return std::uint64_t{static_cast<std::uint8_t>(at[index])};
  };
  *value = std::bit_cast<double>(byte(0) << 56 | byte(1) << 48 | byte(2) << 40 | byte(3) << 32 |
                                 byte(4) << 24 | byte(5) << 16 | byte(6) << 8 | byte(7));
  position_ += 9;
  return true;
}

inline bool Reader::take_text(std::string_view* text) {
  if (at_end()) return false;
  const auto head = static_cast<std::uint8_t>(input_[position_]);
  const std::size_t size = head & 0x1f;
  if ((head & 0xe0) != 0xa0 || input_.size() - position_ - 1 < size) return take_long_text(text);
  *text = std::string_view(input_.data() + position_ + 1, size);
  position_ += 1 + size;
  return true;
}

inline bool Reader::take_map(std::uint32_t* size) {
  if (at_end()) return false;
  const auto head = static_cast<std::uint8_t>(input_[position_]);
  const std::size_t pairs = head & 0x0f;
  if ((head & 0xf0) != 0x80 || input_.size() - position_ - 1 < 2 * pairs)
    return take_long_map(size);
  ++position_;
  *size = static_cast<std::uint32_t>(pairs);
  return true;
}

inline bool Reader::take_text_if(std::string_view expected) {
  const std::size_t start = position_;
  std::string_view found;
  if (take_text(&found) && found.size() == expected.size() &&
      has_same_bytes(found.data(), expected.data(), found.size())) {
    return true;
  }
  position_ = start;
  return false;
}

// Decodes one whole item into a Value; false where it is invalid or nests deeper than
// Record::max_nesting. Checks neither that text is UTF-8 nor that names are unique: that is
// Record::from_encoded's part.
bool read_value(Reader& reader, Value* value);

}  // namespace persisting::msgpack
