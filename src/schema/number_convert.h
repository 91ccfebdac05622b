// Which number types hold the values of which, and how a value moves from one to another.
// Guarantee: a conversion between types of which one holds the other is exact, and gives the same by any
//            path (float16 to float32 to double as float16 to double).
// Threads:   free functions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "persisting/number_type.h"

#include "schema/schema.h"

namespace persisting {

// Integers up to here have a float16, bfloat16, float32 or double of their own; beyond, two may share one.
std::int64_t max_exact_integer_in(NumberType floating);

bool is_integer(NumberType type);
bool is_complex(NumberType type);

// Whether `wide` has every value of `narrow`.
bool holds(NumberType wide, NumberType narrow);

// The smallest type that holds both; nothing where none does.
std::optional<NumberType> smallest_holding(NumberType left, NumberType right);

// A number of any type. Integers are kept as such: not each has a double.
struct AnyNumber {
  enum class Form : std::uint8_t { kSigned, kUnsigned, kReal, kComplex };
  Form form = Form::kReal;
  std::int64_t signed_value = 0;
  std::uint64_t unsigned_value = 0;
  double real = 0;
  double imaginary = 0;

  // Whether its value is beyond 2^53 in magnitude, so that double may not have it. Integers only.
  bool is_inexact() const;
};
AnyNumber load_number(NumberType type, const char* bytes);

// Writes `number` as `type`: size_of(type) bytes, little-endian. False where the type does not have the
// value; with `may_round`, floats are rounded to the nearest, and false is left for those that are too large.
bool store_number(const AnyNumber& number, NumberType type, bool may_round, char* bytes);

// The number type of kInt64, kDouble and kNumber fields; nothing for others. And back.
std::optional<NumberType> number_type_of(const FieldType& type);
void set_number_type(NumberType number, FieldType* type);

}  // namespace persisting
