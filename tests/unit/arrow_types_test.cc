// Columns of numbers, arrays, decimals, UUIDs, maps and JSON, to Arrow and back, wherever they stand.
#include <array>
#include <cmath>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "schema/arrow_convert.h"
#include "schema/arrow_type.h"
#include "schema/declaration.h"
#include "support/records.h"

namespace persisting {
namespace {

using testing::batch;
using ::testing::HasSubstr;
using testing::Rows;
using testing::rows_of;
using testing::schema_of;

Tensor tensor(NumberType type, std::vector<std::uint32_t> shape) {
  Tensor made{type, std::move(shape), {}};
  std::size_t bytes = size_of(type);
  for (const std::uint32_t extent : made.shape) bytes *= extent;
  for (std::size_t i = 0; i < bytes; ++i)
    made.data.push_back(static_cast<char>(type == NumberType::kBool ? i % 3 % 2 : 0x7b + 37 * i));
  return made;
}

template <typename T>
Number number(NumberType type, T value) {
  return Number::of(type, value);
}

// Whether records with these values in a field of `schema` read the same from a table. Bit for bit: a NaN too.
void expect_same(const SchemaPtr& schema, const std::vector<Value>& values) {
  std::vector<Struct> records;
  for (const Value& value : values) records.push_back({{"f", value}});
  const RecordBatch put = batch(records);
  ASSERT_EQ(admit(schema, put, 0).value(), schema);
  const Rows rows = rows_of(schema, put);
  RecordBatch decoded;
  const Status status = decode_rows(*rows.schema.get(), *rows.array.get(), *schema, 0, &decoded);
  ASSERT_TRUE(status.ok()) << status.error().message;
  RecordBatch expected;
  for (std::size_t i = 0; i < put.size(); ++i) normalize(*schema, put[i], &expected);
  EXPECT_EQ(decoded.bytes(), expected.bytes()) << testing::describe(*schema);
  // The table tells the type.
  std::vector<std::string> ignored;
  const Schema table = from_arrow_schema(*rows.schema.get(), &ignored).value();
  EXPECT_TRUE(ignored.empty());
  EXPECT_EQ(plan_change(table, *schema).kind, TableChange::Kind::kNone);
}

// By itself, with None before and after, inside of lists and structs.
void expect_everywhere(const Value& value) {
  SCOPED_TRACE(testing::describe(*schema_of({{{"f", value}}})));
  for (const std::vector<Value>& values : std::vector<std::vector<Value>>{
           {value},
           {Null{}, value, Null{}, Null{}, value},
           {List{value, Null{}, value}, Null{}, List{}, Value(List{value})},
           {Value(List{Value(List{value}), Null{}, Value(List{})}),
            Value(List{Value(List{Null{}, value})})},
           {Struct{{"m", value}, {"n", 1}}, Null{}, Struct{{"n", 2}}, Struct{{"m", value}}},
           {Value(List{Struct{{"m", value}}, Null{}, Struct{}}), Null{},
            Value(List{Struct{{"m", value}}})}}) {
    std::vector<Struct> records;
    for (const Value& each : values) records.push_back({{"f", each}});
    expect_same(schema_of(records), values);
  }
}

TEST(ArrowTypes, NumbersOfEveryType) {
  for (std::uint8_t code = first_number_type; code <= last_number_type; ++code) {
    const auto type = static_cast<NumberType>(code);
    if (type == NumberType::kInt64 || type == NumberType::kFloat64 || type == NumberType::kBool)
      continue;
    for (const char fill : {'\0', '\x01', '\x7f', '\xff'}) {  // of floats also NaN, quiet and not
      Number value{type, {}};
      std::fill_n(value.bytes.begin(), size_of(type), fill);
      expect_everywhere(value);
    }
  }
  expect_everywhere(number(NumberType::kFloat16, std::uint16_t{0x7c01}));
  expect_everywhere(number(NumberType::kBFloat16, std::uint16_t{0xff81}));
  expect_everywhere(number(NumberType::kFloat32, std::uint32_t{0x7f800001}));
  expect_everywhere(number(NumberType::kComplex64, std::array{-0.0F, std::nanf("5")}));
}

TEST(ArrowTypes, ArraysOfEveryTypeAndShape) {
  const std::vector<std::vector<std::uint32_t>> shapes = {
      {},     {1},    {3},    {17},      {2, 3},    {0},
      {5, 0}, {0, 5}, {1, 1}, {2, 1, 2}, {2, 0, 2}, {1, 2, 1, 2, 1}};
  for (std::uint8_t code = first_number_type; code <= last_number_type; ++code) {
    for (const auto& shape : shapes)
      expect_everywhere(tensor(static_cast<NumberType>(code), shape));
  }
  expect_everywhere(tensor(NumberType::kInt8, std::vector<std::uint32_t>(64, 1)));
}

TEST(ArrowTypes, TruthValuesAroundManyNulls) {
  std::vector<Value> values;
  for (std::uint32_t i = 0; i < 100; ++i)
    values.push_back(i % 7 < 5 ? Value() : Value(tensor(NumberType::kBool, {11})));
  values.front() = values[5];
  expect_same(schema_of({{{"f", values.front()}}}), values);
  for (Value& value : values) value = Struct{{"m", value}, {"b", true}};
  for (std::size_t i = 0; i < values.size(); i += 3) values[i] = Null{};
  expect_same(schema_of({{{"f", values[5]}}, {{"f", values[7]}}, {{"f", values[20]}}}), values);
}

TEST(ArrowTypes, DecimalsAndUuids) {
  Decimal::Coefficient most = 1;
  for (int i = 0; i < 38; ++i) most *= 10;
  most -= 1;
  for (const Decimal value : {Decimal{0, 0}, Decimal{-1, 38}, Decimal{most, 0}, Decimal{-most, 38}})
    expect_everywhere(value);
  expect_everywhere(Uuid{{'\0', '\xff', 3}});
  expect_same(schema_of({{{"f", Decimal{15, 1}}}, {{"f", Decimal{12345, 4}}}, {{"f", 300}}}),
              {Decimal{15, 1}, Decimal{-5, 4}, 7, Null{}, Decimal{0, 0}});
}

SchemaPtr declared(const std::string& type) {
  return declare(testing::empty_schema(), parse_schema_option({{"f", type}}).value(), 0).value();
}

TEST(ArrowTypes, ArraysOfAnyShape) {
  for (const std::string number : {"float32", "bool", "complex64", "bfloat16"}) {
    const NumberType type = number_type_named(number).value();
    expect_same(declared("tensor<" + number + ">"),
                {tensor(type, {}), Null{}, tensor(type, {3}), tensor(type, {0}),
                 tensor(type, {2, 2}), tensor(type, {4, 0, 2}), Null{}, tensor(type, {1, 1, 1})});
    expect_same(declared("list<tensor<" + number + ">>"),
                {List{tensor(type, {}), Null{}, tensor(type, {3, 0})}, Null{}, List{}});
  }
}

TEST(ArrowTypes, Maps) {
  expect_same(declared("map<string, float32>"),
              {Struct{{"z", 1}, {"", 0.5}, {"grün", Null{}}}, Null{}, Struct{}, Struct{{"z", 2}}});
  expect_same(declared("list<map<string, map<string, vector<bool, 2>>>>"),
              {Value(List{Struct{{"a", Struct{{"b", List{true, false}}, {"c", Null{}}}}}, Null{},
                          Struct{{"x", Null{}}}}),
               Null{}, List{}});
  expect_same(declared("struct<m: map<string, struct<x: int8, y: string>>>"),
              {Struct{{"m", Struct{{"k", Struct{{"y", "t"}}}}}}, Struct{}, Null{}});
}

TEST(ArrowTypes, Json) {
  const std::vector<Value> values = {1,      Null{},
                                     -0.0,   "5",
                                     "",     Struct{{"b", List{1.0, Null{}}}, {"a", true}},
                                     List{}, Value(List{Struct{}}),
                                     false};
  expect_same(declared("json"), values);
  expect_same(declared("list<json>"), {List(values), Null{}, List{}});
  expect_same(declared("map<string, json>"), {Struct{{"a", values[5]}, {"b", Null{}}}});
}

// An array of another shape than its column's is damage, though its elements are all there.
TEST(ArrowTypesDamage, ShapesAreChecked) {
  const SchemaPtr schema = schema_of({{{"f", tensor(NumberType::kInt8, {3, 0})}}});
  const Rows rows = rows_of(schema, batch({{{"f", tensor(NumberType::kInt8, {3, 0})}}}));
  ArrowArray* const extents = rows.array->children[2]->children[1]->children[0];
  auto* const values = static_cast<std::int32_t*>(const_cast<void*>(extents->buffers[1]));
  RecordBatch out;
  for (const std::int32_t extent : {4, -1, 0, INT32_MAX}) {
    values[0] = extent;
    const Status decoded = decode_rows(*rows.schema.get(), *rows.array.get(), *schema, 0, &out);
    ASSERT_FALSE(decoded.ok()) << extent;
    EXPECT_THAT(decoded.error().message, HasSubstr("whose shape is not that of its data"));
  }
  values[0] = 3;
  values[1] = 1;
  EXPECT_FALSE(decode_rows(*rows.schema.get(), *rows.array.get(), *schema, 0, &out).ok());
  values[1] = 0;
  EXPECT_TRUE(decode_rows(*rows.schema.get(), *rows.array.get(), *schema, 0, &out).ok());
}

TEST(ArrowTypesDamage, JsonThatIsNone) {
  const SchemaPtr schema = declared("json");
  const Rows rows = rows_of(schema, batch({{{"f", List{1}}}}));
  static_cast<char*>(const_cast<void*>(rows.array->children[2]->buffers[2]))[1] = ',';
  RecordBatch out;
  const Status decoded = decode_rows(*rows.schema.get(), *rows.array.get(), *schema, 0, &out);
  ASSERT_FALSE(decoded.ok());
  EXPECT_THAT(decoded.error().message, HasSubstr("is JSON, but its text is no JSON at its byte"));
}

}  // namespace
}  // namespace persisting
