#include "schema/normalizer.h"

#include <string>

#include <gtest/gtest.h>

#include "support/records.h"

namespace persisting {
namespace {

using testing::normalized;
using testing::schema_of;

TEST(Normalizer, GivesEveryFieldInTheSchemasOrder) {
  const SchemaPtr schema = schema_of({{{"a", 1}, {"b", "x"}, {"c", Null{}}, {"d", true}}});
  const Struct missing = {{"a", Null{}}, {"b", Null{}}, {"c", Null{}}, {"d", Null{}}};
  EXPECT_EQ(normalized(*schema, {}), missing);
  const Struct some = {{"a", Null{}}, {"b", "y"}, {"c", Null{}}, {"d", false}};
  EXPECT_EQ(normalized(*schema, {{"b", "y"}, {"d", false}}), some);
  EXPECT_EQ(normalized(*schema, {{"d", false}, {"b", "y"}}), some);
  EXPECT_EQ(normalized(*schema, {{"d", false}, {"c", Null{}}, {"b", "y"}}), some);
}

TEST(Normalizer, IntegersOfADoubleColumnBecomeDoubles) {
  const SchemaPtr schema = schema_of({{{"a", 1.5}, {"l", List{0.5}}, {"s", Struct{{"x", 0.5}}}}});
  const Struct expected = {{"a", 2.0}, {"l", List{1.0, Null{}, 0.25}}, {"s", Struct{{"x", 3.0}}}};
  EXPECT_EQ(normalized(*schema, {{"a", 2}, {"l", List{1, Null{}, 0.25}}, {"s", Struct{{"x", 3}}}}),
            expected);
}

TEST(Normalizer, StructsAreCompletedInside) {
  const SchemaPtr schema =
      schema_of({{{"l", List{Struct{{"x", 1}, {"y", "t"}}}}, {"e", Struct{}}}});
  const Struct expected = {
      {"l", List{Struct{{"x", Null{}}, {"y", "u"}}, Null{}, Struct{{"x", 2}, {"y", "v"}},
                 Struct{{"x", Null{}}, {"y", Null{}}}}},
      {"e", Struct{}}};
  EXPECT_EQ(
      normalized(*schema,
                 {{"l", List{Struct{{"y", "u"}}, Null{}, Struct{{"y", "v"}, {"x", 2}}, Struct{}}},
                  {"e", Struct{}}}),
      expected);
}

TEST(Normalizer, LeavesTheRestAsPut) {
  const Struct fields = {{"t", Timestamp{1, true}},
                         {"n", Timestamp{2, false}},
                         {"d", Date{3}},
                         {"b", Bytes{"\xff"}},
                         {"l", List{List{1}, List{}, Null{}}}};
  EXPECT_EQ(normalized(*schema_of({fields}), fields), fields);
}

TEST(Normalizer, AppendsBehindEarlierRecords) {
  const SchemaPtr schema = schema_of({{{"a", 1}, {"b", 2}}});
  RecordBatch out;
  normalize(*schema, testing::record({{"a", 1}, {"b", 2}}).encoded(), &out);
  normalize(*schema, testing::record({{"b", 4}, {"a", 3}}).encoded(), &out);
  EXPECT_EQ(out.fields(0), (Struct{{"a", 1}, {"b", 2}}));
  EXPECT_EQ(out.fields(1), (Struct{{"a", 3}, {"b", 4}}));
}

TEST(Normalizer, IsIdempotent) {
  const SchemaPtr schema = schema_of({{{"a", 1.5}, {"s", Struct{{"x", List{Struct{{"y", 1}}}}}}}});
  const Struct once = normalized(*schema, {{"s", Struct{{"x", List{Struct{}}}}}, {"a", 7}});
  EXPECT_EQ(normalized(*schema, once), once);
}

}  // namespace
}  // namespace persisting
