#include "schema/number_convert.h"

#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include "schema/exact_double.h"

namespace persisting {
namespace {

// Bits of the integers that a type has: of an integer type those of its magnitude, of a float its mantissa.
struct Range {
  bool is_signed;
  int bits;
};

Range range_of(NumberType type) {
  switch (type) {
    case NumberType::kInt8:
      return {true, 7};
    case NumberType::kInt16:
      return {true, 15};
    case NumberType::kInt32:
      return {true, 31};
    case NumberType::kInt64:
      return {true, 63};
    case NumberType::kUInt8:
      return {false, 8};
    case NumberType::kUInt16:
      return {false, 16};
    case NumberType::kUInt32:
      return {false, 32};
    case NumberType::kUInt64:
      return {false, 64};
    case NumberType::kFloat16:
      return {true, 11};
    case NumberType::kBFloat16:
      return {true, 8};
    case NumberType::kFloat32:
    case NumberType::kComplex64:
      return {true, 24};
    case NumberType::kFloat64:
    case NumberType::kComplex128:
      return {true, 53};
    case NumberType::kBool:
      break;
  }
  return {false, 0};
}

float half_to_float(std::uint16_t half) {
  const std::uint32_t sign = (half & 0x8000U) << 16;
  const std::uint32_t exponent = (half >> 10) & 0x1f;
  const std::uint32_t mantissa = half & 0x3ffU;
  if (exponent == 0x1f) return std::bit_cast<float>(sign | 0x7f800000U | (mantissa << 13));
  if (exponent != 0)
    return std::bit_cast<float>(sign | ((exponent + 112) << 23) | (mantissa << 13));
  // Subnormal: mantissa × 2^-24, which float32 has as a normal number.
  const float value = static_cast<float>(mantissa) * 0x1p-24F;
  return sign == 0 ? value : -value;
}

// Rounds a double to `mantissa_bits` (with the hidden one) and the least exponent of a narrow float, half to even.
double round_to(double value, int mantissa_bits, int least_exponent) {
  if (value == 0 || !std::isfinite(value)) return value;
  const int exponent = std::max(std::ilogb(value), least_exponent);
  const double unit = std::ldexp(1.0, exponent - (mantissa_bits - 1));
  return std::nearbyint(value / unit) * unit;
}

// The bits of a value that is a float16, NaN included.
std::uint16_t half_bits(double value) {
  const auto sign = static_cast<std::uint16_t>(std::signbit(value) ? 0x8000 : 0);
  if (std::isnan(value)) {
    const std::uint32_t payload =
        (std::bit_cast<std::uint32_t>(static_cast<float>(value)) >> 13) & 0x3ff;
    return static_cast<std::uint16_t>(sign | 0x7c00 | (payload == 0 ? 0x200 : payload));
  }
  const double magnitude = std::fabs(value);
  if (std::isinf(magnitude)) return sign | 0x7c00;
  if (magnitude < 0x1p-14)
    return static_cast<std::uint16_t>(sign | static_cast<int>(magnitude * 0x1p24));
  const int exponent = std::ilogb(magnitude);
  const int mantissa = static_cast<int>((std::ldexp(magnitude, -exponent) - 1) * 1024);
  return static_cast<std::uint16_t>(sign | ((exponent + 15) << 10) | mantissa);
}

template <typename T>
T load(const char* bytes) {
  T value;
  std::memcpy(&value, bytes, sizeof(T));
  return value;
}

template <typename T>
bool store(T value, char* bytes) {
  std::memcpy(bytes, &value, sizeof(T));
  return true;
}

bool is_same_real(double left, double right) {
  return left == right || (std::isnan(left) && std::isnan(right));
}

// Writes a double as a real type.
bool store_real(double value, NumberType type, bool may_round, char* bytes) {
  double stored = value;
  switch (type) {
    case NumberType::kFloat16:
      stored = round_to(value, 11, -14);
      if (std::fabs(stored) > 65504 && std::isfinite(value)) return false;
      break;
    case NumberType::kBFloat16:
      stored = round_to(value, 8, -126);
      if (std::isinf(static_cast<float>(stored)) && std::isfinite(value)) return false;
      break;
    case NumberType::kFloat32:
      if (std::isfinite(value) && std::isinf(static_cast<float>(value))) return false;
      stored = static_cast<double>(static_cast<float>(value));
      break;
    default:
      break;
  }
  if (!may_round && !is_same_real(stored, value)) return false;
  if (type == NumberType::kFloat16) return store(half_bits(stored), bytes);
  if (type == NumberType::kFloat64) return store(stored, bytes);
  const auto narrow = static_cast<float>(stored);
  if (type == NumberType::kFloat32) return store(narrow, bytes);
  auto upper = static_cast<std::uint16_t>(std::bit_cast<std::uint32_t>(narrow) >> 16);
  if (std::isnan(narrow)) upper |= 0x40;  // its payload may have been in the lower half
  return store(upper, bytes);
}

template <typename T>
bool store_integer(const AnyNumber& number, char* bytes) {
  if (number.form == AnyNumber::Form::kSigned) {
    if (!std::in_range<T>(number.signed_value)) return false;
    return store(static_cast<T>(number.signed_value), bytes);
  }
  if (number.form != AnyNumber::Form::kUnsigned || !std::in_range<T>(number.unsigned_value))
    return false;
  return store(static_cast<T>(number.unsigned_value), bytes);
}

// Whether a float of that many mantissa bits has the integer.
bool has_integer(const AnyNumber& number, NumberType floating) {
  const std::int64_t limit = max_exact_integer_in(floating);
  if (number.form == AnyNumber::Form::kSigned)
    return number.signed_value >= -limit && number.signed_value <= limit;
  return number.unsigned_value <= static_cast<std::uint64_t>(limit);
}

double as_double(const AnyNumber& number) {
  switch (number.form) {
    case AnyNumber::Form::kSigned:
      return static_cast<double>(number.signed_value);
    case AnyNumber::Form::kUnsigned:
      return static_cast<double>(number.unsigned_value);
    default:
      return number.real;
  }
}

bool store_floating(const AnyNumber& number, NumberType type, bool may_round, char* bytes) {
  const bool from_integer =
      number.form == AnyNumber::Form::kSigned || number.form == AnyNumber::Form::kUnsigned;
  if (from_integer && !has_integer(number, type)) return false;
  if (!is_complex(type)) {
    return number.form != AnyNumber::Form::kComplex &&
           store_real(as_double(number), type, may_round, bytes);
  }
  const NumberType part =
      type == NumberType::kComplex64 ? NumberType::kFloat32 : NumberType::kFloat64;
  return store_real(as_double(number), part, may_round, bytes) &&
         store_real(number.imaginary, part, may_round, bytes + size_of(part));
}

}  // namespace

std::int64_t max_exact_integer_in(NumberType floating) {
  return std::int64_t{1} << range_of(floating).bits;
}

bool is_integer(NumberType type) {
  return type >= NumberType::kInt8 && type <= NumberType::kUInt64;
}

bool is_complex(NumberType type) {
  return type == NumberType::kComplex64 || type == NumberType::kComplex128;
}

bool holds(NumberType wide, NumberType narrow) {
  if (wide == narrow) return true;
  if (wide == NumberType::kBool || narrow == NumberType::kBool) return false;
  const Range to = range_of(wide);
  const Range from = range_of(narrow);
  if (is_integer(narrow)) return to.bits >= from.bits && (to.is_signed || !from.is_signed);
  if (is_integer(wide) || (is_complex(narrow) && !is_complex(wide))) return false;
  // float16 and bfloat16 hold none of each other; above them each holds the one below.
  return to.bits > from.bits ? wide != NumberType::kFloat16
                             : to.bits == from.bits && is_complex(wide);
}

std::optional<NumberType> smallest_holding(NumberType left, NumberType right) {
  static constexpr std::array by_size = {
      NumberType::kInt8,      NumberType::kUInt8,      NumberType::kInt16,   NumberType::kUInt16,
      NumberType::kInt32,     NumberType::kUInt32,     NumberType::kInt64,   NumberType::kUInt64,
      NumberType::kFloat16,   NumberType::kBFloat16,   NumberType::kFloat32, NumberType::kFloat64,
      NumberType::kComplex64, NumberType::kComplex128, NumberType::kBool};
  for (const NumberType type : by_size) {
    if (holds(type, left) && holds(type, right)) return type;
  }
  return std::nullopt;
}

bool AnyNumber::is_inexact() const {
  return (form == Form::kSigned && !is_exact_double(signed_value)) ||
         (form == Form::kUnsigned && unsigned_value > std::uint64_t{max_exact_integer});
}

AnyNumber load_number(NumberType type, const char* bytes) {
  AnyNumber number;
  const auto set_signed = [&](std::int64_t value) {
    number.form = AnyNumber::Form::kSigned;
    number.signed_value = value;
  };
  const auto set_unsigned = [&](std::uint64_t value) {
    number.form = AnyNumber::Form::kUnsigned;
    number.unsigned_value = value;
  };
  switch (type) {
    case NumberType::kInt8:
      set_signed(load<std::int8_t>(bytes));
      break;
    case NumberType::kInt16:
      set_signed(load<std::int16_t>(bytes));
      break;
    case NumberType::kInt32:
      set_signed(load<std::int32_t>(bytes));
      break;
    case NumberType::kInt64:
      set_signed(load<std::int64_t>(bytes));
      break;
    case NumberType::kBool:
    case NumberType::kUInt8:
      set_unsigned(load<std::uint8_t>(bytes));
      break;
    case NumberType::kUInt16:
      set_unsigned(load<std::uint16_t>(bytes));
      break;
    case NumberType::kUInt32:
      set_unsigned(load<std::uint32_t>(bytes));
      break;
    case NumberType::kUInt64:
      set_unsigned(load<std::uint64_t>(bytes));
      break;
    case NumberType::kFloat16:
      number.real = static_cast<double>(half_to_float(load<std::uint16_t>(bytes)));
      break;
    case NumberType::kBFloat16:
      number.real = static_cast<double>(
          std::bit_cast<float>(std::uint32_t{load<std::uint16_t>(bytes)} << 16));
      break;
    case NumberType::kFloat32:
      number.real = static_cast<double>(load<float>(bytes));
      break;
    case NumberType::kFloat64:
      number.real = load<double>(bytes);
      break;
    case NumberType::kComplex64:
      number.form = AnyNumber::Form::kComplex;
      number.real = static_cast<double>(load<float>(bytes));
      number.imaginary = static_cast<double>(load<float>(bytes + sizeof(float)));
      break;
    case NumberType::kComplex128:
      number.form = AnyNumber::Form::kComplex;
      number.real = load<double>(bytes);
      number.imaginary = load<double>(bytes + sizeof(double));
      break;
  }
  return number;
}

bool store_number(const AnyNumber& number, NumberType type, bool may_round, char* bytes) {
  switch (type) {
    case NumberType::kInt8:
      return store_integer<std::int8_t>(number, bytes);
    case NumberType::kInt16:
      return store_integer<std::int16_t>(number, bytes);
    case NumberType::kInt32:
      return store_integer<std::int32_t>(number, bytes);
    case NumberType::kInt64:
      return store_integer<std::int64_t>(number, bytes);
    case NumberType::kUInt8:
      return store_integer<std::uint8_t>(number, bytes);
    case NumberType::kUInt16:
      return store_integer<std::uint16_t>(number, bytes);
    case NumberType::kUInt32:
      return store_integer<std::uint32_t>(number, bytes);
    case NumberType::kUInt64:
      return store_integer<std::uint64_t>(number, bytes);
    case NumberType::kBool:
      return false;  // numbers and truth values do not mix
    default:
      return store_floating(number, type, may_round, bytes);
  }
}

std::optional<NumberType> number_type_of(const FieldType& type) {
  switch (type.kind) {
    case TypeKind::kInt64:
      return NumberType::kInt64;
    case TypeKind::kDouble:
      return NumberType::kFloat64;
    case TypeKind::kNumber:
      return type.number;
    default:
      return std::nullopt;
  }
}

void set_number_type(NumberType number, FieldType* type) {
  type->kind = number == NumberType::kInt64     ? TypeKind::kInt64
               : number == NumberType::kFloat64 ? TypeKind::kDouble
                                                : TypeKind::kNumber;
  type->number = type->kind == TypeKind::kNumber ? number : NumberType::kFloat64;
  if (!is_integer(number)) type->has_inexact_integers = false;
}

}  // namespace persisting
