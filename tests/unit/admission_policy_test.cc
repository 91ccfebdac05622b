// What becomes of records that conflict with the schema, under each policy; and which values fit which types.
#include <array>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "schema/admission.h"
#include "schema/declaration.h"
#include "schema/record_fit.h"
#include "schema/schema_growth.h"
#include "support/records.h"

namespace persisting {
namespace {

using testing::batch;
using testing::describe;
using ::testing::HasSubstr;
using testing::normalized;
using testing::schema_of;

constexpr AdmissionRules reject;
constexpr AdmissionRules reject_records{ConflictPolicy::kReject, true};
constexpr AdmissionRules dead_letter{ConflictPolicy::kDeadLetter, false};
constexpr AdmissionRules stringify{ConflictPolicy::kStringify, false};

template <typename T>
Number number(NumberType type, T value) {
  return Number::of(type, value);
}

// Two records fit, the second and the fourth do not.
const RecordBatch& mixed_batch() {
  static const RecordBatch records =
      batch({{{"a", 1}}, {{"a", "x"}, {"b", 1}}, {{"a", 2}, {"c", 1}}, {{"c", true}}, {{"d", 1}}});
  return records;
}

TEST(ConflictPolicy, RejectRefusesTheBatch) {
  const SchemaPtr schema = schema_of({{{"a", 1}}});
  const Result<Admission> admitted = admit(schema, mixed_batch(), 10, reject);
  ASSERT_FALSE(admitted.ok());
  EXPECT_EQ(admitted.error().code, ErrorCode::kSchema);
  EXPECT_EQ(admitted.error().message,
            "record 1 of the batch (offset 11): field 'a' is string, but the bucket holds int64 "
            "there; convert the value, or put it under another name");
}

TEST(ConflictPolicy, SingleRecordsAreRefusedOrKeptAside) {
  for (const AdmissionRules& rules : {reject_records, dead_letter}) {
    const Admission admission = admit(schema_of({{{"a", 1}}}), mixed_batch(), 10, rules).value();
    EXPECT_EQ(describe(*admission.schema), "struct<a: int64, c: int64, d: int64>");
    ASSERT_EQ(admission.refused.size(), 2u);
    EXPECT_EQ(admission.refused[0].index, 1u);
    EXPECT_EQ(admission.refused[1].index, 3u);
    EXPECT_THAT(admission.refused[0].error.message, HasSubstr("record 1 of the batch (offset 11)"));
    // It would have had the place of the refused one.
    EXPECT_THAT(admission.refused[1].error.message, HasSubstr("record 3 of the batch (offset 12)"));
    // Only what was admitted has changed the schema: the refused record's 'b' is not in it.
    EXPECT_EQ(admission.schema->history().back().offset, 12u);
  }
}

TEST(ConflictPolicy, WhatIsNoRecordIsRefusedUnderAll) {
  RecordBatch records = batch({{{"a", 1}}});
  records.add_encoded("\x81\xa1");
  for (const AdmissionRules& rules : {reject, reject_records, dead_letter, stringify}) {
    const Result<Admission> admitted = admit(testing::empty_schema(), records, 0, rules);
    ASSERT_FALSE(admitted.ok());
    EXPECT_EQ(admitted.error().code, ErrorCode::kInvalidArgument);
    EXPECT_THAT(admitted.error().message, HasSubstr("record 1 of the batch"));
  }
}

TEST(ConflictPolicy, StringifyKeepsEverythingAsText) {
  const RecordBatch records = batch({{{"a", 5}}, {{"a", 0.5}}, {{"a", "x"}}, {{"a", List{1}}}});
  const SchemaPtr schema = admit(testing::empty_schema(), records, 0, stringify)->schema;
  EXPECT_EQ(describe(*schema), "struct<a: string>");
  std::vector<Struct> read;
  for (std::size_t i = 0; i < records.size(); ++i)
    read.push_back(normalized(*schema, records.fields(i)));
  EXPECT_EQ(read,
            (std::vector<Struct>{{{"a", "5"}}, {{"a", "0.5"}}, {{"a", "x"}}, {{"a", "[1]"}}}));
  for (const Value& value :
       {Value(true), Value(Bytes{"x"}), Value(Struct{{"x", Null{}}}), Value(Uuid{}),
        Value(Decimal{}), Value(Tensor{NumberType::kInt8, {0}, {}})})
    EXPECT_TRUE(record_fits(*schema, testing::record({{"a", value}}).encoded()));
}

// Were the element to become text first, [1] would later read as ["1"] where it was flushed between.
TEST(ConflictPolicy, StringifyTurnsAFieldIntoTextAsAWhole) {
  for (const auto& [first, second, text] : std::vector<std::tuple<Value, Value, std::string>>{
           {List{1}, List{"x"}, "[1]"},
           {Struct{{"m", 1}, {"n", Null{}}}, Struct{{"m", "x"}}, R"({"m": 1})"},
           {Value(List{Struct{{"m", List{1}}}}), Value(List{Struct{{"m", List{true}}}}),
            R"([{"m": [1]}])"}}) {
    const SchemaPtr schema =
        admit(schema_of({{{"f", first}}}), batch({{{"f", second}}}), 1, stringify)->schema;
    EXPECT_EQ(describe(*schema), "struct<f: string>");
    EXPECT_EQ(normalized(*schema, {{"f", first}}), (Struct{{"f", text}}));
  }
}

TEST(ConflictPolicy, StringifyLeavesDeclaredTypesAlone) {
  const SchemaDeclaration types =
      parse_schema_option({{"f", "float32"}, {"s", "struct<a: int64>"}}).value();
  const SchemaPtr schema = declare(testing::empty_schema(), types, 0).value();
  EXPECT_EQ(admit(schema, batch({{{"f", "x"}}}), 0, stringify).error().code, ErrorCode::kSchema);
  EXPECT_EQ(admit(schema, batch({{{"s", Struct{{"a", "x"}}}}}), 0, stringify).error().code,
            ErrorCode::kSchema);
  // What the closed schema does not name is kept as text.
  const SchemaPtr grown =
      admit(schema, batch({{{"new", 5}, {"s", Struct{{"b", 1}}}}}), 0, stringify)->schema;
  EXPECT_EQ(describe(*grown), "struct<f: float32, s: struct<a: int64, b: string>, new: string>");
  EXPECT_EQ(
      admit(grown, batch({{{"new", true}, {"s", Struct{{"b", List{}}}}}}), 1, stringify)->schema,
      grown);
}

TEST(Widening, OfNumbersToTheSmallestThatHoldsBoth) {
  const auto after = [](const Value& first, const Value& second) {
    const Result<SchemaPtr> schema =
        admit(schema_of({{{"f", first}}}), batch({{{"f", second}}}), 1);
    return schema ? persisting::describe((*schema)->fields()[0].type) : "conflict";
  };
  const Value int8 = number(NumberType::kInt8, std::int8_t{1});
  const Value uint8 = number(NumberType::kUInt8, std::uint8_t{1});
  const Value uint64 = number(NumberType::kUInt64, std::uint64_t{1});
  const Value large = number(NumberType::kUInt64, std::uint64_t{1} << 60);
  const Value float16 = number(NumberType::kFloat16, std::uint16_t{0x3c00});
  const Value float32 = number(NumberType::kFloat32, 0.5F);
  const Value complex = number(NumberType::kComplex64, std::array{1.0F, 1.0F});
  EXPECT_EQ(after(int8, uint8), "int16");
  EXPECT_EQ(after(int8, 1), "int64");
  EXPECT_EQ(after(1, int8), "int64");
  EXPECT_EQ(after(float16, 3), "float16");
  EXPECT_EQ(after(float16, 2049), "double");
  EXPECT_EQ(after(3, float16), "double");
  EXPECT_EQ(after(float16, float32), "float32");
  EXPECT_EQ(after(float32, 0.5), "double");
  EXPECT_EQ(after(float32, complex), "complex64");
  EXPECT_EQ(after(1, complex), "complex128");
  EXPECT_EQ(after(uint64, 0.5), "double");
  EXPECT_EQ(after(large, 0.5), "conflict");
  EXPECT_EQ(after(1, uint64), "int64");
  EXPECT_EQ(after(1, large), "int64");
  EXPECT_EQ(after(uint64, 1), "uint64");
  EXPECT_EQ(after(uint64, std::int64_t{1} << 60), "uint64");
  EXPECT_EQ(after(uint64, -1), "conflict");
  EXPECT_EQ(after(1, number(NumberType::kUInt64, UINT64_MAX)), "conflict");
  EXPECT_EQ(after(true, int8), "conflict");
}

TEST(Widening, OfDecimalsAndArrays) {
  const auto after = [](const Value& first, const Value& second) {
    const Result<SchemaPtr> schema =
        admit(schema_of({{{"f", first}}}), batch({{{"f", second}}}), 1);
    return schema ? persisting::describe((*schema)->fields()[0].type) : "conflict";
  };
  const auto tensor = [](NumberType type, std::vector<std::uint32_t> shape, std::size_t bytes) {
    return Value(Tensor{type, std::move(shape), std::string(bytes, '\1')});
  };
  EXPECT_EQ(after(Decimal{1, 2}, Decimal{1, 5}), "decimal<5>");
  EXPECT_EQ(after(Decimal{1, 2}, INT64_MAX), "decimal<2>");
  EXPECT_EQ(after(Decimal{1, 20}, INT64_MAX), "conflict");
  EXPECT_EQ(after(Decimal{1, 38}, Decimal{1, 0}), "conflict");
  EXPECT_EQ(after(Decimal{1, 2}, 0.5), "conflict");
  EXPECT_EQ(after(tensor(NumberType::kInt8, {2}, 2), tensor(NumberType::kFloat32, {2}, 8)),
            "vector<float32, 2>");
  EXPECT_EQ(after(tensor(NumberType::kInt8, {2}, 2), tensor(NumberType::kInt8, {2, 1}, 2)),
            "conflict");
  EXPECT_EQ(after(tensor(NumberType::kInt8, {}, 1), tensor(NumberType::kBool, {}, 1)), "conflict");
  EXPECT_EQ(after(tensor(NumberType::kInt8, {2}, 2), Value(List{1, 2})), "conflict");
}

// A record fits if and only if growing by it changes nothing.
TEST(Fit, AgreesWithGrowth) {
  const std::vector<Value> values = {Null{},
                                     true,
                                     1,
                                     std::int64_t{1} << 60,
                                     -1,
                                     0.5,
                                     "x",
                                     Bytes{},
                                     Timestamp{0, true},
                                     Timestamp{0, false},
                                     Date{},
                                     number(NumberType::kInt8, std::int8_t{1}),
                                     number(NumberType::kUInt64, UINT64_MAX),
                                     number(NumberType::kUInt64, std::uint64_t{1}),
                                     number(NumberType::kFloat16, std::uint16_t{0x3c00}),
                                     number(NumberType::kFloat32, 0.1F),
                                     number(NumberType::kComplex64, std::array{1.F, 1.F}),
                                     Tensor{NumberType::kInt8, {1}, "x"},
                                     Tensor{NumberType::kFloat64, {1}, "12345678"},
                                     Tensor{NumberType::kBool, {0, 2}, ""},
                                     Decimal{},
                                     Decimal{15, 1},
                                     Decimal{150, 2},
                                     Uuid{},
                                     List{},
                                     List{1},
                                     List{0.5, Null{}},
                                     Struct{},
                                     Struct{{"a", 1}},
                                     Struct{{"a", List{1}}, {"b", 1}}};
  std::vector<SchemaPtr> schemas;
  for (const Value& value : values) schemas.push_back(schema_of({{{"f", value}}}));
  for (const char* type :
       {"bool", "int64", "int8", "uint64", "double", "float16", "complex64", "string", "json",
        "uuid", "decimal<1>", "vector<float32, 1>", "tensor<int8>", "list<double>",
        "map<string, double>", "struct<a: int64>"})
    schemas.push_back(
        declare(testing::empty_schema(), parse_schema_option({{"f", type}}).value(), 0).value());
  schemas.push_back(admit(schemas[1], batch({{{"f", "x"}}}), 0, stringify)->schema);
  for (const SchemaPtr& schema : schemas) {
    for (const Value& value : values) {
      const Record record = testing::record({{"f", value}});
      std::vector<SchemaField> grown = schema->fields();
      const bool holds = grow(&grown, record.encoded(), {}).ok() && grown == schema->fields();
      EXPECT_EQ(record_fits(*schema, record.encoded()), holds)
          << describe(*schema) << " and " << describe(*schema_of({{{"f", value}}}));
      const Result<SchemaPtr> admitted = admit(schema, batch({{{"f", value}}}), 1);
      EXPECT_TRUE(!admitted.ok() || record_fits(**admitted, record.encoded()));
    }
  }
}

}  // namespace
}  // namespace persisting
