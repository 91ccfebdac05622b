// Value: one field's value, in the types that a record may hold.
// Threads: a plain value type; thread-compatible.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "persisting/number_type.h"

namespace persisting {

struct Null {
  bool operator==(const Null&) const = default;
};

// Uninterpreted bytes, kept apart from text.
struct Bytes {
  std::string data;
  bool operator==(const Bytes&) const = default;
};

// Microseconds since 1970-01-01T00:00:00. With `utc` an instant (Python: an aware datetime, which
// comes back in UTC); without it a wall-clock reading of no known zone (a naive datetime).
struct Timestamp {
  std::int64_t microseconds = 0;
  bool utc = true;
  bool operator==(const Timestamp&) const = default;
};

// Days since 1970-01-01.
struct Date {
  std::int32_t days = 0;
  bool operator==(const Date&) const = default;
};

// A number of a type other than int64 and double: numpy's scalars.
struct Number {
  // Any but kInt64, kFloat64 and kBool, which std::int64_t, double and bool stand for.
  NumberType type = NumberType::kFloat32;
  // Little-endian; bytes behind size_of(type) are zero.
  std::array<char, 16> bytes{};

  // Of the arithmetic type that NumberType names. (float16, bfloat16: give their bits as uint16_t.)
  template <typename T>
  static Number of(NumberType type, T value) {
    static_assert(std::is_trivially_copyable_v<T> && sizeof(T) <= 16);
    Number number{type, {}};
    std::memcpy(number.bytes.data(), &value, sizeof(T));
    return number;
  }
  template <typename T>
  T as() const {
    T value;
    std::memcpy(&value, bytes.data(), sizeof(T));
    return value;
  }
  bool operator==(const Number&) const = default;
};

// An array of numbers with any number of dimensions: numpy's arrays, vectors.
struct Tensor {
  NumberType type = NumberType::kFloat32;
  std::vector<std::uint32_t> shape;
  std::string data;  // row-major, little-endian; product of the shape × size_of(type) bytes
  bool operator==(const Tensor&) const = default;
};

// coefficient × 10^-scale, of at most 38 digits.
struct Decimal {
  __extension__ using Coefficient = __int128;
  Coefficient coefficient = 0;
  std::uint8_t scale = 0;  // digits right of the point, at most 38
  bool operator==(const Decimal&) const = default;
};

// In the byte order of its text form (RFC 9562).
struct Uuid {
  std::array<char, 16> bytes{};
  bool operator==(const Uuid&) const = default;
};

class Value;
using List = std::vector<Value>;
// Named values in the order they were given. Names are unique.
using Struct = std::vector<std::pair<std::string, Value>>;

class Value {
 public:
  using Variant = std::variant<Null, bool, std::int64_t, double, std::string, Bytes, Timestamp,
                               Date, Number, Tensor, Decimal, Uuid, List, Struct>;

  Value() = default;
  // Implicit, so that fields are written as {{"id", 1}, {"name", "x"}}.
  // NOLINTBEGIN(google-explicit-constructor)
  Value(Null) {}
  Value(bool value) : variant_(value) {}
  Value(int value) : variant_(std::int64_t{value}) {}
  Value(std::int64_t value) : variant_(value) {}
  Value(double value) : variant_(value) {}
  Value(const char* value) : variant_(std::string(value)) {}
  Value(std::string value) : variant_(std::move(value)) {}
  Value(Bytes value) : variant_(std::move(value)) {}
  Value(Timestamp value) : variant_(value) {}
  Value(Date value) : variant_(value) {}
  Value(Number value) : variant_(value) {}
  Value(Tensor value) : variant_(std::move(value)) {}
  Value(Decimal value) : variant_(value) {}
  Value(Uuid value) : variant_(value) {}
  Value(List value) : variant_(std::move(value)) {}
  Value(Struct value) : variant_(std::move(value)) {}
  // NOLINTEND(google-explicit-constructor)

  const Variant& variant() const { return variant_; }

  template <typename T>
  const T* get_if() const {
    return std::get_if<T>(&variant_);
  }
  bool is_null() const { return std::holds_alternative<Null>(variant_); }

  bool operator==(const Value&) const = default;

 private:
  Variant variant_;
};

}  // namespace persisting
