// Value: one field's value, in the types that a record may hold.
// Threads: a plain value type; thread-compatible.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <variant>
#include <vector>

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

class Value;
using List = std::vector<Value>;
// Named values in the order they were given. Names are unique.
using Struct = std::vector<std::pair<std::string, Value>>;

class Value {
 public:
  using Variant = std::variant<Null, bool, std::int64_t, double, std::string, Bytes, Timestamp,
                               Date, List, Struct>;

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
