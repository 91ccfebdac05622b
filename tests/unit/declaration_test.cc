// Explicit changes of a schema, and its history.
#include "schema/declaration.h"

#include <limits>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "schema/admission.h"
#include "support/records.h"

namespace persisting {
namespace {

using testing::batch;
using testing::describe;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::normalized;
using testing::schema_of;
using Kind = SchemaChange::Kind;

SchemaDeclaration types(const Struct& fields) {
  const Result<SchemaDeclaration> parsed = parse_schema_option(fields);
  EXPECT_TRUE(parsed.ok()) << (parsed ? "" : parsed.error().message);
  return *parsed;
}

SchemaDeclaration defaults(std::vector<std::pair<std::string, Value>> values) {
  SchemaDeclaration declaration;
  declaration.defaults = std::move(values);
  return declaration;
}

SchemaPtr declared(const SchemaPtr& schema, const SchemaDeclaration& declaration,
                   std::uint64_t offset = 7) {
  const Result<SchemaPtr> made = declare(schema, declaration, offset);
  EXPECT_TRUE(made.ok()) << (made ? "" : made.error().message);
  return *made;
}

std::string refusal(const SchemaPtr& schema, const SchemaDeclaration& declaration,
                    ErrorCode code = ErrorCode::kSchema) {
  const Result<SchemaPtr> made = declare(schema, declaration, 7);
  if (made) return "declared";
  EXPECT_EQ(made.error().code, code);
  return made.error().message;
}

std::string put(const SchemaPtr& schema, const Struct& fields) {
  const Result<SchemaPtr> admitted = admit(schema, batch({fields}), 9);
  if (!admitted) return admitted.error().message;
  return *admitted == schema ? "fits" : describe(**admitted);
}

std::vector<SchemaChange> changes_after(const SchemaPtr& before, const SchemaPtr& after) {
  const std::vector<SchemaChange>& all = after->history();
  return {all.begin() + static_cast<std::ptrdiff_t>(before->history().size()), all.end()};
}

TEST(SchemaOption, ClosesTheSchemaUnlessItSaysAny) {
  EXPECT_EQ(types({{"a", "int"}}).is_closed, true);
  EXPECT_EQ(types({{"a", "int"}, {"*", "any"}}).is_closed, false);
  EXPECT_EQ(types({}).is_closed, true);
  const auto message = [](const Struct& fields) {
    const Result<SchemaDeclaration> parsed = parse_schema_option(fields);
    EXPECT_EQ(parsed.error().code, ErrorCode::kInvalidArgument);
    return parsed.error().message;
  };
  EXPECT_THAT(message({{"*", "int"}}), HasSubstr("'*' can only be 'any'"));
  EXPECT_THAT(message({{"*", 1}}), HasSubstr("'*' can only be 'any'"));
  EXPECT_THAT(message({{"a.b", "int"}}), HasSubstr("schema: field name 'a.b'"));
  EXPECT_THAT(message({{"_ts", "int"}}), HasSubstr("reserved"));
  EXPECT_THAT(message({{"a", "integer"}}), HasSubstr("schema: field 'a': 'integer' is no type"));
}

TEST(Declare, NewFieldsAreThereAtOnce) {
  const SchemaPtr schema =
      declared(schema_of({{{"x", 1}}}), types({{"a", "float32"}, {"*", "any"}}));
  EXPECT_EQ(describe(*schema), "struct<x: int64, a: float32>");
  EXPECT_FALSE(schema->is_closed());
  EXPECT_EQ(normalized(*schema, {}), (Struct{{"x", Null{}}, {"a", Null{}}}));
  EXPECT_THAT(schema->history().back(), (SchemaChange{7, Kind::kDeclared, "a", "", "float32"}));
  EXPECT_EQ(declared(schema, types({{"a", "float32"}, {"*", "any"}})), schema);
}

TEST(Declare, TakesWhatTheBucketHoldsExactly) {
  const std::vector<std::tuple<Value, std::string, bool>> cases = {
      {1, "double", true},
      {std::int64_t{1} << 60, "double", false},
      {1, "int8", false},
      {1, "uint64", false},
      {0.5, "float32", false},
      {0.5, "complex128", true},
      {Number::of(NumberType::kInt8, std::int8_t{1}), "int64", true},
      {Number::of(NumberType::kFloat32, 1.0F), "double", true},
      {Decimal{125, 2}, "decimal<4>", true},
      {Decimal{125, 2}, "decimal<1>", false},
      {Decimal{125, 2}, "decimal<38>", false},
      {"x", "string", true},
      {"x", "bytes", false},
      {"x", "json", false},
      {List{1}, "list<double>", true},
      {List{1}, "list<string>", false},
      {List{1}, "vector<int64, 1>", false},
      {Struct{{"a", 1}}, "struct<b: string, a: double>", true},
      {Struct{{"a", 1}}, "struct<b: string>", false},
      {Struct{{"a", 1}}, "map<string, int64>", false},
      {Tensor{NumberType::kInt8, {2}, "ab"}, "vector<float32, 2>", true},
      {Tensor{NumberType::kInt8, {2}, "ab"}, "tensor<int8>", true},
      {Tensor{NumberType::kInt8, {2}, "ab"}, "vector<int8, 3>", false},
      {Null{}, "uuid", true}};
  for (const auto& [value, type, is_held] : cases) {
    const SchemaPtr before = schema_of({{{"f", value}}});
    const SchemaDeclaration declaration = types({{"f", type}});
    if (is_held) {
      const SchemaPtr after = declared(before, declaration);
      EXPECT_EQ(persisting::describe(after->fields()[0].type), type);
      EXPECT_TRUE(after->fields()[0].type.is_declared);
      EXPECT_EQ(put(after, {{"f", value}}), "fits");
    } else {
      EXPECT_THAT(refusal(before, declaration),
                  HasSubstr("field 'f' is declared " + type + ", but the bucket holds " +
                            persisting::describe(before->fields()[0].type)));
    }
  }
}

TEST(Declare, ValuesAreConvertedOrRefused) {
  const auto check = [](const std::string& type, const Value& given, const Value& read) {
    const SchemaPtr schema = declared(testing::empty_schema(), types({{"f", type}}));
    EXPECT_EQ(put(schema, {{"f", given}}), "fits") << type;
    EXPECT_EQ(normalized(*schema, {{"f", given}}), (Struct{{"f", read}})) << type;
  };
  const auto refuses = [](const std::string& type, const Value& given) {
    const SchemaPtr schema = declared(testing::empty_schema(), types({{"f", type}}));
    EXPECT_THAT(put(schema, {{"f", given}}), HasSubstr("but the bucket holds " + type)) << type;
  };
  check("float32", 0.1, Number::of(NumberType::kFloat32, 0.1F));
  check("float32", 3, Number::of(NumberType::kFloat32, 3.0F));
  check("int8", -128, Number::of(NumberType::kInt8, std::int8_t{-128}));
  check("double", Number::of(NumberType::kFloat32, 0.5F), 0.5);
  check("decimal<2>", 3, Decimal{300, 2});
  check("decimal<2>", Decimal{1500, 3}, Decimal{150, 2});
  check("vector<float32, 2>", List{1, 0.5},
        Tensor{NumberType::kFloat32, {2}, std::string("\0\0\x80\x3f\0\0\0\x3f", 8)});
  check("tensor<int8>", List{List{1}, List{2}}, Tensor{NumberType::kInt8, {2, 1}, "\x01\x02"});
  check("vector<bool, 2>", List{true, false},
        Tensor{NumberType::kBool, {2}, std::string("\1\0", 2)});
  check("map<string, double>", Struct{{"z", 1}, {"a", Null{}}}, Struct{{"z", 1.0}, {"a", Null{}}});
  check("json", Struct{{"z", List{1, "x", Null{}}}}, Struct{{"z", List{1, "x", Null{}}}});
  refuses("float32", 1e300);
  refuses("int8", 128);
  refuses("int8", 1.0);
  refuses("double", (std::int64_t{1} << 53) + 1);
  refuses("decimal<2>", Decimal{1501, 3});
  refuses("vector<float32, 2>", List{1, 2, 3});
  refuses("vector<float32, 2>", Value(List{List{1, 2}}));
  refuses("vector<int8, 2>", List{1, 128});
  refuses("vector<int8, 2>", Value(List{1, Null{}}));
  refuses("tensor<int8>", Value(List{Value(List{1, 2}), Value(List{1})}));
  refuses("vector<bool, 1>", Value(List{1}));
  refuses("json", Value(List{Value(Bytes{})}));
  refuses("json", std::numeric_limits<double>::infinity());
  refuses("bool", 1);
  refuses("string", 1);
  refuses("uuid", "x");
}

TEST(Declare, ClosedSchemasTakeNoOtherFields) {
  const SchemaPtr schema = declared(testing::empty_schema(), types({{"s", "struct<a: int64>"}}));
  EXPECT_TRUE(schema->is_closed());
  EXPECT_THAT(put(schema, {{"x", Null{}}}), HasSubstr("field 'x' is not in the declared schema"));
  EXPECT_THAT(put(schema, {{"s", Struct{{"b", 1}}}}),
              HasSubstr("field 's.b' is not in the declared schema"));
  const SchemaPtr opened = declared(schema, types({{"*", "any"}}));
  EXPECT_EQ(put(opened, {{"x", 1}}), "struct<s: struct<a: int64>, x: int64>");
  EXPECT_THAT(put(opened, {{"s", Struct{{"b", 1}}}}), HasSubstr("'s.b' is not in the declared"));
  SchemaDeclaration nothing;
  EXPECT_EQ(declared(schema, nothing), schema);
}

TEST(Declare, DefaultsStandForMissingFields) {
  const SchemaPtr before = schema_of({{{"a", 1}}});
  const SchemaPtr schema = declared(before, defaults({{"a", 5}, {"l", Value(List{1})}}));
  EXPECT_EQ(normalized(*schema, {}), (Struct{{"a", 5}, {"l", List{1}}}));
  EXPECT_EQ(normalized(*schema, {{"a", Null{}}}), (Struct{{"a", Null{}}, {"l", List{1}}}));
  EXPECT_THAT(changes_after(before, schema),
              ElementsAre(SchemaChange{7, Kind::kDefault, "a", "", "5"},
                          SchemaChange{7, Kind::kAdded, "l", "", "list<int64>"},
                          SchemaChange{7, Kind::kDefault, "l", "", "[1]"}));
  EXPECT_EQ(declared(schema, defaults({{"a", 5}})), schema);
  const SchemaPtr taken = declared(schema, defaults({{"a", Null{}}, {"unknown", Null{}}}));
  EXPECT_EQ(normalized(*taken, {}), (Struct{{"a", Null{}}, {"l", List{1}}}));
  EXPECT_THAT(changes_after(schema, taken),
              ElementsAre(SchemaChange{7, Kind::kDefault, "a", "5", ""}));
}

TEST(Declare, DefaultsFollowTheTypeOfTheirField) {
  SchemaDeclaration both = types({{"f", "float32"}, {"*", "any"}});
  both.defaults = {{"f", 0.1}};
  EXPECT_EQ(normalized(*declared(testing::empty_schema(), both), {}),
            (Struct{{"f", Number::of(NumberType::kFloat32, 0.1F)}}));
  both.defaults = {{"f", "x"}};
  EXPECT_THAT(refusal(testing::empty_schema(), both), HasSubstr("defaults: field 'f' is string"));
  both.defaults = {{"_ts", 1}};
  EXPECT_THAT(refusal(testing::empty_schema(), both, ErrorCode::kInvalidArgument),
              HasSubstr("defaults: "));

  const SchemaPtr schema = declared(schema_of({{{"s", Struct{{"x", 1}}}}}),
                                    defaults({{"s", Struct{{"x", 2}}}, {"n", 1}}));
  const SchemaPtr widened =
      admit(schema, batch({{{"s", Struct{{"y", "t"}}}, {"n", 0.5}}}), 9).value();
  EXPECT_EQ(normalized(*widened, {}), (Struct{{"s", Struct{{"x", 2}, {"y", Null{}}}}, {"n", 1.0}}));
  const SchemaPtr text =
      admit(widened, batch({{{"s", 1}, {"n", "x"}}}), 9, {ConflictPolicy::kStringify})->schema;
  EXPECT_EQ(normalized(*text, {}), (Struct{{"s", R"({"x": 2})"}, {"n", "1"}}));
}

TEST(DropField, LeavesTheOthers) {
  const SchemaPtr schema = schema_of({{{"a", 1}, {"b", "x"}}});
  const SchemaPtr dropped = drop_field(schema, "a", 7).value();
  EXPECT_EQ(describe(*dropped), "struct<b: string>");
  EXPECT_EQ(dropped->history().back(), (SchemaChange{7, Kind::kDropped, "a", "int64", ""}));
  EXPECT_EQ(put(dropped, {{"a", "text now"}}), "struct<b: string, a: string>");
  const Error error = drop_field(schema, "c", 7).error();
  EXPECT_EQ(error.code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(error.message, "the bucket has no field 'c'; it has a, b");
  EXPECT_THAT(drop_field(testing::empty_schema(), "c", 7).error().message,
              HasSubstr("it has none"));
}

TEST(RenameField, KeepsPlaceTypeAndDefault) {
  const SchemaPtr schema = declared(schema_of({{{"a", 1}, {"b", "x"}}}), defaults({{"a", 5}}));
  const SchemaPtr renamed = rename_field(schema, "a", "c", 7).value();
  EXPECT_EQ(describe(*renamed), "struct<c: int64, b: string>");
  EXPECT_EQ(normalized(*renamed, {}), (Struct{{"c", 5}, {"b", Null{}}}));
  EXPECT_EQ(renamed->find("a"), std::nullopt);
  EXPECT_EQ(renamed->history().back(), (SchemaChange{7, Kind::kRenamed, "a", "a", "c"}));
  EXPECT_THAT(rename_field(schema, "c", "d", 7).error().message, HasSubstr("no field 'c'"));
  EXPECT_THAT(rename_field(schema, "a", "b", 7).error().message,
              HasSubstr("has a field 'b' already"));
  EXPECT_THAT(rename_field(schema, "a", "_offset", 7).error().message, HasSubstr("reserved"));
}

TEST(SchemaHistory, SaysWhatRecordsBrought) {
  SchemaPtr schema = testing::empty_schema();
  std::uint64_t offset = 0;
  const auto brings = [&](const Struct& fields) {
    const SchemaPtr before = schema;
    schema = admit(schema, batch({fields}), offset++, {ConflictPolicy::kStringify})->schema;
    return changes_after(before, schema);
  };
  EXPECT_THAT(brings({{"a", 1}, {"u", Null{}}, {"s", Struct{{"l", List{}}}}}),
              ElementsAre(SchemaChange{0, Kind::kAdded, "a", "", "int64"},
                          SchemaChange{0, Kind::kAdded, "u", "", "undecided"},
                          SchemaChange{0, Kind::kAdded, "s", "", "struct<l: list<undecided>>"}));
  EXPECT_THAT(brings({{"a", 2}, {"s", Struct{}}}), IsEmpty());
  EXPECT_THAT(brings({{"s", Struct{{"m", true}, {"l", Value(List{1})}}}, {"u", "x"}, {"a", 0.5}}),
              ElementsAre(SchemaChange{2, Kind::kWidened, "a", "int64", "double"},
                          SchemaChange{2, Kind::kDecided, "u", "", "string"},
                          SchemaChange{2, Kind::kDecided, "s.l[]", "", "int64"},
                          SchemaChange{2, Kind::kAdded, "s.m", "", "bool"}));
  EXPECT_THAT(
      brings({{"s", Struct{{"m", 1}}}}),
      ElementsAre(SchemaChange{3, Kind::kText, "s", "struct<l: list<int64>, m: bool>", "string"}));
  EXPECT_THAT(brings({{"s", 1}, {"a", INT64_MAX}}),
              ElementsAre(SchemaChange{4, Kind::kText, "a", "double", "string"}));
}

}  // namespace
}  // namespace persisting
