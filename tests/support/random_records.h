// Random values of every type a record holds, and random schemas to declare for them.
// A Plan says for each field which values it mostly brings; so records meet in the same fields, types widen and grow often, and
// conflict now and then.
// Threads: thread-compatible.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "persisting/value.h"

namespace persisting::testing {

class RandomValues {
 public:
  explicit RandomValues(std::mt19937_64& random) : random_(random) {}

  std::uint64_t below(std::uint64_t limit) { return random_() % limit; }
  bool one_in(std::uint64_t count) { return below(count) == 0; }
  template <typename T, std::size_t n>
  T one_of(const T (&choices)[n]) {
    return choices[below(n)];
  }

  std::int64_t integer() {
    constexpr std::int64_t limit = std::int64_t{1} << 53;
    if (!one_in(6)) return static_cast<std::int64_t>(below(300)) - 150;
    return one_of<std::int64_t>({limit, limit - 1, limit + 1, -limit, -limit - 1, INT64_MIN,
                                 INT64_MAX, 70000, -40000, 2049, std::int64_t{1} << 31,
                                 static_cast<std::int64_t>(random_())});
  }

  double real() {
    if (one_in(3)) return static_cast<double>(below(40)) / 4 - 3;
    if (one_in(4)) return std::bit_cast<double>(random_());  // NaN of any payload too
    constexpr double infinity = std::numeric_limits<double>::infinity();
    return one_of<double>({0.0, -0.0, 0.1, infinity, -infinity, 1e300, 5e-324, 65504, 65520, 3e38,
                           0x1p53, 0x1p53 + 2, 1e16, std::numeric_limits<double>::quiet_NaN(),
                           -std::numeric_limits<double>::quiet_NaN()});
  }

  std::string text() {
    static const std::array<std::string, 7> known = {
        "", "x", "grün 𝄞", std::string("nul\0inside", 10), "\"quoted\\\"\n", "[1, 2]", "5"};
    if (one_in(10)) return std::string(300, 'y');
    return known[below(known.size())];
  }

  std::string bytes(std::size_t size) {
    std::string made(size, '\0');
    for (char& byte : made) byte = static_cast<char>(random_());
    return made;
  }

  NumberType number_type() {
    return static_cast<NumberType>(first_number_type + below(last_number_type));
  }

  // The bytes of one value of the type.
  std::string number_bytes(NumberType type) {
    if (type == NumberType::kBool) return {static_cast<char>(below(2))};
    if (one_in(4)) return bytes(size_of(type));
    const auto part = [this](auto value) {
      std::string made(sizeof(value), '\0');
      std::memcpy(made.data(), &value, sizeof(value));
      return made;
    };
    const auto narrow = [this] { return static_cast<float>(one_in(2) ? 0.25 * integer8() : 1.5); };
    switch (type) {
      case NumberType::kFloat16:
        return part(
            one_of<std::uint16_t>({0x3c00, 0x8000, 0x7c00, 0x7e01, 0x7c01, 0x0001, 0x7bff}));
      case NumberType::kBFloat16:
        return part(
            one_of<std::uint16_t>({0x3f80, 0x8000, 0x7f80, 0x7fc1, 0x7f81, 0x0001, 0x7f7f}));
      case NumberType::kFloat32:
        return part(narrow());
      case NumberType::kFloat64:
        return part(real());
      case NumberType::kComplex64:
        return part(narrow()) + part(one_in(2) ? 0.0F : narrow());
      case NumberType::kComplex128:
        return part(real()) + part(one_in(2) ? 0.0 : real());
      default:  // integers
        return part(static_cast<std::int64_t>(integer8())).substr(0, size_of(type));
    }
  }

  Number number() {
    while (true) {
      Number made{number_type(), {}};
      if (made.type == NumberType::kInt64 || made.type == NumberType::kFloat64 ||
          made.type == NumberType::kBool) {
        continue;
      }
      const std::string bytes = number_bytes(made.type);
      std::memcpy(made.bytes.data(), bytes.data(), bytes.size());
      return made;
    }
  }

