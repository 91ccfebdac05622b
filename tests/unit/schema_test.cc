#include "schema/schema.h"

#include <cstdint>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "schema/admission.h"
#include "support/records.h"

namespace persisting {
namespace {

using ::testing::AllOf;
using testing::batch;
using testing::describe;
using ::testing::HasSubstr;
using testing::schema_of;

constexpr std::int64_t exact_limit = std::int64_t{1} << 53;

// Admits `second` where `first` is stored, each in a batch of its own.
Result<SchemaPtr> after(const Struct& first, const Struct& second) {
  return admit(schema_of({first}), batch({second}), 1);
}

// The schema then, or the message of the refusal.
std::string outcome(const Struct& first, const Struct& second) {
  const Result<SchemaPtr> admitted = after(first, second);
  if (admitted) return describe(*admitted.value());
  EXPECT_EQ(admitted.error().code, ErrorCode::kSchema);
  return admitted.error().message;
}

TEST(Admission, FirstRecordDecides) {
  EXPECT_EQ(describe(*schema_of({{{"a", true},
                                  {"b", 1},
                                  {"c", 1.5},
                                  {"d", "x"},
                                  {"e", Bytes{"x"}},
                                  {"f", Timestamp{0, true}},
                                  {"g", Timestamp{0, false}},
                                  {"h", Date{0}},
                                  {"i", List{List{1}}},
                                  {"j", Struct{{"k", Struct{}}}},
                                  {"l", Null{}},
                                  {"m", List{}}}})),
            "struct<a: bool, b: int64, c: double, d: string, e: bytes, f: timestamp with zone, "
            "g: timestamp without zone, h: date, i: list<list<int64>>, j: struct<k: struct<>>, "
            "l: undecided, m: list<undecided>>");
}

TEST(Admission, SameSchemaWhereNothingIsNew) {
  const SchemaPtr schema = schema_of({{{"a", 1}, {"b", Struct{{"x", List{1.5}}, {"y", "t"}}}}});
  const RecordBatch fitting =
      batch({{{"a", 2}},
             {},
             {{"a", Null{}}, {"b", Null{}}},
             {{"b", Struct{{"y", "u"}, {"x", List{Null{}, 2, 3.5}}}}, {"a", 3}},
             {{"b", Struct{{"x", List{}}}}}});
  EXPECT_EQ(admit(schema, fitting, 0).value(), schema);
}

TEST(Admission, NewFieldsAndMembersGrowTheSchema) {
  EXPECT_EQ(outcome({{"a", 1}}, {{"b", "x"}, {"a", 2}}), "struct<a: int64, b: string>");
  EXPECT_EQ(outcome({{"s", Struct{}}}, {{"s", Struct{{"x", 1}}}}), "struct<s: struct<x: int64>>");
  EXPECT_EQ(outcome({{"l", List{Struct{{"x", 1}}}}}, {{"l", List{Struct{{"y", 1}}, Struct{}}}}),
            "struct<l: list<struct<x: int64, y: int64>>>");
}

TEST(Admission, TheOldSchemaStaysAsItWas) {
  const SchemaPtr schema = schema_of({{{"a", 1}}});
  ASSERT_TRUE(admit(schema, batch({{{"a", 1.5}, {"b", 1}}}), 1).ok());
  EXPECT_EQ(describe(*schema), "struct<a: int64>");
}

TEST(Admission, UndecidedTakesTheFirstType) {
  EXPECT_EQ(outcome({{"a", Null{}}}, {{"a", "x"}}), "struct<a: string>");
  EXPECT_EQ(outcome({{"a", List{}}}, {{"a", List{Null{}, 1}}}), "struct<a: list<int64>>");
  EXPECT_EQ(outcome({{"a", Null{}}}, {{"a", List{Struct{{"x", List{}}}}}}),
            "struct<a: list<struct<x: list<undecided>>>>");
}

TEST(Admission, IntegerIntoDoubleIfExact) {
  for (const std::int64_t value : {std::int64_t{0}, exact_limit, -exact_limit}) {
    EXPECT_EQ(outcome({{"a", 1.5}}, {{"a", value}}), "struct<a: double>");
  }
  for (const std::int64_t value : {exact_limit + 1, -exact_limit - 1, INT64_MIN, INT64_MAX}) {
    EXPECT_THAT(outcome({{"a", 1.5}}, {{"a", value}}),
                HasSubstr("field 'a' is int64 beyond 2^53, which no double represents exactly, but "
                          "the bucket holds double there; convert"));
  }
}

TEST(Admission, DoubleIntoIntegerIfAllAreExact) {
  EXPECT_EQ(outcome({{"a", exact_limit}}, {{"a", 1.0}}), "struct<a: double>");
  EXPECT_THAT(outcome({{"a", exact_limit + 1}}, {{"a", 1.0}}),
              HasSubstr("field 'a' is double, but the bucket holds int64 there beyond 2^53"));
  EXPECT_EQ(outcome({{"l", List{1}}}, {{"l", List{2, 2.5}}}), "struct<l: list<double>>");
}

TEST(Admission, InexactIntegersAreNoticedOnce) {
  const SchemaPtr exact = schema_of({{{"a", 1}}});
  EXPECT_FALSE(exact->fields()[0].type.has_inexact_integers);
  const SchemaPtr inexact = admit(exact, batch({{{"a", exact_limit + 1}}}), 1).value();
  EXPECT_TRUE(inexact->fields()[0].type.has_inexact_integers);
  EXPECT_EQ(admit(inexact, batch({{{"a", INT64_MIN}}}), 2).value(), inexact);
}

TEST(Admission, OtherChangesOfTypeAreRefused) {
  const std::vector<std::pair<std::string, Value>> kinds = {
      {"bool", true},
      {"int64", 1},
      {"string", "x"},
      {"bytes", Bytes{"x"}},
      {"timestamp with zone", Timestamp{0, true}},
      {"timestamp without zone", Timestamp{0, false}},
      {"date", Date{0}},
      {"list<int64>", List{1}},
      {"struct<x: int64>", Struct{{"x", 1}}}};
  for (const auto& [held, first] : kinds) {
    for (const auto& [given, second] : kinds) {
      if (held == given) continue;
      const std::string name = given.starts_with("list")     ? "a list"
                               : given.starts_with("struct") ? "a struct"
                                                             : given;
      EXPECT_THAT(outcome({{"f", first}}, {{"f", second}}),
                  HasSubstr("field 'f' is " + name + ", but the bucket holds " + held + " there"));
    }
  }
}

TEST(Admission, MessageSaysWhichRecordWhichFieldAndWhatToDo) {
  const SchemaPtr schema = schema_of({{{"action", Struct{{"reward", 1.5}}}}});
  const RecordBatch records =
      batch({{}, {}, {{"new", 1}}, {{"action", Struct{{"reward", "high"}}}}});
  const Result<SchemaPtr> admitted = admit(schema, records, 14);
  ASSERT_FALSE(admitted.ok());
  EXPECT_EQ(admitted.error().code, ErrorCode::kSchema);
  EXPECT_EQ(admitted.error().message,
            "record 3 of the batch (offset 17): field 'action.reward' is string, but the bucket "
            "holds double there; convert the value, or put it under another name");
  EXPECT_EQ(describe(*schema), "struct<action: struct<reward: double>>");
}

TEST(Admission, MessageNamesElements) {
  EXPECT_THAT(outcome({{"l", List{Struct{{"x", 1}}}}}, {{"l", List{Struct{}, Struct{{"x", "y"}}}}}),
              HasSubstr("field 'l[].x' is string"));
}

TEST(Admission, MessageTellsEmptyNamesFromElements) {
  EXPECT_THAT(outcome({{"s", Struct{{"", 1}}}}, {{"s", Struct{{"", "x"}}}}),
              HasSubstr("field 's.' is string"));
}

TEST(Admission, GrowthHoldsForTheRestOfTheBatch) {
  EXPECT_EQ(
      describe(*schema_of({{{"a", 1}}, {{"a", 1.5}}, {{"a", 2}, {"b", Null{}}}, {{"b", "x"}}})),
      "struct<a: double, b: string>");
  const auto refused = [](const std::vector<Struct>& records) {
    return admit(testing::empty_schema(), batch(records), 0).error().message;
  };
  EXPECT_THAT(refused({{{"a", std::int64_t{1} << 60}}, {{"a", 0.5}}}),
              HasSubstr("record 1 of the batch"));
  EXPECT_THAT(refused({{{"a", 0.5}}, {{"a", std::int64_t{1} << 60}}}),
              HasSubstr("record 1 of the batch"));
  EXPECT_THAT(refused({{{"l", List{std::int64_t{1} << 60, 0.5}}}}),
              HasSubstr("field 'l[]' is double"));
  EXPECT_THAT(refused({{{"a", "x"}}, {{"a", 1}}}), HasSubstr("holds string there"));
}

TEST(Admission, EncodingIsChecked) {
  const SchemaPtr schema = schema_of({{{"a", "x"}, {"s", Struct{{"m", 1}}}}});
  const std::string valid(testing::record({{"a", "x"}, {"s", Struct{{"m", 2}}}}).encoded());
  const auto code = [&](const std::string& bytes) {
    RecordBatch records;
    records.add_encoded(bytes);
    const Result<SchemaPtr> admitted = admit(schema, records, 0);
    return admitted ? std::string("admitted") : admitted.error().message;
  };
  EXPECT_EQ(code(valid), "admitted");
  EXPECT_THAT(code(valid + "x"), AllOf(HasSubstr("record 0"), HasSubstr("bytes follow")));
  for (std::size_t size = 0; size < valid.size(); ++size) {
    EXPECT_THAT(code(valid.substr(0, size)), HasSubstr("record 0 of the batch (offset 0)"));
  }
  EXPECT_THAT(code("\x90"), HasSubstr("a record is a map"));
  EXPECT_THAT(code("\x81\xa1"
                   "a\xa1\xff"),
              HasSubstr("not UTF-8"));
  EXPECT_THAT(code("\x82\xa1"
                   "a\xc0\xa1"
                   "a\xc0"),
              HasSubstr("'a' is given twice"));
  EXPECT_THAT(code("\x81\xa1s\x82\xa1m\x01\xa1m\x02"), HasSubstr("'s.m' is given twice"));
}

TEST(Admission, NewNamesAreChecked) {
  const auto message = [](const Struct& fields) {
    const Result<SchemaPtr> admitted =
        admit(testing::empty_schema(), testing::unchecked_batch(fields), 0);
    return admitted ? std::string("admitted") : admitted.error().message;
  };
  EXPECT_THAT(message({{"_ts", 1}}), HasSubstr("'_ts' is reserved"));
  EXPECT_THAT(message({{"a.b", 1}}), HasSubstr("'a.b'"));
  EXPECT_THAT(message({{"s", Struct{{"__empty_struct", 1}}}}), HasSubstr("'__empty_struct'"));
  EXPECT_EQ(message({{"s", Struct{{"a.b", 1}}}}), "admitted");
}

TEST(Admission, ManyFieldsInAnyOrder) {
  Struct fields;
  for (int i = 0; i < 200; ++i) fields.emplace_back(std::string("f").append(std::to_string(i)), i);
  const SchemaPtr schema = schema_of({fields});
  const Struct reversed(fields.rbegin(), fields.rend());
  EXPECT_EQ(admit(schema, batch({reversed}), 1).value(), schema);
  Struct twice = reversed;
  twice.emplace_back("f150", 1);
  EXPECT_FALSE(admit(schema, testing::unchecked_batch(twice), 1).ok());
}

TEST(Merge, HoldsBoth) {
  const SchemaPtr left = schema_of({{{"a", 1}, {"b", Null{}}, {"c", Struct{{"x", 1.5}}}}});
  const SchemaPtr right =
      schema_of({{{"c", Struct{{"y", "t"}, {"x", 1}}}, {"a", 1.5}, {"b", true}, {"d", List{}}}});
  EXPECT_EQ(describe(merge(*left, *right).value()),
            "struct<a: double, b: bool, c: struct<x: double, y: string>, d: list<undecided>>");
}

TEST(Merge, NamesTheFieldWhereThereIsNone) {
  const SchemaPtr left = schema_of({{{"l", List{Struct{{"x", exact_limit + 1}}}}}});
  const SchemaPtr right = schema_of({{{"l", List{Struct{{"x", 0.5}}}}}});
  EXPECT_THAT(merge(*left, *right).error().message, HasSubstr("'l[].x'"));
  EXPECT_EQ(merge(*right, *left).error().code, ErrorCode::kSchema);
}

TEST(Schema, SurvivesTheCheckpoint) {
  const SchemaPtr schema = schema_of({{{"id", exact_limit + 1},
                                       {"tags", List{"a"}},
                                       {"s", Struct{{"", Struct{}}, {"n", Null{}}}}}});
  const Result<Schema> parsed = Schema::parse(schema->serialize());
  ASSERT_TRUE(parsed.ok());
  EXPECT_EQ(parsed.value(), *schema);
  EXPECT_EQ(parsed->find("tags"), 1u);
  EXPECT_EQ(parsed->find("n"), std::nullopt);
  EXPECT_EQ(Schema::parse(Schema().serialize()).value(), Schema());
}

// The worked example of docs/formats.md.
TEST(Schema, SerializedFormIsAsDocumented) {
  const SchemaPtr schema =
      schema_of({{{"id", 300}, {"at", Timestamp{}}, {"tags", List{"a", Null{}}}, {"score", 0.5}}});
  constexpr std::string_view documented(
      "\x83"
      "\xa6"
      "fields"
      "\x94"
      "\x96\xa2id\x02\x00\x90\xc4\x00\x90"
      "\x96\xa2"
      "at\x06\x00\x90\xc4\x00\x90"
      "\x96\xa4tags\x09\x00\x90\xc4\x00\x91"
      "\x96\xa0\x04\x00\x90\xc4\x00\x90"
      "\x96\xa5score\x03\x00\x90\xc4\x00\x90"
      "\xa6"
      "closed"
      "\xc2"
      "\xa7history\x94"
      "\x95\x00\x01\xa2id\xa0\xa5int64"
      "\x95\x00\x01\xa2"
      "at\xa0\xb3timestamp with zone"
      "\x95\x00\x01\xa4tags\xa0\xaclist<string>"
      "\x95\x00\x01\xa5score\xa0\xa6"
      "double",
      158);
  EXPECT_EQ(schema->serialize(), documented);
  EXPECT_EQ(Schema::parse(documented).value(), *schema);
}

// What CHECKPOINT files of version 1 hold.
TEST(Schema, VersionOneIsStillRead) {
  const SchemaPtr schema =
      schema_of({{{"id", 300}, {"at", Timestamp{}}, {"tags", List{"a", Null{}}}, {"score", 0.5}}});
  constexpr std::string_view version_1 =
      "\x94"
      "\x94\xa2id\x02\xc2\x90"
      "\x94\xa2"
      "at\x06\xc2\x90"
      "\x94\xa4tags\x09\xc2\x91"
      "\x94\xa0\x04\xc2\x90"
      "\x94\xa5score\x03\xc2\x90";
  EXPECT_EQ(Schema::parse(version_1).value(), *schema);
}

TEST(Schema, TheDeepestRecordsSchemaSurvives) {
  Value value = 1;
  for (int i = 0; i < Record::max_nesting; ++i)
    value = i % 2 == 0 ? Value(List{value}) : Value(Struct{{"m", value}});
  const SchemaPtr schema = schema_of({{{"deep", value}}});
  EXPECT_EQ(Schema::parse(schema->serialize()).value(), *schema);
}

TEST(Schema, DamageIsNoticed) {
  const std::string valid = schema_of({{{"a", 1}, {"l", List{Struct{{"x", 1}}}}}})->serialize();
  EXPECT_EQ(Schema::parse(valid + "x").error().code, ErrorCode::kCorruption);
  for (std::size_t size = 0; size < valid.size(); ++size) {
    EXPECT_FALSE(Schema::parse(valid.substr(0, size)).ok());
  }
  for (std::size_t at = 0; at < valid.size(); ++at) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string damaged = valid;
      damaged[at] = static_cast<char>(damaged[at] ^ (1 << bit));
      static_cast<void>(Schema::parse(damaged));  // must not crash; the checkpoint has a checksum
    }
  }
}

TEST(Schema, CopiesKeepTheirOwnIndex) {
  auto original = std::make_unique<Schema>(*schema_of({{{"a", 1}, {"b", 2}}}));
  const Schema copy = *original;
  Schema assigned;
  assigned = *original;
  original.reset();
  EXPECT_EQ(copy.find("b"), 1u);
  EXPECT_EQ(assigned.find("a"), 0u);
}

}  // namespace
}  // namespace persisting
