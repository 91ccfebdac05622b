// Values as JSON, and as the text of fields that take anything.
#include "schema/json_text.h"

#include <array>
#include <cstdint>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "persisting/msgpack_reader.h"
#include "persisting/msgpack_writer.h"

#include "schema/normalizer.h"
#include "support/records.h"

namespace persisting {
namespace {

using ::testing::HasSubstr;

constexpr double not_a_number = std::numeric_limits<double>::quiet_NaN();
constexpr double infinity = std::numeric_limits<double>::infinity();

std::string encoded(const Value& value) {
  std::string out;
  msgpack::write_value(out, value);
  return out;
}

std::string json(const Value& value) {
  const std::string bytes = encoded(value);
  msgpack::Reader reader(bytes);
  std::string out;
  append_json(reader, out);
  EXPECT_TRUE(reader.at_end());
  return out;
}

std::string refusal(std::string_view text) {
  std::string out = "before";
  const Status parsed = parse_json(text, out);
  EXPECT_FALSE(parsed.ok()) << text;
  EXPECT_EQ(out, "before");
  if (parsed) return "parsed";
  EXPECT_EQ(parsed.error().code, ErrorCode::kCorruption);
  return parsed.error().message;
}

std::string canonical_of(std::string_view bytes) {
  msgpack::Reader reader(bytes);
  std::string out;
  append_canonical_text(reader, out);
  EXPECT_TRUE(reader.at_end());
  return out;
}
std::string canonical(const Value& value) { return canonical_of(encoded(value)); }

template <typename T>
Number number(NumberType type, T value) {
  return Number::of(type, value);
}

TEST(JsonText, EveryValueComesBackBitForBit) {
  Value deep = 1;
  for (int i = 0; i < Record::max_nesting; ++i)
    deep = i % 2 == 0 ? Value(List{deep}) : Value(Struct{{"m", deep}});
  const std::vector<Value> values = {Null{},
                                     true,
                                     false,
                                     0,
                                     INT64_MIN,
                                     INT64_MAX,
                                     0.0,
                                     -0.0,
                                     1.0,
                                     -1e300,
                                     1e16,
                                     123456789012345678.0,
                                     5e-324,
                                     std::numeric_limits<double>::max(),
                                     0.1,
                                     "",
                                     "grün 𝄞",
                                     std::string("nul\0", 4),
                                     "\"\\/\b\f\n\r\t\x1f\x7f",
                                     List{},
                                     Struct{},
                                     List{List{}, Struct{{"", Null{}}}, 1, 1.0},
                                     Struct{{"z", 1}, {"a", List{Null{}}}, {"\"", "x"}},
                                     deep};
  for (const Value& value : values) {
    const std::string text = json(value);
    std::string parsed;
    ASSERT_TRUE(parse_json(text, parsed).ok()) << text;
    EXPECT_EQ(parsed, encoded(value)) << text;
  }
}

TEST(JsonText, KeepsFloatsApartFromIntegers) {
  EXPECT_EQ(json(1), "1");
  EXPECT_EQ(json(1.0), "1.0");
  EXPECT_EQ(json(-0.0), "-0.0");
  EXPECT_EQ(json(Struct{{"b", 1}, {"a", List{Null{}, true}}}), R"({"b":1,"a":[null,true]})");
  EXPECT_EQ(json(std::string("\0\n", 2)), R"("\u0000\u000a")");
}

TEST(JsonText, ReadsWhatOthersWrite) {
  std::string out;
  ASSERT_TRUE(parse_json(" { \"a\" : [ 1E2 , \"\\u00fc\\ud834\\udd1e\" , -0 ] } ", out).ok());
  EXPECT_EQ(out, encoded(Struct{{"a", List{100.0, "ü𝄞", 0}}}));
}

TEST(JsonText, RefusesWhatNoRecordHolds) {
  EXPECT_THAT(refusal("18446744073709551615"), HasSubstr("beyond 64 bits"));
  EXPECT_THAT(refusal("9223372036854775808"), HasSubstr("beyond 64 bits"));
  EXPECT_THAT(refusal("[123456789012345678901234567890]"), HasSubstr("beyond 64 bits"));
  EXPECT_THAT(refusal("-9223372036854775809"), HasSubstr("beyond 64 bits"));
  EXPECT_THAT(refusal(R"({"a": 1, "a": 2})"), HasSubstr("names 'a' twice"));
  EXPECT_THAT(refusal(R"({"\u0000": 1})"), HasSubstr("which no record may have"));
  EXPECT_THAT(refusal(R"({"__empty_struct": 1})"), HasSubstr("which no record may have"));
  const int levels = Record::max_nesting + 1;
  EXPECT_THAT(refusal(std::string(levels, '[') + std::string(levels, ']')),
              HasSubstr("nests too deeply"));
  EXPECT_THAT(refusal(std::string(100'000, '[')), HasSubstr("nests too deeply"));
  for (const char* text : {"", " ", "{", "[1,]", "nul", "NaN", "1e999", "'x'", "1 2", "{}x", "[1}",
                           "\"\\ud800\"", "\"\xff\"", "\"\n\"", "{1: 2}", "+1", "01"}) {
    EXPECT_THAT(refusal(text), HasSubstr("is no JSON at its byte"));
  }
}

TEST(JsonText, KnowsItsValues) {
  const auto is_json = [](const Value& value) {
    const std::string bytes = encoded(value);
    return is_json_value(msgpack::Reader(bytes).next());
  };
  for (const Value& value : {Value(), Value(true), Value(1), Value(0.5), Value("x"),
                             Value(List{Bytes{}}), Value(Struct{})}) {
    EXPECT_TRUE(is_json(value));
  }
  for (const Value& value :
       {Value(Bytes{}), Value(Timestamp{}), Value(Date{}), Value(number(NumberType::kInt8, 'x')),
        Value(Tensor{NumberType::kInt8, {0}, {}}), Value(Decimal{}), Value(Uuid{}),
        Value(not_a_number), Value(-infinity)}) {
    EXPECT_FALSE(is_json(value));
  }
}

TEST(CanonicalText, OfEveryKind) {
  EXPECT_EQ(canonical(Null{}), "null");
  EXPECT_EQ(canonical(true), "true");
  EXPECT_EQ(canonical(INT64_MIN), "-9223372036854775808");
  EXPECT_EQ(canonical(5.0), "5");
  EXPECT_EQ(canonical(-0.0), "-0");
  EXPECT_EQ(canonical(0.1), "0.1");
  EXPECT_EQ(canonical(0x1p53), "9007199254740992");
  EXPECT_EQ(canonical(1e300), "1e+300");
  EXPECT_EQ(canonical(not_a_number), "NaN");
  EXPECT_EQ(canonical(-not_a_number), "NaN");
  EXPECT_EQ(canonical(-infinity), "-Infinity");
  EXPECT_EQ(canonical("as \"it\" is"), "as \"it\" is");
  EXPECT_EQ(canonical(Bytes{std::string("\0\xff", 2)}), "00ff");
  EXPECT_EQ(canonical(Timestamp{-1, true}), "1969-12-31T23:59:59.999999+00:00");
  EXPECT_EQ(canonical(Timestamp{1'000'000, false}), "1970-01-01T00:00:01");
  EXPECT_EQ(canonical(Timestamp{INT64_MIN, false}), "-290308-12-21T19:59:05.224192");
  EXPECT_EQ(canonical(Timestamp{INT64_MAX, false}), "294247-01-10T04:00:54.775807");
  EXPECT_EQ(canonical(Date{11016}), "2000-02-29");
  EXPECT_EQ(canonical(Date{-719529}), "-0001-12-31");
  EXPECT_EQ(canonical(Date{-719528}), "0000-01-01");
  EXPECT_EQ(canonical(number(NumberType::kUInt64, UINT64_MAX)), "18446744073709551615");
  EXPECT_EQ(canonical(number(NumberType::kFloat32, 0.1F)), "0.10000000149011612");
  EXPECT_EQ(canonical(number(NumberType::kFloat16, std::uint16_t{0x3e00})), "1.5");
  EXPECT_EQ(canonical(number(NumberType::kComplex64, std::array{1.5F, -2.0F})), "1.5-2j");
  EXPECT_EQ(canonical(number(NumberType::kComplex64, std::array{1.5F, 0.0F})), "1.5");
  EXPECT_EQ(canonical(number(NumberType::kComplex128, std::array{0.0, -not_a_number})), "0+NaNj");
  EXPECT_EQ(canonical(number(NumberType::kComplex128, std::array{-0.0, -0.0})), "-0-0j");
  EXPECT_EQ(canonical(Decimal{-1250, 3}), "-1.25");
  EXPECT_EQ(canonical(Decimal{500, 2}), "5");
  EXPECT_EQ(canonical(Uuid{{0x01, 0x23}}), "01230000-0000-0000-0000-000000000000");
  EXPECT_EQ(canonical(Tensor{NumberType::kInt8, {2, 1}, "\x01\xff"}), "[[1], [-1]]");
  EXPECT_EQ(canonical(Tensor{NumberType::kBool, {}, "\x01"}), "true");
}

TEST(CanonicalText, InsideOthers) {
  EXPECT_EQ(
      canonical(List{Null{}, "x\"", 1.0, Bytes{"\x01"}, Date{0}, not_a_number, Decimal{10, 1}}),
      R"([null, "x\"", 1, "01", "1970-01-01", NaN, 1])");
  EXPECT_EQ(canonical(Struct{{"b", Null{}}, {"a", Struct{}}, {"", List{}}}),
            R"({"": [], "a": {}})");
}

TEST(CanonicalText, OfNothingIsShort) {
  EXPECT_EQ(canonical(Tensor{NumberType::kFloat64, {0}, {}}), "[]");
  EXPECT_EQ(canonical(Tensor{NumberType::kFloat64, {INT32_MAX / 8, 0}, {}}), "[]");
}

// The text of a value does not depend on the type that its field had when it was flushed.
TEST(CanonicalText, IsTheSameAfterWidening) {
  const std::vector<std::pair<Value, std::vector<Value>>> cases = {
      {5, {0.5, number(NumberType::kComplex128, std::array{0.5, 0.5})}},
      {std::int64_t{1} << 53, {0.5}},
      {100'000, {0.5}},  // the shortest text of the double is 1e+05
      {number(NumberType::kInt8, std::int8_t{-7}),
       {0.5, 1, number(NumberType::kInt16, std::int16_t{1})}},
      {number(NumberType::kFloat32, 0.1F),
       {0.5, number(NumberType::kComplex64, std::array{1.F, 1.F})}},
      {number(NumberType::kBFloat16, std::uint16_t{0x7f81}),
       {0.5, number(NumberType::kFloat16, std::uint16_t{1})}},
      {number(NumberType::kFloat16, std::uint16_t{0x8000}),
       {0.5, number(NumberType::kFloat32, 1.F)}},
      {Decimal{-1250, 3}, {Decimal{1, 9}}},
      {Decimal{0, 0}, {Decimal{1, 9}}},
      {Tensor{NumberType::kInt8, {2}, "\x01\xff"},
       {Tensor{NumberType::kFloat64, {2}, std::string(16, '\0')}}},
      {Struct{{"b", 1}, {"a", List{1}}}, {Struct{{"a", List{0.5}}, {"c", "x"}, {"b", 0.25}}}},
      {List{Struct{{"x", 1}}, Null{}}, {Value(List{Struct{{"y", List{}}, {"x", 0.5}}})}}};
  for (const auto& [value, wideners] : cases) {
    for (const Value& widener : wideners) {
      const SchemaPtr schema = testing::schema_of({{{"f", value}}, {{"f", widener}}});
      const std::string bytes = encoded(value);
      msgpack::Reader reader(bytes);
      std::string normal;
      normalize_value(schema->fields()[0].type, reader, normal);
      EXPECT_EQ(canonical_of(normal), canonical(value)) << testing::describe(*schema);
    }
  }
}

}  // namespace
}  // namespace persisting
