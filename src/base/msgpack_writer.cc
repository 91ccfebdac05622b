#include "persisting/msgpack_writer.h"

#include <bit>
#include <cassert>
#include <cstddef>
#include <limits>
#include <type_traits>

namespace persisting::msgpack {
namespace {

// Appends a head byte and `value` behind it, most significant byte first.
template <typename T>
void append_head(std::string& out, std::uint8_t head, T value) {
  static_assert(std::is_unsigned_v<T>);
  char bytes[1 + sizeof(T)];
  bytes[0] = static_cast<char>(head);
  for (std::size_t i = 0; i < sizeof(T); ++i) {
    bytes[1 + i] = static_cast<char>(value >> (8 * (sizeof(T) - 1 - i)));
  }
  out.append(bytes, sizeof(bytes));
}

template <typename T>
void append_big_endian(std::string& out, T value) {
  for (std::size_t i = 0; i < sizeof(T); ++i) {
    out.push_back(static_cast<char>(value >> (8 * (sizeof(T) - 1 - i))));
  }
}

void write_unsigned(std::string& out, std::uint64_t value) {
  if (value <= 0x7f) {
    out.push_back(static_cast<char>(value));
  } else if (value <= std::numeric_limits<std::uint8_t>::max()) {
    append_head(out, 0xcc, static_cast<std::uint8_t>(value));
  } else if (value <= std::numeric_limits<std::uint16_t>::max()) {
    append_head(out, 0xcd, static_cast<std::uint16_t>(value));
  } else if (value <= std::numeric_limits<std::uint32_t>::max()) {
    append_head(out, 0xce, static_cast<std::uint32_t>(value));
  } else {
    append_head(out, 0xcf, value);
  }
}

void write_negative(std::string& out, std::int64_t value) {
  if (value >= -32) {
    out.push_back(static_cast<char>(value));
  } else if (value >= std::numeric_limits<std::int8_t>::min()) {
    append_head(out, 0xd0, static_cast<std::uint8_t>(value));
  } else if (value >= std::numeric_limits<std::int16_t>::min()) {
    append_head(out, 0xd1, static_cast<std::uint16_t>(value));
  } else if (value >= std::numeric_limits<std::int32_t>::min()) {
    append_head(out, 0xd2, static_cast<std::uint32_t>(value));
  } else {
    append_head(out, 0xd3, static_cast<std::uint64_t>(value));
  }
}

// Writes the head of an item whose length has a 16-bit form at `head16` and a 32-bit form after it.
void write_length(std::string& out, std::uint8_t head16, std::size_t length) {
  assert(length <= std::numeric_limits<std::uint32_t>::max());
  if (length <= std::numeric_limits<std::uint16_t>::max()) {
    append_head(out, head16, static_cast<std::uint16_t>(length));
  } else {
    append_head(out, static_cast<std::uint8_t>(head16 + 1), static_cast<std::uint32_t>(length));
  }
}

struct ValueWriter {
  std::string& out;

  void operator()(Null) const { write_nil(out); }
  void operator()(bool value) const { write_bool(out, value); }
  void operator()(std::int64_t value) const { write_int(out, value); }
  void operator()(double value) const { write_double(out, value); }
  void operator()(const std::string& value) const { write_string(out, value); }
  void operator()(const Bytes& value) const { write_bytes(out, value.data); }
  void operator()(Timestamp value) const { write_timestamp(out, value); }
  void operator()(Date value) const { write_date(out, value); }
  void operator()(const List& values) const {
    write_array(out, static_cast<std::uint32_t>(values.size()));
    for (const Value& value : values) write_value(out, value);
  }
  void operator()(const Struct& members) const {
    write_map(out, static_cast<std::uint32_t>(members.size()));
    for (const auto& [name, value] : members) {
      write_string(out, name);
      write_value(out, value);
    }
  }
};

}  // namespace

void write_nil(std::string& out) { out.push_back('\xc0'); }

void write_bool(std::string& out, bool value) { out.push_back(value ? '\xc3' : '\xc2'); }

void write_int(std::string& out, std::int64_t value) {
  if (value >= 0) {
    write_unsigned(out, static_cast<std::uint64_t>(value));
  } else {
    write_negative(out, value);
  }
}

void write_double(std::string& out, double value) {
  append_head(out, 0xcb, std::bit_cast<std::uint64_t>(value));
}

void write_string(std::string& out, std::string_view text) {
  if (text.size() <= 31) {
    out.push_back(static_cast<char>(0xa0 | text.size()));
  } else if (text.size() <= std::numeric_limits<std::uint8_t>::max()) {
    append_head(out, 0xd9, static_cast<std::uint8_t>(text.size()));
  } else {
    write_length(out, 0xda, text.size());
  }
  out.append(text);
}

void write_bytes(std::string& out, std::string_view data) {
  if (data.size() <= std::numeric_limits<std::uint8_t>::max()) {
    append_head(out, 0xc4, static_cast<std::uint8_t>(data.size()));
  } else {
    write_length(out, 0xc5, data.size());
  }
  out.append(data);
}

void write_timestamp(std::string& out, Timestamp value) {
  const std::int8_t type = value.utc ? ext_timestamp_utc : ext_timestamp_naive;
  append_head(out, 0xd7, static_cast<std::uint8_t>(type));
  append_big_endian(out, static_cast<std::uint64_t>(value.microseconds));
}

void write_date(std::string& out, Date value) {
  append_head(out, 0xd6, static_cast<std::uint8_t>(ext_date));
  append_big_endian(out, static_cast<std::uint32_t>(value.days));
}

void write_array(std::string& out, std::uint32_t size) {
  if (size <= 15) {
    out.push_back(static_cast<char>(0x90 | size));
  } else {
    write_length(out, 0xdc, size);
  }
}

void write_map(std::string& out, std::uint32_t size) {
  if (size <= 15) {
    out.push_back(static_cast<char>(0x80 | size));
  } else {
    write_length(out, 0xde, size);
  }
}

void write_value(std::string& out, const Value& value) {
  std::visit(ValueWriter{out}, value.variant());
}

}  // namespace persisting::msgpack
