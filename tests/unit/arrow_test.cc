#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "schema/arrow_convert.h"
#include "schema/arrow_type.h"
#include "support/records.h"

namespace persisting {
namespace {

using testing::all_fields;
using ::testing::AllOf;
using testing::batch;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::Rows;
using testing::rows_of;
using testing::schema_of;

std::vector<Struct> samples() {
  return {{{"b", true},
           {"i", 1},
           {"d", 0.5},
           {"s", "grün"},
           {"y", Bytes{std::string("\0\xff", 2)}},
           {"t", Timestamp{-1, true}},
           {"n", Timestamp{1, false}},
           {"a", Date{-3}},
           {"l", List{List{1}, List{}, Null{}}},
           {"m", Struct{{"x", 1}, {"e", Struct{}}}},
           {"u", Null{}},
           {"v", List{Null{}}}},
          {},
          {{"m", Struct{{"e", Null{}}, {"x", Null{}}}},
           {"d", 7},
           {"s", ""},
           {"y", Bytes{}},
           {"l", List{}}},
          {{"v", List{}}, {"b", false}, {"i", INT64_MIN}}};
}

std::vector<Struct> tail_view(const Schema& schema, const RecordBatch& records) {
  RecordBatch out;
  for (std::size_t i = 0; i < records.size(); ++i) normalize(schema, records[i], &out);
  return all_fields(out);
}

std::string type_of(const Schema& schema) {
  nanoarrow::UniqueSchema arrow;
  EXPECT_TRUE(to_arrow_schema(schema, arrow.get()).ok());
  return describe_column(*arrow.get());
}

// Decodes rows that must be refused.
Error refusal(const Rows& rows, const Schema& schema, std::uint64_t first_offset = 0) {
  RecordBatch out;
  const Status decoded =
      decode_rows(*rows.schema.get(), *rows.array.get(), schema, first_offset, &out);
  EXPECT_FALSE(decoded.ok());
  EXPECT_EQ(out.byte_size(), out.empty() ? 0 : out.ends().back());
  return decoded ? Error{} : decoded.error();
}

FieldType of(TypeKind kind) { return testing::type_of(kind); }

// Adds a column to rows that hold nothing but system columns.
Rows with_column(const char* name, ArrowType type, const std::function<void(ArrowArray*)>& fill,
                 const std::function<void(ArrowSchema*)>& adjust = {}) {
  Rows rows;
  EXPECT_TRUE(to_arrow_schema(Schema({{name, of(TypeKind::kBool)}}), rows.schema.get()).ok());
  ArrowSchema* column = rows.schema->children[2];
  EXPECT_EQ(ArrowSchemaSetType(column, type), NANOARROW_OK);
  if (adjust) adjust(column);
  EXPECT_EQ(ArrowSchemaSetName(column, name), NANOARROW_OK);
  EXPECT_EQ(ArrowArrayInitFromSchema(rows.array.get(), rows.schema.get(), nullptr), NANOARROW_OK);
  EXPECT_EQ(ArrowArrayStartAppending(rows.array.get()), NANOARROW_OK);
  fill(rows.array->children[2]);
  for (std::int64_t i = 0; i < rows.array->children[2]->length; ++i) {
    EXPECT_EQ(ArrowArrayAppendInt(rows.array->children[0], i), NANOARROW_OK);
    EXPECT_EQ(ArrowArrayAppendInt(rows.array->children[1], i), NANOARROW_OK);
  }
  rows.array->length = rows.array->children[2]->length;
  EXPECT_EQ(ArrowArrayFinishBuildingDefault(rows.array.get(), nullptr), NANOARROW_OK);
  return rows;
}

std::vector<Value> decode_column(const Rows& rows, const char* name, FieldType type) {
  const Schema schema({{name, std::move(type)}});
  RecordBatch out;
  const Status decoded = decode_rows(*rows.schema.get(), *rows.array.get(), schema, 0, &out);
  EXPECT_TRUE(decoded.ok()) << (decoded ? "" : decoded.error().message);
  std::vector<Value> values;
  for (std::size_t i = 0; i < out.size(); ++i) values.push_back(out.fields(i)[0].second);
  return values;
}

TEST(ArrowSchemaOf, EveryType) {
  EXPECT_EQ(type_of(*schema_of(samples())),
            "struct<_offset: uint64, _ts: timestamp('us', 'UTC'), b: bool, i: int64, d: double, "
            "s: string, y: binary, t: timestamp('us', 'UTC'), n: timestamp('us', ''), a: date32, "
            "l: list<item: list<item: int64>>, m: struct<x: int64, e: struct<__empty_struct: na>>, "
            "v: list<item: na>>");
}

TEST(ArrowSchemaOf, ComesBack) {
  nanoarrow::UniqueSchema arrow;
  const SchemaPtr schema =
      schema_of({{{"x", 1.5}, {"m", Struct{{"e", Struct{}}, {"n", Null{}}}}, {"l", List{}}}});
  ASSERT_TRUE(to_arrow_schema(*schema, arrow.get()).ok());
  std::vector<std::string> ignored;
  EXPECT_EQ(from_arrow_schema(*arrow.get(), &ignored).value(), *schema);
  EXPECT_TRUE(ignored.empty());
}

TEST(ArrowSchemaOf, ColumnsAloneForAddColumns) {
  nanoarrow::UniqueSchema arrow;
  ASSERT_TRUE(to_arrow_columns(*schema_of({{{"x", 1.5}, {"u", Null{}}}}), arrow.get()).ok());
  EXPECT_EQ(describe_column(*arrow.get()), "struct<x: double>");
}

TEST(ArrowSchemaOf, ForeignColumnsAreIgnored) {
  const auto nothing = [](ArrowArray*) {};
  std::vector<std::string> ignored;
  const Rows times = with_column("u", NANOARROW_TYPE_INTERVAL_MONTHS, nothing);
  EXPECT_TRUE(from_arrow_schema(*times.schema.get(), &ignored)->fields().empty());
  const Rows nested = with_column("l", NANOARROW_TYPE_LIST, nothing, [](ArrowSchema* column) {
    ASSERT_EQ(ArrowSchemaSetType(column->children[0], NANOARROW_TYPE_INTERVAL_MONTHS),
              NANOARROW_OK);
  });
  EXPECT_TRUE(from_arrow_schema(*nested.schema.get(), &ignored)->fields().empty());
  EXPECT_THAT(ignored, ElementsAre("u", "l"));
}

TEST(PlanChange, AddsColumnsOrRewrites) {
  const auto plan = [](const Struct& table, const Struct& target) {
    return plan_change(*schema_of({table}), *schema_of({table, target})).kind;
  };
  using Kind = TableChange::Kind;
  EXPECT_EQ(plan({{"a", 1}}, {{"a", 2}}), Kind::kNone);
  EXPECT_EQ(plan({{"a", 1}}, {{"a", INT64_MAX}}), Kind::kNone);
  EXPECT_EQ(plan({{"a", 1}}, {{"b", Null{}}}), Kind::kNone);
  EXPECT_EQ(plan({{"a", 1}}, {{"b", 1}}), Kind::kAddColumns);
  EXPECT_EQ(plan({{"a", 1}}, {{"b", List{}}}), Kind::kAddColumns);
  EXPECT_EQ(plan({{"a", 1}}, {{"a", 1.5}}), Kind::kRewrite);
  EXPECT_EQ(plan({{"a", 1}}, {{"a", 1.5}, {"b", 1}}), Kind::kRewrite);
  EXPECT_EQ(plan({{"a", Struct{}}}, {{"a", Struct{{"x", 1}}}}), Kind::kRewrite);
  EXPECT_EQ(plan({{"a", Struct{{"x", 1}}}}, {{"a", Struct{{"y", 1}}}}), Kind::kRewrite);
  EXPECT_EQ(plan({{"a", List{}}}, {{"a", List{1}}}), Kind::kRewrite);
  EXPECT_EQ(plan({{"a", List{1}}}, {{"a", List{1.5}}}), Kind::kRewrite);
}

TEST(PlanChange, NullColumnOfTheTableIsRewrittenOnceDecided) {
  const Rows rows = with_column("a", NANOARROW_TYPE_NA, [](ArrowArray*) {});
  const Schema table = from_arrow_schema(*rows.schema.get(), nullptr).value();
  EXPECT_EQ(plan_change(table, *schema_of({{{"a", Null{}}}})).kind, TableChange::Kind::kNone);
  EXPECT_EQ(plan_change(table, *schema_of({{{"a", 1}}})).kind, TableChange::Kind::kRewrite);
}

TEST(PlanChange, UndecidedFieldsHaveNoColumnYet) {
  const SchemaPtr before = schema_of({{{"a", 1}, {"b", Null{}}}});
  EXPECT_EQ(testing::describe(columns_of(*before)), "struct<a: int64>");
  const SchemaPtr after = admit(before, batch({{{"b", "x"}}}), 1).value();
  EXPECT_EQ(plan_change(columns_of(*before), *after).kind, TableChange::Kind::kAddColumns);
}

TEST(PlanChange, NamesTheNewColumns) {
  const TableChange change =
      plan_change(*schema_of({{{"a", 1}}}), *schema_of({{{"b", "x"}, {"a", 1}, {"c", true}}}));
  EXPECT_EQ(testing::describe(change.added), "struct<b: string, c: bool>");
}

TEST(ArrowRows, ReadTheSameAsTheTail) {
  const RecordBatch records = batch(samples());
  const SchemaPtr schema = schema_of(samples());
  const Rows rows = rows_of(schema, records, 40);
  RecordBatch decoded;
  std::vector<std::int64_t> times;
  ASSERT_TRUE(decode_rows(*rows.schema.get(), *rows.array.get(), *schema, 40, &decoded, &times));
  EXPECT_EQ(all_fields(decoded), tail_view(*schema, records));
  EXPECT_THAT(times, ElementsAre(1000, 1001, 1002, 1003));
}

TEST(ArrowRows, ReadTheSameUnderALaterSchema) {
  const RecordBatch records = batch(samples());
  const SchemaPtr first = schema_of(samples());
  const SchemaPtr later =
      admit(first, batch({{{"new", "x"}, {"i2", 1}, {"u", "decided"}}}), 4).value();
  const Rows rows = rows_of(first, records);
  RecordBatch decoded;
  ASSERT_TRUE(decode_rows(*rows.schema.get(), *rows.array.get(), *later, 0, &decoded));
  EXPECT_EQ(all_fields(decoded), tail_view(*later, records));
}

TEST(ArrowRows, BuilderStartsAnew) {
  const SchemaPtr schema = schema_of({{{"a", 1}, {"s", Struct{{"x", "y"}}}}});
  Result<ArrowBatchBuilder> builder = ArrowBatchBuilder::make(schema);
  nanoarrow::UniqueSchema arrow;
  ASSERT_TRUE(to_arrow_schema(*schema, arrow.get()).ok());
  for (std::uint64_t round = 0; round < 3; ++round) {
    RecordBatch normalized;
    normalize(*schema, testing::record({{"a", 5}}).encoded(), &normalized);
    ASSERT_TRUE(builder->append(round, 0, normalized[0]).ok());
    nanoarrow::UniqueArray array;
    ASSERT_TRUE(builder->finish(array.get()).ok());
    EXPECT_EQ(builder->rows(), 0u);
    RecordBatch decoded;
    ASSERT_TRUE(decode_rows(*arrow.get(), *array.get(), *schema, round, &decoded));
    EXPECT_EQ(decoded.fields(0), (Struct{{"a", 5}, {"s", Null{}}}));
  }
  nanoarrow::UniqueArray empty;
  ASSERT_TRUE(builder->finish(empty.get()).ok());
  EXPECT_EQ(empty->length, 0);
}

TEST(ArrowRows, SlicedAnywhere) {
  const RecordBatch records = batch(samples());
  const SchemaPtr schema = schema_of(samples());
  const std::vector<Struct> expected = tail_view(*schema, records);
  Rows rows = rows_of(schema, records);
  rows.array->offset = 1;
  rows.array->length = 2;
  RecordBatch decoded;
  ASSERT_TRUE(decode_rows(*rows.schema.get(), *rows.array.get(), *schema, 1, &decoded));
  EXPECT_EQ(all_fields(decoded), (std::vector<Struct>{expected[1], expected[2]}));
  // The children sliced instead, as pyarrow does it.
  rows = rows_of(schema, records);
  rows.array->length = 3;
  for (std::int64_t i = 0; i < rows.array->n_children; ++i) {
    rows.array->children[i]->offset = 1;
    rows.array->children[i]->length = 3;
  }
  decoded = {};
  ASSERT_TRUE(decode_rows(*rows.schema.get(), *rows.array.get(), *schema, 1, &decoded));
  EXPECT_EQ(all_fields(decoded), (std::vector<Struct>{expected[1], expected[2], expected[3]}));
}

TEST(ArrowRows, TextInEveryLayout) {
  const std::string longer = "longer than a view holds inline";
  const auto fill = [&](ArrowArray* array) {
    for (const std::string& text : {std::string("ü"), std::string(), longer}) {
      ASSERT_EQ(
          ArrowArrayAppendString(array, {text.data(), static_cast<std::int64_t>(text.size())}),
          NANOARROW_OK);
    }
    ASSERT_EQ(ArrowArrayAppendNull(array, 1), NANOARROW_OK);
  };
  for (const ArrowType type :
       {NANOARROW_TYPE_STRING, NANOARROW_TYPE_LARGE_STRING, NANOARROW_TYPE_STRING_VIEW}) {
    EXPECT_THAT(decode_column(with_column("t", type, fill), "t", of(TypeKind::kString)),
                ElementsAre(Value("ü"), Value(""), Value(longer), Value()));
  }
  for (const ArrowType type :
       {NANOARROW_TYPE_BINARY, NANOARROW_TYPE_LARGE_BINARY, NANOARROW_TYPE_BINARY_VIEW}) {
    EXPECT_THAT(decode_column(with_column("t", type, fill), "t", of(TypeKind::kBytes)),
                ElementsAre(Value(Bytes{"ü"}), Value(Bytes{}), Value(Bytes{longer}), Value()));
  }
}

TEST(ArrowRows, LargeLists) {
  const Rows rows = with_column(
      "l", NANOARROW_TYPE_LARGE_LIST,
      [](ArrowArray* array) {
        ASSERT_EQ(ArrowArrayAppendInt(array->children[0], 4), NANOARROW_OK);
        ASSERT_EQ(ArrowArrayFinishElement(array), NANOARROW_OK);
        ASSERT_EQ(ArrowArrayFinishElement(array), NANOARROW_OK);
      },
      [](ArrowSchema* column) {
        ASSERT_EQ(ArrowSchemaSetType(column->children[0], NANOARROW_TYPE_INT64), NANOARROW_OK);
      });
  EXPECT_THAT(
      decode_column(rows, "l", testing::type_of(TypeKind::kList, {{"", of(TypeKind::kInt64)}})),
      ElementsAre(Value(List{4}), Value(List{})));
}

TEST(ArrowRows, IntegersAndNullsWhereTheSchemaHasGrown) {
  const auto three = [](ArrowArray* array) {
    ASSERT_EQ(ArrowArrayAppendInt(array, 3), NANOARROW_OK);
    ASSERT_EQ(ArrowArrayAppendNull(array, 1), NANOARROW_OK);
  };
  const Rows integers = with_column("x", NANOARROW_TYPE_INT64, three);
  EXPECT_THAT(decode_column(integers, "x", of(TypeKind::kDouble)),
              ElementsAre(Value(3.0), Value()));
  EXPECT_THAT(decode_column(integers, "absent", of(TypeKind::kDouble)),
              ElementsAre(Value(), Value()));
  const Rows nulls = with_column("x", NANOARROW_TYPE_NA, [](ArrowArray* array) {
    ASSERT_EQ(ArrowArrayAppendNull(array, 2), NANOARROW_OK);
  });
  for (const TypeKind kind : {TypeKind::kUndecided, TypeKind::kString, TypeKind::kStruct}) {
    EXPECT_THAT(decode_column(nulls, "x", of(kind)), ElementsAre(Value(), Value()));
  }
}

TEST(ArrowRows, ZonedTimesOfAnyZone) {
  const auto fill = [](ArrowArray* array) {
    ASSERT_EQ(ArrowArrayAppendInt(array, 9), NANOARROW_OK);
  };
  const auto zone = [](const char* name) {
    return [name](ArrowSchema* column) {
      ArrowSchemaRelease(column);
      ArrowSchemaInit(column);
      ASSERT_EQ(ArrowSchemaSetTypeDateTime(column, NANOARROW_TYPE_TIMESTAMP,
                                           NANOARROW_TIME_UNIT_MICRO, name),
                NANOARROW_OK);
    };
  };
  EXPECT_THAT(decode_column(with_column("t", NANOARROW_TYPE_INT64, fill, zone("+01:00")), "t",
                            of(TypeKind::kTimestampUtc)),
              ElementsAre(Value(Timestamp{9, true})));
  EXPECT_THAT(decode_column(with_column("t", NANOARROW_TYPE_INT64, fill, zone(nullptr)), "t",
                            of(TypeKind::kTimestampNaive)),
              ElementsAre(Value(Timestamp{9, false})));
}

TEST(ArrowRowsDamage, WrongTypeNamesColumnAndBothTypes) {
  const Rows rows =
      rows_of(schema_of({{{"s", Struct{{"x", "text"}}}}}), batch({{{"s", Struct{{"x", "text"}}}}}));
  const Error error = refusal(rows, *schema_of({{{"s", Struct{{"x", 1}}}}}));
  EXPECT_EQ(error.code, ErrorCode::kCorruption);
  EXPECT_THAT(error.message, AllOf(HasSubstr("'s.x'"), HasSubstr("string"), HasSubstr("int64")));
  const Rows foreign = with_column("x", NANOARROW_TYPE_INTERVAL_MONTHS, [](ArrowArray*) {});
  EXPECT_THAT(refusal(foreign, *schema_of({{{"x", 1.5}}})).message,
              AllOf(HasSubstr("interval"), HasSubstr("double")));
}

TEST(ArrowRowsDamage, OffsetsMustCountUp) {
  const SchemaPtr schema = schema_of({{{"a", 1}}});
  const Rows rows = rows_of(schema, batch({{{"a", 1}}, {{"a", 2}}}), 10);
  const Error error = refusal(rows, *schema, 9);
  EXPECT_EQ(error.code, ErrorCode::kCorruption);
  EXPECT_EQ(error.message, "the table holds offset 10 where offset 9 belongs");
  Rows gap = rows_of(schema, batch({{{"a", 1}}, {{"a", 2}}}), 10);
  const std::uint64_t twelve = 12;
  std::memcpy(static_cast<char*>(const_cast<void*>(gap.array->children[0]->buffers[1])) + 8,
              &twelve, 8);
  RecordBatch out;
  const Status decoded = decode_rows(*gap.schema.get(), *gap.array.get(), *schema, 10, &out);
  EXPECT_EQ(decoded.error().message, "the table holds offset 12 where offset 11 belongs");
  EXPECT_EQ(all_fields(out), (std::vector<Struct>{{{"a", 1}}}));
  EXPECT_EQ(check_rows(*gap.schema.get(), *gap.array.get(), 10).error().message,
            "the table holds offset 12 where offset 11 belongs");
  EXPECT_EQ(TableRows::make(*gap.schema.get(), gap.array.get(), *schema, 10).error().message,
            "the table holds offset 12 where offset 11 belongs");
}

TEST(ArrowRowsDamage, OffsetsMustNotBeNull) {
  const SchemaPtr schema = schema_of({{{"a", 1}}});
  Rows rows = rows_of(schema, batch({{{"a", 1}}, {{"a", 2}}}));
  static constexpr std::uint8_t second_is_null = 0b01;
  rows.array->children[0]->buffers[0] = &second_is_null;
  rows.array->children[0]->null_count = 1;
  EXPECT_EQ(check_rows(*rows.schema.get(), *rows.array.get(), 0).error().message,
            "the table holds a row without offset where offset 1 belongs");
  EXPECT_EQ(refusal(rows, *schema).message,
            "the table holds a row without offset where offset 1 belongs");
}

TEST(ArrowRowsDamage, SystemColumnsMustBeThere) {
  Rows rows;
  ASSERT_TRUE(to_arrow_columns(*schema_of({{{"a", 1}}}), rows.schema.get()).ok());
  ASSERT_EQ(ArrowArrayInitFromSchema(rows.array.get(), rows.schema.get(), nullptr), NANOARROW_OK);
  ASSERT_EQ(ArrowArrayFinishBuildingDefault(rows.array.get(), nullptr), NANOARROW_OK);
  EXPECT_EQ(refusal(rows, Schema()).message, "the table has no column '_offset'");
}

TEST(ArrowRowsDamage, TextOutsideItsBufferOrNotUtf8) {
  const SchemaPtr schema = schema_of({{{"t", "abc"}}});
  Rows rows = rows_of(schema, batch({{{"t", "abc"}}, {{"t", "def"}}}));
  auto* offsets =
      static_cast<std::int32_t*>(const_cast<void*>(rows.array->children[2]->buffers[1]));
  offsets[1] = 1000;
  EXPECT_THAT(refusal(rows, *schema).message, HasSubstr("malformed"));
  offsets[1] = 3;
  static_cast<char*>(const_cast<void*>(rows.array->children[2]->buffers[2]))[4] = '\xff';
  EXPECT_THAT(refusal(rows, *schema).message,
              AllOf(HasSubstr("offset 1"), HasSubstr("'t'"), HasSubstr("UTF-8")));
}

TEST(ArrowRowsDamage, ViewsOutsideTheirBuffers) {
  const std::string longer = "longer than a view holds inline";
  const Rows rows = with_column("t", NANOARROW_TYPE_BINARY_VIEW, [&](ArrowArray* array) {
    ASSERT_EQ(
        ArrowArrayAppendString(array, {longer.data(), static_cast<std::int64_t>(longer.size())}),
        NANOARROW_OK);
  });
  auto* view =
      static_cast<ArrowBinaryView*>(const_cast<void*>(rows.array->children[2]->buffers[1]));
  const ArrowBinaryView sound = *view;
  const Schema schema({{"t", of(TypeKind::kBytes)}});
  view->ref.size = 1000;
  EXPECT_THAT(refusal(rows, schema).message, HasSubstr("outside its buffers"));
  *view = sound;
  view->ref.buffer_index = 7;
  EXPECT_THAT(refusal(rows, schema).message, HasSubstr("outside its buffers"));
  *view = sound;
  view->ref.offset = -1;
  EXPECT_THAT(refusal(rows, schema).message, HasSubstr("outside its buffers"));
}

TEST(ArrowRowsDamage, ValuesTheSchemaCannotHave) {
  const Rows rows = with_column("x", NANOARROW_TYPE_INT64, [](ArrowArray* array) {
    ASSERT_EQ(ArrowArrayAppendInt(array, INT64_MAX), NANOARROW_OK);
  });
  EXPECT_THAT(refusal(rows, Schema({{"x", of(TypeKind::kDouble)}})).message,
              HasSubstr("9223372036854775807"));
  EXPECT_THAT(refusal(rows, Schema({{"x", of(TypeKind::kUndecided)}})).message,
              HasSubstr("has a value"));
}

}  // namespace
}  // namespace persisting
