// The numeric types of scalars and arrays beside int64 and double: numpy's, and bfloat16.
// Threads: free functions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace persisting {

// The values stand in files: never reuse one.
enum class NumberType : std::uint8_t {
  kInt8 = 1,
  kInt16 = 2,
  kInt32 = 3,
  kInt64 = 4,
  kUInt8 = 5,
  kUInt16 = 6,
  kUInt32 = 7,
  kUInt64 = 8,
  kFloat16 = 9,    // IEEE 754 binary16
  kBFloat16 = 10,  // the upper half of a float32
  kFloat32 = 11,
  kFloat64 = 12,
  kComplex64 = 13,  // two float32, real part first
  kComplex128 = 14,
  kBool = 15,  // one byte, 0 or 1
};

inline constexpr std::uint8_t first_number_type = 1;
inline constexpr std::uint8_t last_number_type = 15;

// Bytes of one value.
std::size_t size_of(NumberType type);

// numpy's name: "float32", "bfloat16", …
std::string_view name_of(NumberType type);
std::optional<NumberType> number_type_named(std::string_view name);

}  // namespace persisting
