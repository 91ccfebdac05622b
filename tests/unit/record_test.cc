#include "persisting/record.h"

#include <string>
#include <string_view>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "persisting/msgpack_writer.h"

#include "support/records.h"

namespace persisting {
namespace {

using ::testing::HasSubstr;
using namespace std::string_view_literals;

Struct sample() {
  return {{"id", 7},
          {"none", Null{}},
          {"name", "grün"},
          {"raw", Bytes{"\xff"}},
          {"when", Timestamp{1, true}},
          {"nested", Struct{{"list", List{1, 2.5, List{}}}, {"", true}}}};
}

std::string refusal(const Struct& fields) {
  const Result<Record> made = Record::make(fields);
  if (made) return "accepted";
  EXPECT_EQ(made.error().code, ErrorCode::kInvalidArgument);
  return made.error().message;
}

// `value` inside `count` lists.
Value in_lists(Value value, int count) {
  for (int i = 0; i < count; ++i) value = List{value};
  return value;
}

TEST(Record, GivesBackItsFields) {
  const Record record = testing::record(sample());
  EXPECT_EQ(record.fields(), sample());
  EXPECT_EQ(record.get("id").value(), Value(7));
  EXPECT_EQ(record.get("nested").value(), sample().back().second);
  EXPECT_EQ(record.get("list").error().code, ErrorCode::kInvalidArgument);
  EXPECT_THAT(record.get("list").error().message, HasSubstr("'list'"));
}

// The worked example of docs/formats.md: bytes in old logs must stay readable.
TEST(Record, EncodedFormIsAsDocumented) {
  const Struct fields = {{"id", 300},
                         {"at", Timestamp{1'704'067'200'000'000, true}},
                         {"tags", List{"a", Null{}}},
                         {"score", 0.5}};
  constexpr std::string_view documented =
      "\x84"
      "\xa2id\xcd\x01\x2c"
      "\xa2"
      "at\xd7\x01\x00\x06\x0d\xd7\x10\x21\x20\x00"
      "\xa4tags\x92\xa1"
      "a\xc0"
      "\xa5score\xcb\x3f\xe0\x00\x00\x00\x00\x00\x00"sv;
  EXPECT_EQ(testing::record(fields).encoded(), documented);
  EXPECT_EQ(Record::from_encoded(std::string(documented)).value().fields(), fields);
}

TEST(Record, MayBeEmpty) { EXPECT_TRUE(testing::record({}).fields().empty()); }

TEST(Record, RefusesNamesGivenTwice) {
  EXPECT_THAT(refusal({{"a", 1}, {"b", 2}, {"a", 3}}), HasSubstr("'a' is given twice"));
  EXPECT_THAT(refusal({{"s", List{Struct{{"a", 1}, {"a", 3}}}}}),
              HasSubstr("'s.a' is given twice"));
}

TEST(Record, RefusesTextThatIsNotUtf8) {
  EXPECT_THAT(refusal({{"s", Struct{{"text", "\xff"}}}}), HasSubstr("'s.text'"));
  EXPECT_THAT(refusal({{"\xff", 1}}), HasSubstr("not UTF-8"));
}

TEST(Record, NestsToALimit) {
  EXPECT_EQ(refusal({{"deep", in_lists(1, Record::max_nesting)}}), "accepted");
  EXPECT_THAT(refusal({{"deep", in_lists(1, Record::max_nesting + 1)}}), HasSubstr("'deep' nests"));
  EXPECT_THAT(refusal({{"deep", in_lists(Struct{}, Record::max_nesting)}}),
              HasSubstr("'deep' nests"));
}

TEST(Record, EncodedFormIsCheckedFully) {
  const std::string valid(testing::record(sample()).encoded());
  EXPECT_TRUE(Record::from_encoded(valid).ok());
  EXPECT_THAT(Record::from_encoded(valid + '\xc0').error().message, HasSubstr("bytes follow"));
  for (std::size_t size = 0; size < valid.size(); ++size) {
    EXPECT_FALSE(Record::from_encoded(valid.substr(0, size)).ok()) << size;
  }
  EXPECT_THAT(Record::from_encoded("\x90").error().message, HasSubstr("a record is a map"));
  EXPECT_THAT(Record::from_encoded("\x81\x01\x01").error().message, HasSubstr("name is text"));
  EXPECT_THAT(Record::from_encoded("\x81\xa1x\xc1").error().message,
              HasSubstr("byte 3: no value of a record's types for field 'x'"));
  // Nesting beyond the limit that Record::make would not have produced.
  std::string deep =
      "\x81\xa4"
      "deep";
  msgpack::write_value(deep, in_lists(1, Record::max_nesting + 1));
  EXPECT_THAT(Record::from_encoded(deep).error().message, HasSubstr("'deep' nests"));
}

TEST(FieldName, TopLevelRules) {
  for (const char* name : {"a", "with space", "ä", "__empty_struct", "_OFFSET", "a-b", "\"", "0"}) {
    EXPECT_TRUE(check_field_name(name, true).ok()) << name;
  }
  for (const char* name : {"", "_offset", "_ts", "_rowid", "_rowaddr", "_row_created_at_version",
                           "_row_last_updated_at_version", "a.b", "a`", "*"}) {
    const Status checked = check_field_name(name, true);
    ASSERT_FALSE(checked.ok()) << name;
    EXPECT_EQ(checked.error().code, ErrorCode::kInvalidArgument);
    EXPECT_THAT(checked.error().message, HasSubstr(name));
    EXPECT_THAT(checked.error().message, HasSubstr("name"));
  }
}

TEST(FieldName, MemberRules) {
  for (const char* name : {"", "_offset", "_ts", "_rowid", "a.b", "a`", "*"}) {
    EXPECT_TRUE(check_field_name(name, false).ok()) << name;
  }
  EXPECT_FALSE(check_field_name("__empty_struct", false).ok());
}

TEST(FieldName, NeverHoldsNul) {
  const std::string_view name("a\0b", 3);
  EXPECT_THAT(check_field_name(name, true).error().message, HasSubstr("NUL"));
  EXPECT_THAT(check_field_name(name, false).error().message, HasSubstr("NUL"));
}

TEST(RecordBatch, HoldsRecordsInOneBuffer) {
  RecordBatch batch;
  EXPECT_TRUE(batch.empty());
  batch.add(testing::record({{"a", 1}}));
  msgpack::write_value(batch.bytes(), Struct{{"b", 2}});
  batch.end_record();
  RecordBatch twice = batch;
  twice.append(batch);
  twice.append(twice);
  ASSERT_EQ(twice.size(), 8u);
  EXPECT_EQ(twice.byte_size(), 4 * batch.byte_size());
  for (std::size_t i = 0; i < twice.size(); ++i) {
    EXPECT_EQ(twice[i], batch[i % 2]);
    EXPECT_EQ(twice.fields(i), batch.fields(i % 2));
  }
  EXPECT_EQ(batch.fields(1), (Struct{{"b", 2}}));
}

}  // namespace
}  // namespace persisting
