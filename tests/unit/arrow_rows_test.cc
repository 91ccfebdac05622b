// Rows that are put and got in Arrow: what they bring, what is wrong with them, and arrays that are shared.
#include "schema/arrow_rows.h"

#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "schema/arrow_convert.h"
#include "schema/arrow_share.h"
#include "schema/arrow_type.h"
#include "schema/declaration.h"
#include "support/records.h"

namespace persisting {
namespace {

using testing::all_fields;
using testing::batch;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::Rows;
using testing::schema_of;

// Rows as get_arrow() gives them.
Rows plain_rows(const SchemaPtr& schema, const RecordBatch& records) {
  Rows rows;
  EXPECT_TRUE(to_arrow_fields(*schema, rows.schema.get()).ok());
  Result<ArrowBatchBuilder> builder = ArrowBatchBuilder::make(schema, SystemColumns::kWithout);
  for (std::size_t i = 0; i < records.size(); ++i) {
    RecordBatch normalized;
    normalize(*schema, records[i], &normalized);
    EXPECT_TRUE(builder->append(i, 0, normalized[0]).ok());
  }
  EXPECT_TRUE(builder->finish(rows.array.get()).ok());
  return rows;
}
Rows plain_rows(const std::vector<Struct>& records) {
  return plain_rows(schema_of(records), batch(records));
}

ArrowRows made(Rows rows) {
  Result<ArrowRows> result = ArrowRows::make(rows.schema.get(), rows.array.get());
  EXPECT_TRUE(result.ok()) << (result ? "" : result.error().message);
  return std::move(result).value();
}

std::string refusal(Rows rows) {
  const Result<ArrowRows> result = ArrowRows::make(rows.schema.get(), rows.array.get());
  if (!result) {
    EXPECT_EQ(result.error().code, ErrorCode::kInvalidArgument);
    return result.error().message;
  }
  const Result<Schema> fields = result->fields();
  if (fields) return "taken";
  EXPECT_EQ(fields.error().code, ErrorCode::kInvalidArgument);
  return fields.error().message;
}

template <typename T>
T* values_of(const ArrowArray* array, int buffer = 1) {
  return static_cast<T*>(const_cast<void*>(array->buffers[buffer]));
}

Tensor vector_of(float first, float second) {
  Tensor made{NumberType::kFloat32, {2}, std::string(8, '\0')};
  std::memcpy(made.data.data(), &first, 4);
  std::memcpy(made.data.data() + 4, &second, 4);
  return made;
}

std::vector<Struct> samples() {
  return {{{"i", 1},
           {"t", "x"},
           {"v", vector_of(1, 2)},
           {"l", List{1, Null{}}},
           {"d", Decimal{-125, 2}},
           {"u", Null{}}},
          {{"t", "grün"}, {"l", List{}}},
          {{"i", std::int64_t{1} << 60},
           {"v", vector_of(3, 4)},
           {"d", Decimal{1234500, 2}},
           {"s", Struct{{"m", List{Struct{{"x", true}}}}}}},
          {}};
}

TEST(ArrowRowsPut, BringTheirFieldsAndWhatTheValuesTell) {
  const ArrowRows rows = made(plain_rows(samples()));
  const Schema fields = rows.fields().value();
  const SchemaPtr schema = schema_of(samples());
  EXPECT_EQ(fields, *schema);
  EXPECT_TRUE(fields.fields()[0].type.has_inexact_integers);
  EXPECT_FALSE(fields.fields()[3].type.children[0].type.has_inexact_integers);
  EXPECT_EQ(fields.fields()[4].type.whole_digits, 5);
}

TEST(ArrowRowsPut, ReadAsRecordsOfALaterSchema) {
  const ArrowRows rows = made(plain_rows(samples()));
  const SchemaPtr first = schema_of(samples());
  const SchemaPtr later =
      admit(first,
            batch({{{"new", 1},
                    {"u", 5},
                    {"t", Bytes{"y"}},
                    {"l", Value(List{0.5})},
                    {"v", Tensor{NumberType::kFloat64, {2}, std::string(16, '\0')}}}}),
            4, {ConflictPolicy::kStringify, false})
          ->schema;
  for (const SchemaPtr& schema : {first, later}) {
    RecordBatch read;
    ASSERT_TRUE(rows.read(1, 3, *schema, &read).ok());
    RecordBatch expected;
    for (const Struct& record : {samples()[1], samples()[2], samples()[3]})
      normalize(*schema, testing::record(record).encoded(), &expected);
    EXPECT_EQ(read.bytes(), expected.bytes());
    EXPECT_EQ(read.size(), 3u);
  }
}

TEST(ArrowRowsPut, SlicesAreReadWithinTheirBounds) {
  Rows rows = plain_rows(samples());
  rows.array->offset = 1;
  rows.array->length = 1;
  const ArrowRows slice = made(std::move(rows));
  const Schema fields = slice.fields().value();
  EXPECT_FALSE(fields.fields()[0].type.has_inexact_integers);  // 2^60 lies outside
  EXPECT_EQ(fields.fields()[4].type.whole_digits, 0);
  RecordBatch read;
  ASSERT_TRUE(slice.read(0, 1, fields, &read).ok());
  EXPECT_EQ(read.fields(0)[1], (std::pair<std::string, Value>{"t", "grün"}));
}

TEST(ArrowRowsPut, NoRowsAtAll) {
  Rows rows = plain_rows(schema_of(samples()), RecordBatch());
  const ArrowRows none = made(std::move(rows));
  EXPECT_EQ(none.size(), 0u);
  EXPECT_EQ(testing::describe(none.fields().value()), testing::describe(*schema_of(samples())));
}

TEST(ArrowRowsPut, WhatIsNoSetOfRows) {
  Rows numbers;
  ASSERT_EQ(ArrowSchemaInitFromType(numbers.schema.get(), NANOARROW_TYPE_INT64), NANOARROW_OK);
  ASSERT_EQ(ArrowArrayInitFromSchema(numbers.array.get(), numbers.schema.get(), nullptr),
            NANOARROW_OK);
  EXPECT_THAT(refusal(std::move(numbers)), HasSubstr("rows must be structs, not int64"));
  Rows broken = plain_rows({{{"t", "abc"}}, {{"t", "d"}}});
  values_of<std::int32_t>(broken.array->children[0])[1] = 1000;
  EXPECT_THAT(refusal(std::move(broken)), HasSubstr("the rows are malformed"));
  Rows with_null = plain_rows({{{"s", Struct{{"a", 1}}}}, {{"s", Null{}}}});
  Rows inner;
  ArrowSchemaMove(with_null.schema->children[0], inner.schema.get());
  ArrowArrayMove(with_null.array->children[0], inner.array.get());
  EXPECT_THAT(refusal(std::move(inner)), HasSubstr("row 1 is null; leave it out"));
}

TEST(ArrowRowsPut, NamesAndTypesThatNoRecordHas) {
  const auto renamed = [](const char* name) {
    Rows rows = plain_rows({{{"a", 1}, {"b", 2}}});
    EXPECT_EQ(ArrowSchemaSetName(rows.schema->children[0], name), NANOARROW_OK);
    return refusal(std::move(rows));
  };
  EXPECT_THAT(renamed("_offset"), HasSubstr("'_offset' is reserved"));
  EXPECT_THAT(renamed("a.b"), HasSubstr("'a.b'"));
  EXPECT_THAT(renamed(""), HasSubstr("empty"));
  EXPECT_THAT(renamed("b"), HasSubstr("column 'b' is there twice"));
  Rows rows = plain_rows({{{"a", 1}}});
  ASSERT_EQ(ArrowSchemaSetFormat(rows.schema->children[0], "tDm"), NANOARROW_OK);
  EXPECT_THAT(refusal(std::move(rows)),
              HasSubstr("which no record holds; cast it to a type of docs/types.md"));
  // The stand-in of a struct without members, among members.
  rows = plain_rows({{{"s", Struct{{"a", 1}, {"b", "x"}}}}});
  ASSERT_EQ(ArrowSchemaSetName(rows.schema->children[0]->children[0], "__empty_struct"),
            NANOARROW_OK);
  EXPECT_THAT(refusal(std::move(rows)), HasSubstr("which no record holds"));
}

TEST(ArrowRowsPut, ValuesThatNoRecordHas) {
  Rows text = plain_rows({{{"s", Struct{{"t", "abc"}}}}});
  values_of<char>(text.array->children[0]->children[0], 2)[1] = '\xff';
  EXPECT_THAT(refusal(std::move(text)), HasSubstr("column 's.t' holds text that is not UTF-8"));

  const auto declared = [](const char* type, const Value& value) {
    const SchemaPtr schema =
        declare(testing::empty_schema(), parse_schema_option({{"f", type}}).value(), 0).value();
    return plain_rows(schema, batch({{{"f", value}}}));
  };
  Rows json = declared("list<json>", List{"a", "bc"});
  values_of<char>(json.array->children[0]->children[0], 2)[0] = '{';
  EXPECT_THAT(refusal(std::move(json)), HasSubstr("column 'f[]' is JSON, but its text is no JSON"));

  Rows map = declared("map<string, int64>", Struct{{"a", 1}, {"b", 2}});
  ArrowArray* const keys = map.array->children[0]->children[0]->children[0];
  values_of<char>(keys, 2)[1] = 'a';
  EXPECT_THAT(refusal(std::move(map)), HasSubstr("column 'f' holds a map with a key twice"));

  Rows shape = declared("tensor<int8>", Tensor{NumberType::kInt8, {1, 2}, "ab"});
  values_of<std::int32_t>(shape.array->children[0]->children[1]->children[0])[0] = 2;
  EXPECT_THAT(refusal(std::move(shape)), HasSubstr("whose shape is not that of its data"));

  Rows decimal = declared("decimal<2>", 1);
  values_of<std::int64_t>(decimal.array->children[0])[1] = INT64_MAX;
  EXPECT_THAT(refusal(std::move(decimal)), HasSubstr("more than 38 digits"));
}

TEST(ArrowRowsPut, NullsInsideOfArraysAndNull) {
  Rows rows = plain_rows({{{"v", vector_of(1, 2)}}, {{"v", Null{}}}, {{"v", vector_of(3, 4)}}});
  // Elements of the second: inside of null anything may be.
  ArrowArray* const elements = rows.array->children[0]->children[0];
  std::uint8_t validity = 0b110011;
  const void* const none = elements->buffers[0];
  elements->buffers[0] = &validity;
  elements->null_count = 2;
  {
    RecordBatch read;
    nanoarrow::UniqueSchema schema;
    ASSERT_EQ(ArrowSchemaDeepCopy(rows.schema.get(), schema.get()), NANOARROW_OK);
    nanoarrow::UniqueArray shared;
    share_array(*rows.array.get(), 0, 3, nullptr, shared.get());
    EXPECT_EQ(refusal({std::move(schema), std::move(shared)}), "taken");
  }
  validity = 0b101111;
  nanoarrow::UniqueArray shared;
  share_array(*rows.array.get(), 0, 3, nullptr, shared.get());
  nanoarrow::UniqueSchema schema;
  ASSERT_EQ(ArrowSchemaDeepCopy(rows.schema.get(), schema.get()), NANOARROW_OK);
  EXPECT_THAT(refusal({std::move(schema), std::move(shared)}),
              HasSubstr("column 'v' holds an array with a null inside"));
  elements->buffers[0] = none;
}

// What get_arrow() gives of a null struct has an array of no elements in it.
TEST(ArrowRowsPut, NullStructsAroundArrays) {
  for (const Tensor& value : {Tensor{NumberType::kInt8, {}, "x"},
                              Tensor{NumberType::kInt8, {0, 2}, ""}, vector_of(1, 2)}) {
    const std::vector<Struct> records = {
        {{"s", Struct{{"v", value}}}}, {{"s", Null{}}}, {{"s", Struct{}}}};
    const ArrowRows rows = made(plain_rows(records));
    ASSERT_TRUE(rows.fields().ok()) << rows.fields().error().message;
    RecordBatch read;
    ASSERT_TRUE(rows.read(0, 3, *schema_of(records), &read).ok());
    EXPECT_EQ(read.fields(0), records[0]);
    EXPECT_EQ(read.fields(1), records[1]);
  }
}

bool same_layout(const Struct& left, const Struct& right) {
  return has_same_layout(*plain_rows({left}).schema.get(), *plain_rows({right}).schema.get());
}

TEST(ArrowShare, LayoutsAreTheSameOrNot) {
  EXPECT_TRUE(same_layout({{"a", 1}, {"l", List{0.5}}}, {{"a", 2}, {"l", List{1.5}}}));
  EXPECT_FALSE(same_layout({{"a", 1}}, {{"b", 1}}));
  EXPECT_FALSE(same_layout({{"a", 1}}, {{"a", 0.5}}));
  EXPECT_FALSE(same_layout({{"a", 1}}, {{"a", 1}, {"b", 1}}));
  EXPECT_FALSE(same_layout({{"a", List{1}}}, {{"a", List{0.5}}}));
  EXPECT_FALSE(same_layout({{"a", Decimal{1, 1}}}, {{"a", Decimal{1, 2}}}));
  EXPECT_FALSE(
      same_layout({{"a", vector_of(1, 2)}}, {{"a", Tensor{NumberType::kFloat32, {1}, "abcd"}}}));
  EXPECT_FALSE(same_layout({{"a", Timestamp{0, true}}}, {{"a", Timestamp{0, false}}}));
  // The element's name and whether it may be null are no part of it.
  Rows other = plain_rows({{{"a", List{1}}}});
  ASSERT_EQ(ArrowSchemaSetName(other.schema->children[0]->children[0], "element"), NANOARROW_OK);
  other.schema->children[0]->flags = 0;
  EXPECT_TRUE(has_same_layout(*other.schema.get(), *plain_rows({{{"a", List{1}}}}).schema.get()));
}

TEST(ArrowShare, FindsColumnsByName) {
  const Rows wanted = plain_rows({{{"a", 1}, {"b", "x"}, {"c", true}}});
  EXPECT_THAT(find_columns(*wanted.schema.get(),
                           *plain_rows({{{"b", "y"}, {"d", 1}, {"a", 1}}}).schema.get())
                  .value(),
              ElementsAre(2, 0, -1));
  EXPECT_EQ(find_columns(*wanted.schema.get(), *plain_rows({{{"b", 5}}}).schema.get()),
            std::nullopt);
}

TEST(ArrowShare, SharedRowsReadTheSameAndKeepTheirOwner) {
  const SchemaPtr schema = schema_of(samples());
  const SchemaPtr wider =
      admit(schema, batch({{{"new", vector_of(1, 2)}, {"b", Value(List{true})}}}), 4).value();
  RecordBatch expected;
  for (const Struct& record : samples())
    normalize(*wider, testing::record(record).encoded(), &expected);
  for (std::int64_t cut = 0; cut < 2; ++cut) {  // also from rows that are a slice themselves
    auto rows = std::make_shared<Rows>(plain_rows(schema, batch(samples())));
    rows->array->offset = cut;
    rows->array->length -= cut;
    const std::weak_ptr<Rows> alive = rows;
    nanoarrow::UniqueSchema type;
    ASSERT_TRUE(to_arrow_fields(*wider, type.get()).ok());
    const auto places = find_columns(*type.get(), *rows->schema.get());
    ASSERT_TRUE(places);
    const std::int64_t length = rows->array->length;
    for (std::int64_t first = 0; first <= length; ++first) {
      for (std::int64_t count = 0; first + count <= length; ++count) {
        nanoarrow::UniqueArray shared;
        ASSERT_TRUE(share_rows(*type.get(), *places, *rows->array.get(), first, count, rows, 0,
                               shared.get())
                        .ok());
        nanoarrow::UniqueSchema copy;
        ASSERT_EQ(ArrowSchemaDeepCopy(type.get(), copy.get()), NANOARROW_OK);
        const ArrowRows read_from = made({std::move(copy), std::move(shared)});
        RecordBatch read;
        ASSERT_TRUE(read_from.read(0, read_from.size(), *wider, &read).ok());
        ASSERT_EQ(read.size(), static_cast<std::size_t>(count));
        for (std::size_t i = 0; i < read.size(); ++i)
          EXPECT_EQ(read[i], expected[static_cast<std::size_t>(cut + first) + i]);
      }
    }
    nanoarrow::UniqueArray last;
    ASSERT_TRUE(
        share_rows(*type.get(), *places, *rows->array.get(), 0, 1, rows, 0, last.get()).ok());
    rows.reset();
    EXPECT_FALSE(alive.expired());
    last.reset();
    EXPECT_TRUE(alive.expired());
  }
}

}  // namespace
}  // namespace persisting
