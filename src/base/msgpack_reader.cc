#include "persisting/msgpack_reader.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <limits>

#include "persisting/msgpack_writer.h"
#include "persisting/record.h"

#include "base/decimal.h"
#include "base/record_check.h"

namespace persisting::msgpack {

namespace {

bool is_number_type(char code) {
  const auto value = static_cast<std::uint8_t>(code);
  return value >= first_number_type && value <= last_number_type;
}

// Type and value. What int64, double and bool stand for has no second form.
bool is_number(std::string_view bytes) {
  if (bytes.empty() || !is_number_type(bytes[0])) return false;
  const auto type = static_cast<NumberType>(bytes[0]);
  return type != NumberType::kInt64 && type != NumberType::kFloat64 && type != NumberType::kBool &&
         bytes.size() == 1 + size_of(type);
}

// Type, number of dimensions, each of them, data.
bool is_tensor(std::string_view bytes) {
  if (bytes.size() < 2 || !is_number_type(bytes[0])) return false;
  const auto dimensions = static_cast<std::uint8_t>(bytes[1]);
  if (dimensions > max_dimensions || bytes.size() < 2 + 4 * std::size_t{dimensions}) return false;
  const TensorView view(bytes);
  // Without the zeros the product stays below the data's size, or is too large.
  bool is_empty = false;
  std::uint64_t product = size_of(view.type());
  for (std::size_t i = 0; i < view.dimensions(); ++i) {
    if (view.extent(i) == 0) {
      is_empty = true;
    } else if ((product *= view.extent(i)) > max_record_bytes) {
      return false;
    }
  }
  if (view.data().size() != (is_empty ? 0 : product)) return false;
  return view.type() != NumberType::kBool ||
         std::ranges::all_of(view.data(), [](char c) { return c == 0 || c == 1; });
}

bool is_decimal(std::string_view bytes) {
  if (bytes.size() != 1 + sizeof(Decimal::Coefficient)) return false;
  Decimal::Coefficient coefficient;
  std::memcpy(&coefficient, bytes.data() + 1, sizeof(coefficient));
  return static_cast<std::uint8_t>(bytes[0]) <= max_decimal_digits &&
         has_decimal_digits(coefficient);
}

}  // namespace

std::uint32_t TensorView::extent(std::size_t dimension) const {
  std::uint32_t value;
  std::memcpy(&value, encoded_.data() + 2 + 4 * dimension, sizeof(value));
  return value;
}

std::vector<std::uint32_t> TensorView::shape() const {
  std::vector<std::uint32_t> shape(dimensions());
  for (std::size_t i = 0; i < shape.size(); ++i) shape[i] = extent(i);
  return shape;
}

Number number(const Item& item) {
  Number value;
  value.type = static_cast<NumberType>(item.text[0]);
  std::memcpy(value.bytes.data(), item.text.data() + 1, item.text.size() - 1);
  return value;
}

Decimal decimal(const Item& item) {
  Decimal value;
  value.scale = static_cast<std::uint8_t>(item.text[0]);
  std::memcpy(&value.coefficient, item.text.data() + 1, sizeof(value.coefficient));
  return value;
}

Uuid uuid(const Item& item) {
  Uuid value;
  std::memcpy(value.bytes.data(), item.text.data(), value.bytes.size());
  return value;
}

template <typename T>
bool Reader::take_big_endian(T* value) {
  if (input_.size() - position_ < sizeof(T)) return false;
  T result = 0;
  for (std::size_t i = 0; i < sizeof(T); ++i) {
    const auto byte = static_cast<std::uint8_t>(input_[position_ + i]);
    result = static_cast<T>(result | static_cast<T>(T{byte} << (8 * (sizeof(T) - 1 - i))));
  }
  position_ += sizeof(T);
  *value = result;
  return true;
}

Item Reader::next() {
  Item item;
  const std::size_t start = position_;
  if (!fill(item)) {
    item.kind = Kind::kInvalid;
    position_ = start;
  }
  return item;
}

bool Reader::take_long_int(std::int64_t* value) {
  const auto head = static_cast<std::uint8_t>(input_[position_]);
  if (head < 0xcc || head > 0xd3) return false;
  // 0xcc to 0xcf are unsigned, 0xd0 to 0xd3 signed, of 1, 2, 4 and 8 bytes.
  const std::size_t size = std::size_t{1} << (head & 3);
  if (input_.size() - position_ - 1 < size) return false;
  std::uint64_t bits = 0;
  for (std::size_t i = 1; i <= size; ++i)
    bits = bits << 8 | static_cast<std::uint8_t>(input_[position_ + i]);
  const std::size_t unused = 64 - 8 * size;
  *value = static_cast<std::int64_t>(bits << unused) >> unused;
  if (head <= 0xcf) {
    if (bits > std::uint64_t{std::numeric_limits<std::int64_t>::max()}) return false;
    *value = static_cast<std::int64_t>(bits);
  }
  position_ += 1 + size;
  return true;
}

bool Reader::take_long_text(std::string_view* text) {
  const std::size_t start = position_;
  const Item item = next();
  if (item.kind != Kind::kString) position_ = start;
  *text = item.text;
  return item.kind == Kind::kString;
}

bool Reader::take_long_map(std::uint32_t* size) {
  const std::size_t start = position_;
  const Item item = next();
  if (item.kind != Kind::kMap) position_ = start;
  *size = item.size;
  return item.kind == Kind::kMap;
}

bool Reader::fill(Item& item) {
  if (at_end()) return false;
  const auto head = static_cast<std::uint8_t>(input_[position_++]);
  if (head <= 0x7f || head >= 0xe0) {
    item.kind = Kind::kInt;
    // The byte itself in two's complement: 0 to 127, or -32 to -1.
    item.integer = head <= 0x7f ? head : std::int64_t{head} - 0x100;
    return true;
  }
  if (head <= 0x8f) return fill_container(Kind::kMap, head & 0x0f, item);
  if (head <= 0x9f) return fill_container(Kind::kArray, head & 0x0f, item);
  if (head <= 0xbf) return fill_text(Kind::kString, head & 0x1f, item);
  return fill_long(head, item);
}

// The items that need more than their head byte, 0xc0 to 0xdf.
bool Reader::fill_long(std::uint8_t head, Item& item) {
  std::size_t length = 0;
  std::uint32_t narrow = 0;
  std::uint64_t wide = 0;
  switch (head) {
    case 0xc0:
      item.kind = Kind::kNil;
      return true;
    case 0xc2:
    case 0xc3:
      item.kind = Kind::kBool;
      item.boolean = head == 0xc3;
      return true;
    case 0xc4:
    case 0xc5:
    case 0xc6:
      return take_length(std::size_t{1} << (head - 0xc4), &length) &&
             fill_text(Kind::kBytes, length, item);
    case 0xc7:
      return take_length(1, &length) && fill_ext(length, item);
    case 0xca:
      item.kind = Kind::kDouble;
      if (!take_big_endian(&narrow)) return false;
      item.number = static_cast<double>(std::bit_cast<float>(narrow));
      return true;
    case 0xcb:
      item.kind = Kind::kDouble;
      if (!take_big_endian(&wide)) return false;
      item.number = std::bit_cast<double>(wide);
      return true;
    case 0xc8:
    case 0xc9:
      return take_length(std::size_t{2} << (head - 0xc8), &length) && fill_ext(length, item);
    case 0xd4:
    case 0xd5:
    case 0xd6:
    case 0xd7:
    case 0xd8:
      return fill_ext(std::size_t{1} << (head - 0xd4), item);
    case 0xd9:
    case 0xda:
    case 0xdb:
      return take_length(std::size_t{1} << (head - 0xd9), &length) &&
             fill_text(Kind::kString, length, item);
    case 0xdc:
    case 0xdd:
      return take_length(std::size_t{2} << (head - 0xdc), &length) &&
             fill_container(Kind::kArray, length, item);
    case 0xde:
    case 0xdf:
      return take_length(std::size_t{2} << (head - 0xde), &length) &&
             fill_container(Kind::kMap, length, item);
    default:
      // What is left of the range: integers, and forms that no record has.
      return fill_integer(head, item);
  }
}

bool Reader::fill_integer(std::uint8_t head, Item& item) {
  std::uint8_t bits8 = 0;
  std::uint16_t bits16 = 0;
  std::uint32_t bits32 = 0;
  std::uint64_t bits64 = 0;
  item.kind = Kind::kInt;
  switch (head) {
    case 0xcc:
    case 0xd0:
      if (!take_big_endian(&bits8)) return false;
      item.integer = head == 0xcc ? bits8 : static_cast<std::int8_t>(bits8);
      return true;
    case 0xcd:
    case 0xd1:
      if (!take_big_endian(&bits16)) return false;
      item.integer = head == 0xcd ? bits16 : static_cast<std::int16_t>(bits16);
      return true;
    case 0xce:
    case 0xd2:
      if (!take_big_endian(&bits32)) return false;
      item.integer = head == 0xce ? std::int64_t{bits32} : static_cast<std::int32_t>(bits32);
      return true;
    case 0xcf:
    case 0xd3:
      if (!take_big_endian(&bits64)) return false;
      item.integer = static_cast<std::int64_t>(bits64);
      return head == 0xd3 || item.integer >= 0;  // no column holds an unsigned beyond int64
    default:
      return false;
  }
}

bool Reader::take_length(std::size_t width, std::size_t* length) {
  std::uint8_t bits8 = 0;
  std::uint16_t bits16 = 0;
  std::uint32_t bits32 = 0;
  switch (width) {
    case 1:
      if (!take_big_endian(&bits8)) return false;
      *length = bits8;
      return true;
    case 2:
      if (!take_big_endian(&bits16)) return false;
      *length = bits16;
      return true;
    default:
      if (!take_big_endian(&bits32)) return false;
      *length = bits32;
      return true;
  }
}

bool Reader::fill_text(Kind kind, std::size_t size, Item& item) {
  if (input_.size() - position_ < size) return false;
  item.kind = kind;
  item.text = std::string_view(input_.data() + position_, size);
  position_ += size;
  return true;
}

bool Reader::fill_ext(std::size_t size, Item& item) {
  std::uint8_t type = 0;
  std::uint32_t days = 0;
  std::uint64_t microseconds = 0;
  if (!take_big_endian(&type)) return false;
  const auto ext = static_cast<std::int8_t>(type);
  if (size == 4 && ext == ext_date) {
    item.kind = Kind::kDate;
    if (!take_big_endian(&days)) return false;
    item.integer = static_cast<std::int32_t>(days);
    return true;
  }
  if (ext >= ext_number && ext <= ext_uuid) return fill_wide_ext(ext, size, item);
  if (size != 8 || (ext != ext_timestamp_utc && ext != ext_timestamp_naive)) return false;
  item.kind = ext == ext_timestamp_utc ? Kind::kTimestampUtc : Kind::kTimestampNaive;
  if (!take_big_endian(&microseconds)) return false;
  item.integer = static_cast<std::int64_t>(microseconds);
  return true;
}

bool Reader::fill_wide_ext(std::int8_t ext, std::size_t size, Item& item) {
  if (!fill_text(Kind::kInvalid, size, item)) return false;
  switch (ext) {
    case ext_number:
      item.kind = Kind::kNumber;
      return is_number(item.text);
    case ext_tensor:
      item.kind = Kind::kTensor;
      return is_tensor(item.text);
    case ext_decimal:
      item.kind = Kind::kDecimal;
      return is_decimal(item.text);
    default:
      item.kind = Kind::kUuid;
      return size == sizeof(Uuid::bytes);
  }
}

// An element takes at least a byte, so a size that the input cannot hold is refused here: nobody
// then reserves room for four billion elements that never come.
bool Reader::fill_container(Kind kind, std::size_t size, Item& item) {
  const std::size_t least = kind == Kind::kMap ? 2 * size : size;
  if (input_.size() - position_ < least) return false;
  item.kind = kind;
  item.size = static_cast<std::uint32_t>(size);
  return true;
}

bool Reader::skip() {
  // Items still to pass over, in each open container; the first entry is for the item itself.
  std::array<std::uint64_t, Record::max_nesting + 2> pending;
  std::size_t depth = 0;
  pending[0] = 1;
  const std::size_t start = position_;
  while (true) {
    while (pending[depth] == 0) {
      if (depth == 0) return true;
      --depth;
    }
    --pending[depth];
    const Item item = next();
    if (item.kind == Kind::kInvalid) break;
    if (item.kind != Kind::kArray && item.kind != Kind::kMap) continue;
    if (++depth == pending.size()) break;
    pending[depth] = std::uint64_t{item.size} * (item.kind == Kind::kMap ? 2 : 1);
  }
  position_ = start;
  return false;
}

namespace {

// A Value is many times larger than the byte that may stand for it: beyond this size room is made as
// the elements come.
constexpr std::uint32_t trusted_size = 64;

// `containers` is how many may still open around each other.
bool read_nested(Reader& reader, int containers, Value* value);

bool read_list(Reader& reader, std::uint32_t size, int containers, Value* value) {
  List list;
  list.reserve(std::min(size, trusted_size));
  for (std::uint32_t i = 0; i < size; ++i) {
    if (!read_nested(reader, containers, &list.emplace_back())) return false;
  }
  *value = std::move(list);
  return true;
}

bool read_struct(Reader& reader, std::uint32_t size, int containers, Value* value) {
  Struct members;
  members.reserve(std::min(size, trusted_size));
  for (std::uint32_t i = 0; i < size; ++i) {
    const Item key = reader.next();
    if (key.kind != Kind::kString) return false;
    members.emplace_back(std::string(key.text), Null{});
    if (!read_nested(reader, containers, &members.back().second)) return false;
  }
  *value = std::move(members);
  return true;
}

bool read_nested(Reader& reader, int containers, Value* value) {
  const Item item = reader.next();
  switch (item.kind) {
    case Kind::kInvalid:
      return false;
    case Kind::kNil:
      *value = Null{};
      return true;
    case Kind::kBool:
      *value = item.boolean;
      return true;
    case Kind::kInt:
      *value = item.integer;
      return true;
    case Kind::kDouble:
      *value = item.number;
      return true;
    case Kind::kString:
      *value = std::string(item.text);
      return true;
    case Kind::kBytes:
      *value = Bytes{std::string(item.text)};
      return true;
    case Kind::kTimestampUtc:
    case Kind::kTimestampNaive:
      *value = Timestamp{item.integer, item.kind == Kind::kTimestampUtc};
      return true;
    case Kind::kDate:
      *value = Date{static_cast<std::int32_t>(item.integer)};
      return true;
    case Kind::kNumber:
      *value = number(item);
      return true;
    case Kind::kTensor:
      *value = Tensor{tensor(item).type(), tensor(item).shape(), std::string(tensor(item).data())};
      return true;
    case Kind::kDecimal:
      *value = decimal(item);
      return true;
    case Kind::kUuid:
      *value = uuid(item);
      return true;
    case Kind::kArray:
      return containers > 0 && read_list(reader, item.size, containers - 1, value);
    case Kind::kMap:
      return containers > 0 && read_struct(reader, item.size, containers - 1, value);
  }
  return false;
}

}  // namespace

bool read_value(Reader& reader, Value* value) {
  return read_nested(reader, Record::max_nesting + 1, value);
}

}  // namespace persisting::msgpack
