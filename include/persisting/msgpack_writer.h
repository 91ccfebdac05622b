// Appends MessagePack to a byte buffer: the encoder of records.
// Each number takes its shortest form, so that equal values have equal bytes.
// Source: the MessagePack specification, version 2013-08-11 with the ext types.
// Threads: none of its own; free functions over the caller's buffer.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>

#include "persisting/value.h"

namespace persisting::msgpack {

// The extension types of records.
inline constexpr std::int8_t ext_timestamp_utc = 1;
inline constexpr std::int8_t ext_timestamp_naive = 2;
inline constexpr std::int8_t ext_date = 3;
inline constexpr std::int8_t ext_number = 4;
inline constexpr std::int8_t ext_tensor = 5;
inline constexpr std::int8_t ext_decimal = 6;
inline constexpr std::int8_t ext_uuid = 7;

inline constexpr std::size_t max_dimensions = 64;  // numpy's
inline constexpr int max_decimal_digits = 38;      // Arrow's decimal128

// For encoders that have made room: these store at `to` and return how many bytes they took, of numbers and heads at most
// this many.
inline constexpr std::size_t largest_head = 9;

// A head byte and `value` behind it, most significant byte first.
template <typename T>
std::size_t store_head(char* to, std::uint8_t head, T value) {
  static_assert(std::is_unsigned_v<T> && std::endian::native == std::endian::little);
  if constexpr (sizeof(T) == 2) value = __builtin_bswap16(value);
  if constexpr (sizeof(T) == 4) value = __builtin_bswap32(value);
  if constexpr (sizeof(T) == 8) value = __builtin_bswap64(value);
  *to = static_cast<char>(head);
  std::memcpy(to + 1, &value, sizeof(T));
  return 1 + sizeof(T);
}

inline std::size_t store_int(char* to, std::int64_t value) {
  const auto bits = static_cast<std::uint64_t>(value);
  if (value >= -32 && value <= 0x7f) {
    *to = static_cast<char>(value);
    return 1;
  }
  if (value >= 0) {
    if (value <= UINT8_MAX) return store_head(to, 0xcc, static_cast<std::uint8_t>(bits));
    if (value <= UINT16_MAX) return store_head(to, 0xcd, static_cast<std::uint16_t>(bits));
    if (value <= UINT32_MAX) return store_head(to, 0xce, static_cast<std::uint32_t>(bits));
    return store_head(to, 0xcf, bits);
  }
  if (value >= INT8_MIN) return store_head(to, 0xd0, static_cast<std::uint8_t>(bits));
  if (value >= INT16_MIN) return store_head(to, 0xd1, static_cast<std::uint16_t>(bits));
  if (value >= INT32_MIN) return store_head(to, 0xd2, static_cast<std::uint32_t>(bits));
  return store_head(to, 0xd3, bits);
}

inline std::size_t store_double(char* to, double value) {
  return store_head(to, 0xcb, std::bit_cast<std::uint64_t>(value));
}

// The head of an item whose length has a 16-bit form at `head16` and a 32-bit form after it.
inline std::size_t store_length(char* to, std::uint8_t head16, std::size_t length) {
  if (length <= UINT16_MAX) return store_head(to, head16, static_cast<std::uint16_t>(length));
  return store_head(to, static_cast<std::uint8_t>(head16 + 1), static_cast<std::uint32_t>(length));
}

// Heads; the text, or the pairs, follow.
inline std::size_t store_string_head(char* to, std::size_t length) {
  if (length <= 31) {
    *to = static_cast<char>(0xa0 | length);
    return 1;
  }
  if (length <= UINT8_MAX) return store_head(to, 0xd9, static_cast<std::uint8_t>(length));
  return store_length(to, 0xda, length);
}
inline std::size_t store_map_head(char* to, std::size_t size) {
  if (size > 15) return store_length(to, 0xde, size);
  *to = static_cast<char>(0x80 | size);
  return 1;
}

void write_nil(std::string& out);
void write_bool(std::string& out, bool value);
void write_int(std::string& out, std::int64_t value);
void write_double(std::string& out, double value);
// Trusts that `text` is UTF-8. Lengths up to 2^32 - 1.
void write_string(std::string& out, std::string_view text);
void write_bytes(std::string& out, std::string_view data);
void write_timestamp(std::string& out, Timestamp value);
void write_date(std::string& out, Date value);
void write_number(std::string& out, const Number& value);
void write_decimal(std::string& out, Decimal value);
void write_uuid(std::string& out, const Uuid& value);
void write_tensor(std::string& out, const Tensor& value);
// All of a tensor but its data, which must follow: product of the shape × size_of(type) bytes.
void write_tensor_head(std::string& out, NumberType type, std::span<const std::uint32_t> shape);
// Heads; the elements follow.
void write_array(std::string& out, std::uint32_t size);
void write_map(std::string& out, std::uint32_t size);

void write_value(std::string& out, const Value& value);

}  // namespace persisting::msgpack
