// What becomes of records whose types conflict with the schema, under each policy.
#include "engine/dead_letters.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/bucket_on_disk.h"

namespace persisting {
namespace {

using ::testing::AllOf;
using testing::Answer;
using testing::batch;
using testing::BucketOnDisk;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using testing::record;

using Rows = std::vector<Struct>;

class ConflictTest : public BucketOnDisk {
 protected:
  void set_policy(ConflictPolicy policy) { options_.admission.on_conflict = policy; }
  std::int64_t stat(const std::string& name) {
    return *engine_->stats()->extra.at(name).get_if<std::int64_t>();
  }
};

class DeadLetterTest : public ConflictTest {
 protected:
  void SetUp() override {
    BucketOnDisk::SetUp();
    set_policy(ConflictPolicy::kDeadLetter);
  }
  struct Letter {
    std::int64_t offset;
    std::string reason;
    std::string record;
  };
  std::vector<Letter> letters() {
    std::vector<Letter> letters;
    if (engine_->dead_letters() == nullptr) return letters;
    const auto records = engine_->dead_letters()->get(UINT64_MAX, 0);
    EXPECT_TRUE(records.ok());
    for (const Struct& fields : testing::all_fields(*records)) {
      EXPECT_EQ(fields.size(), 3U);
      EXPECT_EQ(fields[0].first + fields[1].first + fields[2].first, "offsetreasonrecord");
      letters.push_back({*fields[0].second.get_if<std::int64_t>(),
                         *fields[1].second.get_if<std::string>(),
                         fields[2].second.get_if<Bytes>()->data});
    }
    return letters;
  }
};

TEST_F(DeadLetterTest, WhatConflictsIsKeptAsideWithItsReason) {
  open();
  put({{{"id", 1}, {"name", "a"}}});
  const Rows rows{
      {{"id", 2}, {"name", 5}}, {{"id", 3}, {"name", "c"}, {"new", 1}}, {{"id", "x"}}, {{"id", 4}}};
  EXPECT_EQ(try_put(rows).value(), 1U);
  EXPECT_EQ(read(), (Rows{{{"id", 1}, {"name", "a"}, {"new", Null{}}},
                          {{"id", 3}, {"name", "c"}, {"new", 1}},
                          {{"id", 4}, {"name", Null{}}, {"new", Null{}}}}));
  const auto kept = letters();
  ASSERT_EQ(kept.size(), 2U);
  EXPECT_EQ(kept[0].offset, 1);
  EXPECT_EQ(kept[0].record, record(rows[0]).encoded());
  EXPECT_THAT(kept[0].reason, AllOf(HasSubstr("'name'"), HasSubstr("int64"), HasSubstr("string"),
                                    HasSubstr("record 0 of the batch (offset 1)")));
  EXPECT_EQ(kept[1].offset, 2);  // where it would have stood
  EXPECT_EQ(kept[1].record, record(rows[2]).encoded());
  EXPECT_THAT(kept[1].reason, HasSubstr("'id'"));
  EXPECT_EQ(stat("rejected"), 2);
  EXPECT_EQ(stat("dead_letters"), 2);
  EXPECT_EQ(engine_->stats()->total_count, 3U);
}

TEST_F(DeadLetterTest, ABatchOfWhichNothingIsTakenIsAcknowledged) {
  open();
  put({{{"id", 1}}});
  EXPECT_EQ(try_put({{{"id", "x"}}, {{"id", "y"}}}).value(), 1U);
  EXPECT_EQ(read(), (Rows{{{"id", 1}}}));
  EXPECT_EQ(letters().size(), 2U);
  EXPECT_EQ(letters()[1].offset, 1);
  put({{{"id", 2}}});
  EXPECT_EQ(read(), (Rows{{{"id", 1}}, {{"id", 2}}}));
}

TEST_F(DeadLetterTest, TheyAreAsDurableAsTheRest) {
  open();
  put({{{"id", 1}}});
  put({{{"id", 2}}, {{"id", "x"}}});
  put({{{"id", "y"}}});
  reopen(true);
  EXPECT_EQ(letters().size(), 2U);
  EXPECT_EQ(stat("dead_letters"), 2);
  EXPECT_EQ(read(), (Rows{{{"id", 1}}, {{"id", 2}}}));
  set_policy(ConflictPolicy::kReject);  // which reads what there is
  reopen(true);
  EXPECT_EQ(letters().size(), 2U);
  EXPECT_EQ(try_put({{{"id", "z"}}}).error().code, ErrorCode::kSchema);
  ASSERT_TRUE(flush().ok());
  reopen(false);
  EXPECT_EQ(letters().size(), 2U);
  EXPECT_EQ(letters()[0].record, record({{"id", "x"}}).encoded());
  EXPECT_TRUE(disk_.exists("/topic/bucket_3/dead_letters/data.lance/data").value());
}

TEST_F(DeadLetterTest, ABucketWithoutAnyHasNoFolderForThem) {
  set_policy(ConflictPolicy::kReject);
  open();
  put({{{"id", 1}}});
  EXPECT_EQ(engine_->dead_letters(), nullptr);
  EXPECT_EQ(stat("dead_letters"), 0);
  close();
  for (const auto& [path, contents] : disk_.files())
    EXPECT_THAT(path, Not(HasSubstr("dead_letters")));
}

TEST_F(DeadLetterTest, OnEveryComposition) {
  for (const bool has_table : {false, true}) {
    options_.has_table = has_table;
    options_.has_wal = false;
    options_.folder = has_table ? "/topic/bucket_4" : "";
    open();
    put({{{"id", 1}}});
    EXPECT_EQ(try_put({{{"id", "x"}}, {{"id", 2}}}).value(), 1U);
    EXPECT_EQ(letters().size(), 1U);
    EXPECT_EQ(read(), (Rows{{{"id", 1}}, {{"id", 2}}}));
    ASSERT_TRUE(flush().ok());
    close();
  }
  open();  // closing flushed them
  EXPECT_EQ(letters().size(), 1U);
}

TEST_F(DeadLetterTest, WhatNoRecordCanBeIsRefusedAllTheSame) {
  open();
  put({{{"id", 1}}});
  Answer<Result<std::uint64_t>> answer;
  engine_->put_batch_async(testing::unchecked_batch({{"_offset", 1}}), answer.callback());
  executors_.run_all();
  EXPECT_EQ(answer.get().error().code, ErrorCode::kInvalidArgument);
  EXPECT_THAT(letters(), IsEmpty());
}

TEST_F(DeadLetterTest, AClosedSchemaKeepsStrangersAside) {
  options_.declaration = parse_schema_option({{"id", "int64"}}).value();
  open();
  EXPECT_EQ(try_put({{{"id", 1}}, {{"id", 2}, {"other", 1}}}).value(), 0U);
  EXPECT_EQ(read(), (Rows{{{"id", 1}}}));
  ASSERT_EQ(letters().size(), 1U);
  EXPECT_THAT(letters()[0].reason, HasSubstr("'other'"));
}

TEST_F(DeadLetterTest, AFailedLogOfTheLettersFailsThePut) {
  open();
  put({{{"id", 1}}});
  Answer<Result<std::uint64_t>> answer;
  engine_->put_batch_async(batch({{{"id", 2}}, {{"id", "x"}}}), answer.callback());
  executors_.commit.run_one();  // the log of the records
  files_.fail_calls("sync 0");
  executors_.run_all();
  files_.fail_calls("");
  ASSERT_FALSE(answer.get().ok());
  EXPECT_EQ(answer.get().error().component, Component::kWal);
}

class SingleRefusals : public ConflictTest {
 protected:
  void SetUp() override {
    BucketOnDisk::SetUp();
    options_.admission.refuse_single_records = true;
    open();
    put({{{"id", 1}}});
  }
};

TEST_F(SingleRefusals, TheRestIsKeptAndTheErrorNamesEach) {
  const auto refused = try_put({{{"id", 2}}, {{"id", "x"}}, {{"id", 3}}, {{"id", true}}});
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::kSchema);
  EXPECT_THAT(refused.error().message,
              AllOf(HasSubstr("2 of 4 records were refused, the others are kept"),
                    HasSubstr("record 1 of the batch"), HasSubstr("record 3 of the batch")));
  EXPECT_EQ(read(), (Rows{{{"id", 1}}, {{"id", 2}}, {{"id", 3}}}));
  EXPECT_EQ(stat("rejected"), 2);
  EXPECT_EQ(engine_->dead_letters(), nullptr);
  reopen(true);
  EXPECT_EQ(read(), (Rows{{{"id", 1}}, {{"id", 2}}, {{"id", 3}}}));
}

TEST_F(SingleRefusals, ALoneRecordIsRefusedAsEver) {
  const auto refused = try_put({{{"id", "x"}}});
  ASSERT_FALSE(refused.ok());
  EXPECT_THAT(refused.error().message, Not(HasSubstr("others are kept")));
  EXPECT_THAT(refused.error().message, HasSubstr("'id' is string, but the bucket holds int64"));
  EXPECT_EQ(read(), (Rows{{{"id", 1}}}));
}

TEST_F(SingleRefusals, ManyAreCounted) {
  const Rows rows(9, Struct{{"id", "x"}});
  const auto refused = try_put(rows);
  ASSERT_FALSE(refused.ok());
  EXPECT_THAT(refused.error().message, HasSubstr("all 9 records were refused"));
  EXPECT_THAT(refused.error().message, HasSubstr("; and 4 more"));
}

class StringifyTest : public ConflictTest {
 protected:
  void SetUp() override {
    BucketOnDisk::SetUp();
    set_policy(ConflictPolicy::kStringify);
  }
};

TEST_F(StringifyTest, ConflictsTurnAFieldToText) {
  open();
  put({{{"id", 1}, {"v", 5}}});
  ASSERT_TRUE(flush().ok());
  put({{{"id", 2}, {"v", 0.5}}});
  put({{{"id", 3}, {"v", "x"}}});
  put({{{"id", 4}, {"v", List{1, true}}}});
  const Rows expected{{{"id", 1}, {"v", "5"}},
                      {{"id", 2}, {"v", "0.5"}},
                      {{"id", 3}, {"v", "x"}},
                      {{"id", 4}, {"v", "[1, true]"}}};
  const Rows found = read();
  ASSERT_EQ(found.size(), 4U);
  for (std::size_t i : {2U, 3U}) EXPECT_EQ(found[i], expected[i]);
  set_policy(ConflictPolicy::kReject);
  reopen(true);  // the log holds what this policy would refuse
  EXPECT_EQ(read(), found);
  put({{{"id", 5}, {"v", 7}}});  // what is text stays so, and takes anything
  EXPECT_EQ(try_put({{{"id", "x"}}}).error().code, ErrorCode::kSchema);
  ASSERT_TRUE(flush().ok());
  Rows more = found;
  more.push_back({{"id", 5}, {"v", "7"}});
  EXPECT_EQ(read(), more);
  reopen(false);
  EXPECT_EQ(read(), more);
}

// The checkpoint of a flush that turned a column to text is lost: opening must not stumble over the column.
TEST_F(StringifyTest, ACrashBetweenTheTableAndItsCheckpoint) {
  for (const bool has_wal : {true, false}) {
    for (std::uint64_t calls = 0; calls < 40; ++calls) {
      options_.folder += "x";
      options_.has_wal = has_wal;
      open();
      put({{{"v", 5}}});
      ASSERT_TRUE(flush().ok());
      put({{{"v", "x"}}});
      disk_.stop_at(calls);
      const bool flushed = flush().ok();
      kill();
      const Status opened = try_open();
      ASSERT_TRUE(opened.ok()) << calls << " " << opened.error().message;
      const Rows found = read();
      ASSERT_GE(found.size(), has_wal || flushed ? 2U : 1U) << calls;
      EXPECT_EQ(found[0], (found.size() == 2 ? Struct{{"v", "5"}} : Struct{{"v", 5}})) << calls;
      kill();
      if (flushed) break;
    }
  }
}

}  // namespace
}  // namespace persisting
