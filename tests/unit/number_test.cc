// Numbers of every type: which hold which, and that conversions are exact, or round to the nearest.
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <iostream>
#include <limits>
#include <map>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "schema/number_convert.h"
#include "support/seeds.h"

namespace persisting {
namespace {

using enum NumberType;

std::vector<NumberType> all_types() {
  std::vector<NumberType> types;
  for (std::uint8_t code = first_number_type; code <= last_number_type; ++code)
    types.push_back(static_cast<NumberType>(code));
  return types;
}

template <typename T>
std::string bytes_of(T value) {
  std::string bytes(sizeof(T), '\0');
  std::memcpy(bytes.data(), &value, sizeof(T));
  return bytes;
}

template <typename T>
T value_of(const std::string& bytes) {
  T value;
  EXPECT_EQ(bytes.size(), sizeof(T));
  std::memcpy(&value, bytes.data(), sizeof(T));
  return value;
}

// The bytes as another type; "refused" where it does not have the value.
std::string converted(const std::string& bytes, NumberType from, NumberType to, bool may_round) {
  std::string out(16, '\x55');
  if (!store_number(load_number(from, bytes.data()), to, may_round, out.data())) return "refused";
  EXPECT_EQ(out.substr(size_of(to)), std::string(16 - size_of(to), '\x55'));
  return out.substr(0, size_of(to));
}

template <typename T>
std::vector<std::string> integers() {
  using Limits = std::numeric_limits<T>;
  return {bytes_of<T>(0), bytes_of<T>(1), bytes_of(Limits::min()), bytes_of(Limits::max()),
          bytes_of<T>(Limits::max() - 1)};
}

template <typename T>
std::vector<std::string> floats() {
  using Limits = std::numeric_limits<T>;
  return {bytes_of<T>(0),
          bytes_of(-T{0}),
          bytes_of(T{1} + Limits::epsilon()),
          bytes_of(Limits::max()),
          bytes_of(Limits::lowest()),
          bytes_of(Limits::denorm_min()),
          bytes_of(Limits::infinity()),
          bytes_of(Limits::quiet_NaN())};
}

template <typename T>
std::vector<std::string> complex() {
  std::vector<std::string> values;
  for (const std::string& part : floats<T>()) {
    values.push_back(part + bytes_of<T>(0));
    values.push_back(bytes_of<T>(1) + part);
  }
  return values;
}

// Values that tell a type from all others.
std::vector<std::string> edges(NumberType type) {
  switch (type) {
    case kInt8:
      return integers<std::int8_t>();
    case kInt16:
      return integers<std::int16_t>();
    case kInt32:
      return integers<std::int32_t>();
    case kInt64:
      return integers<std::int64_t>();
    case kUInt8:
      return integers<std::uint8_t>();
    case kUInt16:
      return integers<std::uint16_t>();
    case kUInt32:
      return integers<std::uint32_t>();
    case kUInt64:
      return integers<std::uint64_t>();
    case kFloat16:  // zeros, 1 + the least, largest, smallest, infinite, NaN
      return {bytes_of<std::uint16_t>(0),      bytes_of<std::uint16_t>(0x8000),
              bytes_of<std::uint16_t>(0x3c01), bytes_of<std::uint16_t>(0x7bff),
              bytes_of<std::uint16_t>(0x8001), bytes_of<std::uint16_t>(0xfc00),
              bytes_of<std::uint16_t>(0x7e00)};
    case kBFloat16:
      return {bytes_of<std::uint16_t>(0),      bytes_of<std::uint16_t>(0x8000),
              bytes_of<std::uint16_t>(0x3f81), bytes_of<std::uint16_t>(0x7f7f),
              bytes_of<std::uint16_t>(0x8001), bytes_of<std::uint16_t>(0xff80),
              bytes_of<std::uint16_t>(0x7fc0)};
    case kFloat32:
      return floats<float>();
    case kFloat64:
      return floats<double>();
    case kComplex64:
      return complex<float>();
    case kComplex128:
      return complex<double>();
    case kBool:
      break;
  }
  return {std::string(1, '\0'), "\x01"};
}

TEST(NumberType, NamesComeBack) {
  for (const NumberType type : all_types()) {
    EXPECT_EQ(number_type_named(name_of(type)), type);
    EXPECT_EQ(edges(type).front().size(), size_of(type));
  }
  EXPECT_EQ(number_type_named(""), std::nullopt);
  EXPECT_EQ(number_type_named("float"), std::nullopt);
}

TEST(Numbers, ATypeHoldsAnotherIfItHasAllItsValues) {
  for (const NumberType wide : all_types()) {
    for (const NumberType narrow : all_types()) {
      if (wide == kBool || narrow == kBool) {
        EXPECT_EQ(holds(wide, narrow), wide == narrow);
        continue;
      }
      bool has_all = true;
      for (const std::string& value : edges(narrow))
        has_all &= converted(value, narrow, wide, false) != "refused";
      EXPECT_EQ(holds(wide, narrow), has_all) << name_of(wide) << " of " << name_of(narrow);
    }
  }
}

TEST(Numbers, TheSmallestThatHoldsBoth) {
  for (const NumberType left : all_types()) {
    for (const NumberType right : all_types()) {
      const std::optional<NumberType> smallest = smallest_holding(left, right);
      EXPECT_EQ(smallest, smallest_holding(right, left));
      for (const NumberType other : all_types()) {
        if (!holds(other, left) || !holds(other, right)) continue;
        ASSERT_TRUE(smallest) << name_of(left) << name_of(right);
        EXPECT_GE(size_of(other), size_of(*smallest)) << name_of(left) << name_of(right);
      }
      if (!smallest) continue;
      EXPECT_TRUE(holds(*smallest, left) && holds(*smallest, right));
      EXPECT_TRUE(*smallest == left || !holds(left, right));
    }
  }
  EXPECT_EQ(smallest_holding(kUInt8, kInt8), kInt16);
  EXPECT_EQ(smallest_holding(kUInt32, kInt32), kInt64);
  EXPECT_EQ(smallest_holding(kUInt64, kInt64), std::nullopt);
  EXPECT_EQ(smallest_holding(kFloat16, kBFloat16), kFloat32);
  EXPECT_EQ(smallest_holding(kInt32, kFloat32), kFloat64);
  EXPECT_EQ(smallest_holding(kInt64, kFloat64), std::nullopt);
  EXPECT_EQ(smallest_holding(kFloat64, kComplex64), kComplex128);
}

// Back to where they came from and by every other way: the same bits.
TEST(Numbers, ConversionsAreExactByAnyPath) {
  for (const NumberType from : all_types()) {
    for (const NumberType to : all_types()) {
      if (from == kBool || !holds(to, from)) continue;
      for (const std::string& value : edges(from)) {
        const std::string direct = converted(value, from, to, false);
        EXPECT_EQ(converted(value, from, to, true), direct);
        if (!is_integer(from) && is_complex(from) == is_complex(to)) {
          EXPECT_EQ(converted(direct, to, from, false), value) << name_of(from) << name_of(to);
        }
        for (const NumberType between : all_types()) {
          if (between == kBool || !holds(between, from) || !holds(to, between)) continue;
          EXPECT_EQ(converted(converted(value, from, between, false), between, to, false), direct)
              << name_of(from) << " " << name_of(between) << " " << name_of(to);
        }
      }
    }
  }
}

bool is_quiet(std::uint16_t bits, NumberType type) {
  return (bits & (type == kFloat16 ? 0x200 : 0x40)) != 0;
}

TEST(Numbers, EveryFloatOf16BitsComesBack) {
  for (const NumberType type : {kFloat16, kBFloat16}) {
    for (std::uint32_t code = 0; code <= 0xffff; ++code) {
      const auto bits = static_cast<std::uint16_t>(code);
      const std::string value = bytes_of(bits);
      const double real = load_number(type, value.data()).real;
      EXPECT_EQ(std::signbit(real), bits >= 0x8000);
      // Of NaNs the processor sets the quiet bit; all other bits of the payload stay.
      std::uint16_t expected = bits;
      if (std::isnan(real) && !is_quiet(bits, type)) expected |= type == kFloat16 ? 0x200 : 0x40;
      for (const NumberType over : {type, kFloat32, kFloat64, kComplex64, kComplex128}) {
        std::string there = converted(value, type, over, false);
        if (is_complex(over)) {
          const NumberType part = over == kComplex64 ? kFloat32 : kFloat64;
          there = converted(there.substr(0, size_of(part)), part, type, false);
        } else {
          there = converted(there, over, type, false);
        }
        ASSERT_EQ(value_of<std::uint16_t>(there), expected) << code << name_of(over);
      }
    }
  }
}

// What IEEE 754 says of a float of 16 bits, by its fields.
double meaning(std::uint32_t bits, int mantissa_bits, int bias) {
  const auto mantissa = static_cast<int>(bits & ((1U << mantissa_bits) - 1));
  const auto exponent = static_cast<int>((bits & 0x7fff) >> mantissa_bits);
  if (exponent == 0) return std::ldexp(mantissa, 1 - bias - mantissa_bits);
  return std::ldexp(mantissa + (1 << mantissa_bits), exponent - bias - mantissa_bits);
}

// All finite ones that are not negative, by value.
std::vector<double> finite_values(NumberType type) {
  const int mantissa_bits = type == kFloat16 ? 10 : 7;
  const int bias = type == kFloat16 ? 15 : 127;
  const std::uint32_t infinite = type == kFloat16 ? 0x7c00 : 0x7f80;
  std::vector<double> values;
  for (std::uint32_t bits = 0; bits < infinite; ++bits)
    values.push_back(meaning(bits, mantissa_bits, bias));
  return values;
}

TEST(Numbers, FloatsOf16BitsRoundToTheNearestAndHalfToEven) {
  for (const NumberType type : {kFloat16, kBFloat16}) {
    const std::vector<double> values = finite_values(type);
    const auto rounded = [type](double value) {
      const std::string out = converted(bytes_of(value), kFloat64, type, true);
      return out == "refused" ? -1 : int{value_of<std::uint16_t>(out)};
    };
    for (std::size_t i = 0; i + 1 < values.size(); ++i) {
      const auto bits = static_cast<int>(i);
      const double middle = values[i] + (values[i + 1] - values[i]) / 2;
      const int even = i % 2 == 0 ? bits : bits + 1;
      ASSERT_EQ(rounded(values[i]), bits);
      ASSERT_EQ(rounded(middle), even);
      ASSERT_EQ(rounded(std::nextafter(middle, 0.0)), bits);
      ASSERT_EQ(rounded(std::nextafter(middle, HUGE_VAL)), bits + 1);
      ASSERT_EQ(rounded(-middle), even + 0x8000);
      ASSERT_EQ(converted(bytes_of(middle), kFloat64, type, false), "refused");
    }
    const double step = values.back() - values[values.size() - 2];
    const double first_refused = values.back() + step / 2;
    EXPECT_EQ(rounded(first_refused), -1);
    EXPECT_EQ(rounded(-first_refused), -1);
    EXPECT_EQ(rounded(std::numeric_limits<double>::max()), -1);
    EXPECT_EQ(rounded(std::nextafter(first_refused, 0.0)), static_cast<int>(values.size()) - 1);
  }
}

TEST(Numbers, Float32RoundsToTheNearestAndHalfToEven) {
  testing::with_seeds(20'000, [](std::mt19937_64& random) {
    const auto low = std::bit_cast<float>(static_cast<std::uint32_t>(random()) & 0x7fffffffU);
    const float high = std::nextafter(low, HUGE_VALF);
    if (!std::isfinite(low) || !std::isfinite(high)) return;
    const double middle = (static_cast<double>(low) + static_cast<double>(high)) / 2;
    const bool is_even = std::bit_cast<std::uint32_t>(low) % 2 == 0;
    const auto rounded = [](double value) {
      return value_of<float>(converted(bytes_of(value), kFloat64, kFloat32, true));
    };
    EXPECT_EQ(rounded(middle), is_even ? low : high);
    EXPECT_EQ(rounded(std::nextafter(middle, 0.0)), low);
    EXPECT_EQ(rounded(std::nextafter(middle, HUGE_VAL)), high);
  });
  const std::string beyond = bytes_of(0x1.ffffffp127);  // halfway to 2^128
  EXPECT_EQ(converted(beyond, kFloat64, kFloat32, true), "refused");
  EXPECT_EQ(converted(bytes_of(1e300), kFloat64, kComplex64, true), "refused");
}

TEST(Numbers, IntegersAreNeverRounded) {
  for (const NumberType type : {kFloat16, kBFloat16, kFloat32, kFloat64, kComplex64}) {
    const std::int64_t most = max_exact_integer_in(type);
    for (const std::int64_t sign : {1, -1}) {
      EXPECT_NE(converted(bytes_of(sign * most), kInt64, type, false), "refused");
      EXPECT_EQ(converted(bytes_of(sign * (most + 1)), kInt64, type, true), "refused");
    }
    EXPECT_EQ(converted(bytes_of(std::numeric_limits<std::uint64_t>::max()), kUInt64, type, true),
              "refused");
  }
  EXPECT_EQ(converted(bytes_of(std::int64_t{-1}), kInt64, kUInt64, true), "refused");
  EXPECT_EQ(converted(bytes_of(std::uint64_t{1} << 63), kUInt64, kInt64, true), "refused");
  EXPECT_EQ(converted(bytes_of(200.0), kFloat64, kUInt8, true), "refused");
  EXPECT_EQ(converted(bytes_of(std::int64_t{1}), kInt64, kBool, true), "refused");
}

TEST(Numbers, SignsOfZeroAndNanStay) {
  for (const double value : {-0.0, std::copysign(std::numeric_limits<double>::quiet_NaN(), -1.0)}) {
    for (const NumberType type : {kFloat16, kBFloat16, kFloat32, kFloat64, kComplex128}) {
      const std::string stored = converted(bytes_of(value), kFloat64, type, false);
      ASSERT_NE(stored, "refused");
      EXPECT_TRUE(std::signbit(load_number(type, stored.data()).real)) << name_of(type);
    }
  }
}

TEST(Numbers, KnowWhichHaveNoDouble) {
  constexpr std::int64_t limit = std::int64_t{1} << 53;
  const auto is_inexact = [](NumberType type, const std::string& bytes) {
    return load_number(type, bytes.data()).is_inexact();
  };
  EXPECT_FALSE(is_inexact(kInt64, bytes_of(limit)));
  EXPECT_FALSE(is_inexact(kInt64, bytes_of(-limit)));
  EXPECT_TRUE(is_inexact(kInt64, bytes_of(-limit - 1)));
  EXPECT_TRUE(is_inexact(kUInt64, bytes_of(limit + 1)));
  EXPECT_FALSE(is_inexact(kUInt64, bytes_of(limit)));
  EXPECT_FALSE(is_inexact(kFloat64, bytes_of(1e300)));
}

}  // namespace
}  // namespace persisting