  std::vector<std::uint32_t> shape() {
    std::vector<std::uint32_t> made(below(5));
    for (std::uint32_t& extent : made)
      extent = one_in(6) ? 0 : 1 + static_cast<std::uint32_t>(below(3));
    return made;
  }

  Tensor tensor(NumberType type, std::vector<std::uint32_t> shape) {
    Tensor made{type, std::move(shape), {}};
    std::uint64_t count = 1;
    for (const std::uint32_t extent : made.shape) count *= extent;
    for (std::uint64_t i = 0; i < count; ++i) made.data += number_bytes(type);
    return made;
  }

  Decimal decimal() {
    Decimal made;
    made.scale = static_cast<std::uint8_t>(one_in(8) ? below(39) : below(4));
    const std::uint64_t digits = one_in(8) ? below(39) : below(6);
    for (std::uint64_t i = 0; i < digits; ++i)
      made.coefficient = made.coefficient * 10 + static_cast<int>(one_in(3) ? 0 : below(10));
    if (one_in(2)) made.coefficient = -made.coefficient;
    return made;
  }

  Uuid uuid() {
    Uuid made;
    const std::string random = bytes(16);
    std::ranges::copy(random, made.bytes.begin());
    return made;
  }

  // A value of any type, nested `depth` deep.
  Value anything(int depth) {
    switch (below(depth > 0 ? 16 : 13)) {
      case 0:
        return Null{};
      case 1:
        return one_in(2);
      case 2:
      case 3:
        return integer();
      case 4:
        return real();
      case 5:
        return text();
      case 6:
        return Bytes{bytes(below(4))};
      case 7:
        return Timestamp{one_in(3) ? static_cast<std::int64_t>(random_()) : integer(), one_in(2)};
      case 8:
        return Date{static_cast<std::int32_t>(random_())};
      case 9:
        return number();
      case 10:
        return tensor(number_type(), shape());
      case 11:
        return decimal();
      case 12:
        return uuid();
      case 13: {
        List made(below(4));
        for (Value& element : made) element = anything(depth - 1);
        return made;
      }
      default: {
        Struct made;
        for (const char* name : {"m", "n", "", "grün"}) {
          if (one_in(2)) made.emplace_back(name, anything(depth - 1));
        }
        return made;
      }
    }
  }

 private:
  int integer8() { return static_cast<int>(below(256)) - 128; }

