#include "base/msgpack_reader.h"

#include <algorithm>
#include <array>
#include <bit>
#include <limits>

#include "persisting/record.h"

#include "base/msgpack_writer.h"

namespace persisting::msgpack {
namespace {

Item make_item(Kind kind) {
  Item item;
  item.kind = kind;
  return item;
}

Item make_bool(bool value) {
  Item item = make_item(Kind::kBool);
  item.boolean = value;
  return item;
}

Item make_int(std::int64_t value) {
  Item item = make_item(Kind::kInt);
  item.integer = value;
  return item;
}

Item make_double(double value) {
  Item item = make_item(Kind::kDouble);
  item.number = value;
  return item;
}

// The integer behind heads 0xcc to 0xcf (unsigned) and 0xd0 to 0xd3 (signed), of 1 to 8 bytes.
Item make_wide_int(std::uint8_t head, std::uint64_t bits) {
  switch (head) {
    case 0xcf:
      // No column holds it: records have int64 only.
      if (bits > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) return {};
      return make_int(static_cast<std::int64_t>(bits));
    case 0xd0:
      return make_int(static_cast<std::int8_t>(bits));
    case 0xd1:
      return make_int(static_cast<std::int16_t>(bits));
    case 0xd2:
      return make_int(static_cast<std::int32_t>(bits));
    default:
      return make_int(static_cast<std::int64_t>(bits));
  }
}

}  // namespace

Item Reader::next() {
  if (at_end()) return {};
  const std::size_t start = position_;
  const auto head = static_cast<std::uint8_t>(input_[position_++]);
  Item item;
  if (head <= 0x7f) {
    item = make_int(head);
  } else if (head <= 0x8f) {
    item = take_container(Kind::kMap, head & 0x0f);
  } else if (head <= 0x9f) {
    item = take_container(Kind::kArray, head & 0x0f);
  } else if (head <= 0xbf) {
    item = take_text(Kind::kString, head & 0x1f);
  } else if (head >= 0xe0) {
    item = make_int(static_cast<std::int8_t>(head));
  } else {
    item = take_long(head);
  }
  if (item.kind == Kind::kInvalid) position_ = start;
  return item;
}

// The items that need more than their head byte, 0xc0 to 0xdf.
Item Reader::take_long(std::uint8_t head) {
  std::size_t length = 0;
  std::uint64_t bits = 0;
  switch (head) {
    case 0xc0:
      return make_item(Kind::kNil);
    case 0xc2:
    case 0xc3:
      return make_bool(head == 0xc3);
    case 0xc4:
    case 0xc5:
    case 0xc6:
      if (!take_length(std::size_t{1} << (head - 0xc4), &length)) return {};
      return take_text(Kind::kBytes, length);
    case 0xc7:
      return take_length(1, &length) ? take_ext(length) : Item{};
    case 0xca:
      if (!take_big_endian(4, &bits)) return {};
      return make_double(
          static_cast<double>(std::bit_cast<float>(static_cast<std::uint32_t>(bits))));
    case 0xcb:
      return take_big_endian(8, &bits) ? make_double(std::bit_cast<double>(bits)) : Item{};
    case 0xcc:
    case 0xcd:
    case 0xce:
    case 0xcf:
    case 0xd0:
    case 0xd1:
    case 0xd2:
    case 0xd3:
      if (!take_big_endian(std::size_t{1} << (head & 0x03), &bits)) return {};
      return make_wide_int(head, bits);
    case 0xd6:
      return take_ext(4);
    case 0xd7:
      return take_ext(8);
    case 0xd9:
    case 0xda:
    case 0xdb:
      if (!take_length(std::size_t{1} << (head - 0xd9), &length)) return {};
      return take_text(Kind::kString, length);
    case 0xdc:
    case 0xdd:
      if (!take_length(std::size_t{2} << (head - 0xdc), &length)) return {};
      return take_container(Kind::kArray, length);
    case 0xde:
    case 0xdf:
      if (!take_length(std::size_t{2} << (head - 0xde), &length)) return {};
      return take_container(Kind::kMap, length);
    default:
      return {};  // 0xc1 is no item; the other ext forms have no type of that size
  }
}

bool Reader::take_big_endian(std::size_t width, std::uint64_t* value) {
  if (input_.size() - position_ < width) return false;
  std::uint64_t result = 0;
  for (std::size_t i = 0; i < width; ++i) {
    result = result << 8 | static_cast<std::uint8_t>(input_[position_ + i]);
  }
  position_ += width;
  *value = result;
  return true;
}

bool Reader::take_length(std::size_t width, std::size_t* length) {
  std::uint64_t value = 0;
  if (!take_big_endian(width, &value)) return false;
  *length = static_cast<std::size_t>(value);
  return true;
}

Item Reader::take_text(Kind kind, std::size_t size) {
  if (input_.size() - position_ < size) return {};
  Item item = make_item(kind);
  item.text = input_.substr(position_, size);
  position_ += size;
  return item;
}

Item Reader::take_ext(std::size_t size) {
  std::uint64_t type = 0;
  std::uint64_t bits = 0;
  if ((size != 4 && size != 8) || !take_big_endian(1, &type) || !take_big_endian(size, &bits)) {
    return {};
  }
  Item item;
  if (size == 4 && static_cast<std::int8_t>(type) == ext_date) {
    item.kind = Kind::kDate;
    item.integer = static_cast<std::int32_t>(bits);
  } else if (size == 8 && static_cast<std::int8_t>(type) == ext_timestamp_utc) {
    item.kind = Kind::kTimestampUtc;
    item.integer = static_cast<std::int64_t>(bits);
  } else if (size == 8 && static_cast<std::int8_t>(type) == ext_timestamp_naive) {
    item.kind = Kind::kTimestampNaive;
    item.integer = static_cast<std::int64_t>(bits);
  }
  return item;
}

// An element takes at least a byte, so a size that the input cannot hold is refused here: nobody
// then reserves room for four billion elements that never come.
Item Reader::take_container(Kind kind, std::size_t size) {
  const std::size_t least = kind == Kind::kMap ? 2 * size : size;
  if (input_.size() - position_ < least) return {};
  Item item = make_item(kind);
  item.size = static_cast<std::uint32_t>(size);
  return item;
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
