// A bucket whose schema is declared when it is opened: types, a closed schema, defaults.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/bucket_on_disk.h"

namespace persisting {
namespace {

using testing::BucketOnDisk;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

using Rows = std::vector<Struct>;

class DeclarationTest : public BucketOnDisk {
 protected:
  void declare(const Struct& types, std::vector<std::pair<std::string, Value>> defaults = {}) {
    options_.declaration = types.empty() ? SchemaDeclaration() : parse_schema_option(types).value();
    options_.declaration.defaults = std::move(defaults);
  }
  void declare_defaults(std::vector<std::pair<std::string, Value>> defaults) {
    declare({}, std::move(defaults));
  }
  // The same in the tail, in the table, after a crash and after a clean end.
  void expect_everywhere(const Rows& rows) {
    EXPECT_EQ(read(), rows);
    reopen(true);
    EXPECT_EQ(read(), rows) << "after a crash";
    ASSERT_TRUE(flush().ok());
    EXPECT_EQ(read(), rows) << "flushed";
    reopen(false);
    EXPECT_EQ(read(), rows) << "after a close";
    reopen(true);
    EXPECT_EQ(read(), rows) << "after another crash";
  }
};

TEST_F(DeclarationTest, TypesAreFixedAndOtherFieldsRefused) {
  declare({{"id", "int64"}, {"score", "float32"}});
  open();
  put({{{"id", 1}, {"score", 0.1}}});
  for (const bool reopened : {false, true}) {
    EXPECT_EQ(try_put({{{"id", 0.5}}}).error().code, ErrorCode::kSchema);
    EXPECT_THAT(try_put({{{"other", 1}}}).error().message, HasSubstr("'other'"));
    EXPECT_EQ(schema(), "struct<id: int64, score: float32>");
    const float rounded = 0.1F;
    EXPECT_EQ(read(), (Rows{{{"id", 1}, {"score", Number::of(NumberType::kFloat32, rounded)}}}));
    declare({});  // what was declared stays so
    if (!reopened) reopen(true);
  }
  ASSERT_TRUE(flush().ok());
  reopen(false);
  EXPECT_EQ(try_put({{{"other", 1}}}).error().code, ErrorCode::kSchema);
  EXPECT_THAT(history(), ElementsAre("0 declared id:  -> int64", "0 declared score:  -> float32"));
}

TEST_F(DeclarationTest, AnOpenOneTakesMoreFields) {
  declare({{"id", "int64"}, {"*", "any"}});
  open();
  put({{{"id", 1}, {"more", "x"}}});
  EXPECT_EQ(schema(), "struct<id: int64, more: string>");
  expect_everywhere({{{"id", 1}, {"more", "x"}}});
}

TEST_F(DeclarationTest, WidensWhatTheBucketHoldsAlready) {
  open();
  put({{{"id", 1}, {"x", 2}}});
  ASSERT_TRUE(flush().ok());
  put({{{"id", 2}, {"x", 3}}});
  declare({{"id", "int64"}, {"x", "double"}});
  reopen(true);
  put({{{"id", 3}, {"x", 4}}});
  expect_everywhere({{{"id", 1}, {"x", 2.0}}, {{"id", 2}, {"x", 3.0}}, {{"id", 3}, {"x", 4.0}}});
  EXPECT_THAT(history(),
              ElementsAre("0 added id:  -> int64", "0 added x:  -> int64",
                          "2 declared id: int64 -> int64", "2 declared x: int64 -> double"));
}

TEST_F(DeclarationTest, AConflictRefusesToOpenAndLeavesTheBucketUsable) {
  for (const bool flushed : {false, true}) {
    options_.folder += "x";
    declare({});
    open();
    put({{{"id", 1}, {"name", "a"}}});
    if (flushed) {
      ASSERT_TRUE(flush().ok());
    }
    close();
    declare({{"id", "int64"}, {"name", "double"}});
    const Status refused = try_open();
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(refused.error().code, ErrorCode::kSchema);
    EXPECT_THAT(refused.error().message,
                AllOf(HasSubstr("'name'"), HasSubstr("string"), HasSubstr("double")));
    declare_defaults({{"name", 5}});
    EXPECT_EQ(try_open().error().code, ErrorCode::kSchema);
    declare({});
    open();
    EXPECT_EQ(read(), (Rows{{{"id", 1}, {"name", "a"}}}));
    EXPECT_EQ(schema(), "struct<id: int64, name: string>");
    put({{{"id", 2}, {"more", 1}}});
    close();
  }
}

TEST_F(DeclarationTest, ANewFieldsDefaultIsThatOfOlderRecordsToo) {
  open();
  put({{{"id", 1}}});
  ASSERT_TRUE(flush().ok());
  put({{{"id", 2}}});
  declare_defaults({{"lang", "de"}});
  reopen(true);
  put({{{"id", 3}}});
  put({{{"id", 4}, {"lang", Null{}}}});
  put({{{"id", 5}, {"lang", "fr"}}});
  const Rows expected{{{"id", 1}, {"lang", "de"}},
                      {{"id", 2}, {"lang", "de"}},
                      {{"id", 3}, {"lang", "de"}},
                      {{"id", 4}, {"lang", Null{}}},
                      {{"id", 5}, {"lang", "fr"}}};
  EXPECT_EQ(read(), expected);
  declare({});  // it stays
  expect_everywhere(expected);
  EXPECT_THAT(history(), ElementsAre("0 added id:  -> int64", "2 added lang:  -> string",
                                     "2 default lang:  -> de"));
}

TEST_F(DeclarationTest, OlderRecordsOfAKnownFieldStayAsTheyWere) {
  for (const bool flushed : {false, true}) {
    options_.folder += "x";
    declare({});
    open();
    put({{{"id", 1}}});
    put({{{"id", 2}, {"lang", "fr"}}});
    put({{{"none", Null{}}}});
    if (flushed) {
      ASSERT_TRUE(flush().ok());
    }
    declare_defaults({{"lang", "de"}, {"none", 7}});
    reopen(true);
    put({{{"id", 4}}});
    expect_everywhere({{{"id", 1}, {"lang", Null{}}, {"none", Null{}}},
                       {{"id", 2}, {"lang", "fr"}, {"none", Null{}}},
                       {{"id", Null{}}, {"lang", Null{}}, {"none", Null{}}},
                       {{"id", 4}, {"lang", "de"}, {"none", 7}}});
    close();
  }
}

TEST_F(DeclarationTest, AChangedDefaultHoldsFromThenOn) {
  for (const bool flushed : {false, true}) {
    options_.folder += "x";
    declare({});
    open();
    put({{{"id", 1}}});
    ASSERT_TRUE(flush().ok());
    declare_defaults({{"lang", "de"}});  // for which the table has no column
    reopen(true);
    if (flushed) {
      put({{{"id", 2}}});
      ASSERT_TRUE(flush().ok());
    }
    put({{{"id", 3}}});
    declare_defaults({{"lang", "fr"}});
    reopen(true);
    put({{{"id", 4}}});
    declare_defaults({{"lang", Null{}}});
    reopen(true);
    put({{{"id", 5}}});
    Rows expected{{{"id", 1}, {"lang", "de"}}};
    if (flushed) expected.push_back({{"id", 2}, {"lang", "de"}});
    expected.push_back({{"id", 3}, {"lang", "de"}});
    expected.push_back({{"id", 4}, {"lang", "fr"}});
    expected.push_back({{"id", 5}, {"lang", Null{}}});
    expect_everywhere(expected);
    close();
  }
}

// No record lies between the two: the table has no column of the field at all.
TEST_F(DeclarationTest, ADefaultChangesThoughTheTableHasNoColumnForIt) {
  open();
  put({{{"id", 1}}});
  ASSERT_TRUE(flush().ok());
  declare_defaults({{"lang", "de"}});
  reopen(true);
  EXPECT_EQ(read(), (Rows{{{"id", 1}, {"lang", "de"}}}));
  declare_defaults({{"lang", "fr"}});
  reopen(true);
  EXPECT_EQ(read(), (Rows{{{"id", 1}, {"lang", "de"}}}));
  declare_defaults({{"lang", Null{}}});
  reopen(true);
  put({{{"id", 2}}});
  expect_everywhere({{{"id", 1}, {"lang", "de"}}, {{"id", 2}, {"lang", Null{}}}});
}

TEST_F(DeclarationTest, ADefaultFollowsItsFieldsType) {
  declare_defaults({{"score", 1}});
  open();
  put({{{"id", 1}}});
  put({{{"id", 2}, {"score", 0.5}}});
  put({{{"id", 3}}});
  expect_everywhere(
      {{{"score", 1.0}, {"id", 1}}, {{"score", 0.5}, {"id", 2}}, {{"score", 1.0}, {"id", 3}}});
}

TEST_F(DeclarationTest, ADefaultWithATypeOfOneDeclaration) {
  open();
  put({{{"id", 1}}});
  ASSERT_TRUE(flush().ok());
  declare({{"id", "int64"}, {"at", "float32"}}, {{"at", 0.5}});
  reopen(false);
  EXPECT_EQ(schema(), "struct<id: int64, at: float32>");
  expect_everywhere({{{"id", 1}, {"at", Number::of(NumberType::kFloat32, 0.5F)}}});
}

TEST_F(DeclarationTest, FieldsWithDefaultsAreDroppedAndRenamed) {
  declare_defaults({{"a", 1}, {"b", "x"}});
  open();
  put({{{"id", 1}}});
  ASSERT_TRUE(rename("b", "c").ok());
  ASSERT_TRUE(drop("a").ok());
  put({{{"id", 2}}});
  declare({});
  expect_everywhere({{{"c", "x"}, {"id", 1}}, {{"c", "x"}, {"id", 2}}});
}

// A default that no flush has brought into the table yet.
TEST_F(DeclarationTest, AFieldIsRenamedForWhichTheTableHasNoColumn) {
  open();
  put({{{"id", 1}}});
  ASSERT_TRUE(flush().ok());
  declare_defaults({{"a", 1}, {"b", "x"}});
  reopen(true);
  declare({});
  ASSERT_TRUE(rename("b", "c").ok());
  ASSERT_TRUE(drop("a").ok());
  EXPECT_EQ(read(), (Rows{{{"id", 1}, {"c", "x"}}}));
  put({{{"id", 2}}});
  expect_everywhere({{{"id", 1}, {"c", "x"}}, {{"id", 2}, {"c", "x"}}});
}

TEST_F(DeclarationTest, InMemoryToo) {
  options_.has_table = options_.has_wal = false;
  options_.folder.clear();
  declare({{"id", "int64"}, {"score", "double"}}, {{"score", 1}});
  open();
  put({{{"id", 1}}});
  EXPECT_EQ(read(), (Rows{{{"id", 1}, {"score", 1.0}}}));
  EXPECT_EQ(try_put({{{"other", 1}}}).error().code, ErrorCode::kSchema);
  ASSERT_TRUE(drop("id").ok());
  EXPECT_EQ(read(), (Rows{{{"score", 1.0}}}));
}

// The process dies at any call of the opening that declares: the next one declares the same.
TEST_F(DeclarationTest, AnOpeningThatDiesIsRepeated) {
  for (std::uint64_t calls = 0; calls < 60; ++calls) {
    options_.folder += "x";
    declare({});
    open();
    put({{{"id", 1}, {"v", Tensor{NumberType::kFloat32, {1}, std::string(4, '\0')}}}});
    ASSERT_TRUE(flush().ok());
    put({{{"id", 2}}});
    kill();
    declare({{"id", "double"}, {"v", "tensor<float32>"}, {"lang", "string"}}, {{"lang", "de"}});
    disk_.stop_at(calls);
    const bool opened = try_open().ok();
    kill();
    if (calls % 2 == 0) declare({});  // or does not
    const Status again = try_open();
    ASSERT_TRUE(again.ok()) << calls << ": " << again.error().message;
    ASSERT_EQ(read().size(), 2U);
    EXPECT_EQ((*engine_->get(1, 1)).fields(0)[0].second.get_if<std::int64_t>() == nullptr,
              schema().find("id: double") != std::string::npos);
    declare({{"id", "double"}, {"v", "tensor<float32>"}, {"lang", "string"}}, {{"lang", "de"}});
    reopen(true);
    EXPECT_EQ(schema(), "struct<id: double, v: tensor<float32>, lang: string>");
    EXPECT_EQ(read()[1], (Struct{{"id", 2.0}, {"v", Null{}}, {"lang", "de"}}));
    if (opened) calls = 60;
    close();
  }
}

}  // namespace
}  // namespace persisting