  std::mt19937_64& random_;
};

// What a field mostly holds.
struct Plan {
  enum class Kind : std::uint8_t {
    kBool,
    kInteger,
    kReal,
    kNumber,
    kText,
    kBytes,
    kTime,
    kDate,
    kTensor,
    kDecimal,
    kUuid,
    kAnything,
    kList,
    kStruct,
  };
  Kind kind = Kind::kBool;
  bool is_utc = false;
  // kTensor; kNumber keeps to a few types, so that something holds them.
  std::vector<NumberType> numbers;
  std::vector<std::uint32_t> shape;
  std::vector<Plan> children;  // of kList one, of kStruct some
};

inline Plan random_plan(RandomValues& values, int depth) {
  Plan plan;
  plan.kind = static_cast<Plan::Kind>(values.below(depth > 0 ? 17 : 12) % 14);
  if (values.one_in(4)) plan.kind = Plan::Kind::kNumber;
  plan.is_utc = values.one_in(2);
  for (int i = 0; i < 3; ++i) plan.numbers.push_back(values.number_type());
  plan.shape = values.shape();
  const std::size_t children = plan.kind == Plan::Kind::kList     ? 1
                               : plan.kind == Plan::Kind::kStruct ? values.below(5)
                                                                  : 0;
  for (std::size_t i = 0; i < children; ++i)
    plan.children.push_back(random_plan(values, depth - 1));
  return plan;
}

inline constexpr std::array<const char*, 4> member_names = {"m", "n", "", "grün"};

// A value as planned, but for one in `surprises`.
inline Value random_value(RandomValues& values, const Plan& plan, std::uint64_t surprises) {
  if (values.one_in(8)) return Null{};
  if (values.one_in(surprises)) return values.anything(2);
  switch (plan.kind) {
    case Plan::Kind::kBool:
      return values.one_in(2);
    case Plan::Kind::kInteger:
      return values.integer();
    case Plan::Kind::kReal:
      return values.one_in(3) ? Value(values.integer()) : Value(values.real());
    case Plan::Kind::kNumber: {
      const NumberType type = plan.numbers[values.below(plan.numbers.size())];
      const std::string bytes = values.number_bytes(type);
      Number made{type, {}};
      std::memcpy(made.bytes.data(), bytes.data(), bytes.size());
      if (type == NumberType::kInt64 || type == NumberType::kBool) return values.integer();
      if (type == NumberType::kFloat64) return made.as<double>();
      return made;
    }
    case Plan::Kind::kText:
      return values.text();
    case Plan::Kind::kBytes:
      return Bytes{values.bytes(values.below(5))};
    case Plan::Kind::kTime:
      return Timestamp{values.integer(), plan.is_utc};
    case Plan::Kind::kDate:
      return Date{static_cast<std::int32_t>(values.integer())};
    case Plan::Kind::kTensor:
      if (values.one_in(20)) return List(plan.shape.empty() ? 2 : plan.shape[0], Value(1));
      return values.tensor(plan.numbers[values.below(2)], plan.shape);
    case Plan::Kind::kDecimal:
      return values.one_in(4) ? Value(values.integer()) : Value(values.decimal());
    case Plan::Kind::kUuid:
      return values.uuid();
    case Plan::Kind::kAnything:
      return values.anything(2);
    case Plan::Kind::kList: {
      List made(values.below(4));
      for (Value& element : made) element = random_value(values, plan.children[0], 2 * surprises);
      return made;
    }
    case Plan::Kind::kStruct:
      break;
  }
  Struct made;
  for (std::size_t i = 0; i < plan.children.size(); ++i) {
    if (!values.one_in(4))
      made.emplace_back(member_names[i], random_value(values, plan.children[i], 2 * surprises));
  }
  if (values.one_in(3)) std::ranges::reverse(made);
  return made;
}

// A type to declare for such values, as parse_declaration() takes it.
inline Value random_declaration(RandomValues& values, const Plan& plan) {
  constexpr const char* any_number[] = {"int64",    "double",  "float32",   "int8",      "uint64",
                                        "bfloat16", "float16", "complex64", "complex128"};
  switch (plan.kind) {
    case Plan::Kind::kBool:
      return "bool";
    case Plan::Kind::kInteger:
    case Plan::Kind::kReal:
    case Plan::Kind::kNumber:
      return values.one_of(any_number);
    case Plan::Kind::kText:
      return "string";
    case Plan::Kind::kBytes:
      return "bytes";
    case Plan::Kind::kTime:
      return plan.is_utc ? "timestamp with zone" : "timestamp without zone";
    case Plan::Kind::kDate:
      return "date";
    case Plan::Kind::kTensor: {
      std::string text = std::string("tensor<").append(name_of(values.number_type()));
      if (values.one_in(2)) return text + ">";
      for (const std::uint32_t extent : plan.shape) text += ", " + std::to_string(extent);
      return text + (plan.shape.empty() ? ", scalar>" : ">");
    }
    case Plan::Kind::kDecimal:
      return "decimal<" + std::to_string(values.below(10)) + ">";
    case Plan::Kind::kUuid:
      return "uuid";
    case Plan::Kind::kAnything:
      return "json";
    case Plan::Kind::kList:
      if (values.one_in(4)) return "json";
      return List{random_declaration(values, plan.children[0])};
    case Plan::Kind::kStruct:
      break;
  }
  if (values.one_in(4)) return "json";
  if (values.one_in(4)) return "map<string, json>";
  Struct members;
  for (std::size_t i = 0; i < plan.children.size(); ++i)
    members.emplace_back(member_names[i], random_declaration(values, plan.children[i]));
  return members;
}

}  // namespace persisting::testing
