// Explicit changes of a bucket's schema: fields that are dropped and renamed, on every composition of a bucket.
#include <optional>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/bucket_on_disk.h"

namespace persisting {
namespace {

using testing::Answer;
using testing::batch;
using testing::BucketOnDisk;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

using Rows = std::vector<Struct>;

enum class Parts { kMemory, kTable, kLogAndTable };

class SchemaChangeTest : public BucketOnDisk, public ::testing::WithParamInterface<Parts> {
 protected:
  void SetUp() override {
    BucketOnDisk::SetUp();
    options_.has_table = GetParam() != Parts::kMemory;
    options_.has_wal = GetParam() == Parts::kLogAndTable;
    if (!options_.has_table) options_.folder.clear();
    open();
  }
  // What the bucket says must stay, however it is read.
  void expect(const Rows& rows, const std::string& fields,
              const std::vector<std::string>& changes) {
    EXPECT_EQ(read(), rows);
    EXPECT_EQ(schema(), fields);
    EXPECT_EQ(history(), changes);
    ASSERT_TRUE(flush().ok());
    EXPECT_EQ(read(), rows);
    if (!options_.has_table) return;
    for (const bool by_kill : {true, false}) {
      reopen(by_kill);
      EXPECT_EQ(read(), rows) << by_kill;
      EXPECT_EQ(schema(), fields);
      EXPECT_EQ(history(), changes);
    }
  }
};

class SegmentsLeftBehindTest : public BucketOnDisk {};

// A power cut may bring back segments of the log that were removed just before: their records are in the table, in a form
// that is no more.
TEST_F(SegmentsLeftBehindTest, BringNoFieldBack) {
  open();
  put({{{"id", 1}, {"old", "a"}}});
  put({{{"id", 2}, {"name", "b"}}});
  const auto before = disk_.files();
  ASSERT_TRUE(drop("name").ok());
  ASSERT_TRUE(rename("old", "new").ok());
  const std::vector<std::string> changes = history();
  kill();
  std::size_t brought_back = 0;
  for (const auto& [path, contents] : before) {
    if (!path.ends_with(".wal") || disk_.files().contains(path)) continue;
    disk_.set_file(path, contents);
    ++brought_back;
  }
  ASSERT_EQ(brought_back, 1U);
  open();
  EXPECT_EQ(schema(), "struct<id: int64, new: string>");
  EXPECT_EQ(history(), changes);
  EXPECT_EQ(read(), (Rows{{{"id", 1}, {"new", "a"}}, {{"id", 2}, {"new", Null{}}}}));
}

TEST_P(SchemaChangeTest, ADroppedFieldIsGoneFromEveryRecord) {
  put({{{"id", 1}, {"name", "a"}}});
  ASSERT_TRUE(flush().ok());
  put({{{"id", 2}, {"name", "b"}}});
  ASSERT_TRUE(drop("name").ok());
  put({{{"id", 3}}});
  expect({{{"id", 1}}, {{"id", 2}}, {{"id", 3}}}, "struct<id: int64>",
         {"0 added id:  -> int64", "0 added name:  -> string", "2 dropped name: string -> "});
}

TEST_P(SchemaChangeTest, ADroppedNameComesBackAsAnotherType) {
  put({{{"id", 1}, {"name", "a"}}});
  ASSERT_TRUE(drop("name").ok());
  put({{{"id", 2}, {"name", 5}}});
  put({{{"id", 3}}});
  expect({{{"id", 1}, {"name", Null{}}}, {{"id", 2}, {"name", 5}}, {{"id", 3}, {"name", Null{}}}},
         "struct<id: int64, name: int64>",
         {"0 added id:  -> int64", "0 added name:  -> string", "1 dropped name: string -> ",
          "1 added name:  -> int64"});
}

TEST_P(SchemaChangeTest, ARenamedFieldKeepsItsValuesAndItsPlace) {
  put({{{"id", 1}, {"name", "a"}, {"z", true}}});
  ASSERT_TRUE(flush().ok());
  put({{{"id", 2}, {"name", "b"}}});  // in the tail only
  ASSERT_TRUE(rename("name", "title").ok());
  put({{{"id", 3}, {"title", "c"}}});
  put({{{"name", 0.5}}});  // the old name is free
  expect({{{"id", 1}, {"title", "a"}, {"z", true}, {"name", Null{}}},
          {{"id", 2}, {"title", "b"}, {"z", Null{}}, {"name", Null{}}},
          {{"id", 3}, {"title", "c"}, {"z", Null{}}, {"name", Null{}}},
          {{"id", Null{}}, {"title", Null{}}, {"z", Null{}}, {"name", 0.5}}},
         "struct<id: int64, title: string, z: bool, name: double>",
         {"0 added id:  -> int64", "0 added name:  -> string", "0 added z:  -> bool",
          "2 renamed name: name -> title", "3 added name:  -> double"});
}

TEST_P(SchemaChangeTest, NamesMayBeSwapped) {
  put({{{"a", 1}, {"b", "x"}}});
  ASSERT_TRUE(flush().ok());
  ASSERT_TRUE(rename("a", "c").ok());
  ASSERT_TRUE(rename("b", "a").ok());
  ASSERT_TRUE(rename("c", "b").ok());
  put({{{"a", "y"}, {"b", 2}}});
  EXPECT_EQ(read(), (Rows{{{"b", 1}, {"a", "x"}}, {{"b", 2}, {"a", "y"}}}));
  ASSERT_TRUE(flush().ok());
  EXPECT_EQ(read(), (Rows{{{"b", 1}, {"a", "x"}}, {{"b", 2}, {"a", "y"}}}));
}

TEST_P(SchemaChangeTest, AFieldOfWhichOnlyNoneIsKnown) {
  put({{{"id", 1}, {"none", Null{}}, {"empty", Null{}}}});
  ASSERT_TRUE(flush().ok());
  ASSERT_TRUE(rename("none", "nothing").ok());
  ASSERT_TRUE(drop("empty").ok());
  put({{{"id", 2}, {"nothing", 4}}});
  EXPECT_EQ(read(), (Rows{{{"id", 1}, {"nothing", Null{}}}, {{"id", 2}, {"nothing", 4}}}));
  ASSERT_TRUE(flush().ok());
  EXPECT_EQ(read(), (Rows{{{"id", 1}, {"nothing", Null{}}}, {{"id", 2}, {"nothing", 4}}}));
}

TEST_P(SchemaChangeTest, TheLastFieldLeavesRecordsWithoutAny) {
  put({{{"only", 1}}, {{"only", 2}}});
  ASSERT_TRUE(flush().ok());
  ASSERT_TRUE(drop("only").ok());
  expect({{}, {}}, "struct<>", {"0 added only:  -> int64", "2 dropped only: int64 -> "});
}

TEST_P(SchemaChangeTest, OnABucketWithoutRecords) {
  EXPECT_EQ(drop("name").error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(schema(), "struct<>");
}

TEST_P(SchemaChangeTest, WhatCannotBeIsRefusedAndChangesNothing) {
  put({{{"id", 1}, {"name", "a"}}});
  struct Case {
    Status status;
    std::string message;
  };
  for (const auto& [status, message] :
       {Case{drop("nmae"), "no field 'nmae'; it has id, name"},
        Case{rename("nmae", "x"), "no field 'nmae'"},
        Case{rename("name", "id"), "has a field 'id' already"},
        Case{rename("name", "name"), "has a field 'name' already"},
        Case{rename("name", "_offset"), "'_offset'"}, Case{rename("name", "a.b"), "'a.b'"},
        Case{rename("name", ""), "name"}}) {
    ASSERT_FALSE(status.ok()) << message;
    EXPECT_EQ(status.error().code, ErrorCode::kInvalidArgument) << status.error().message;
    EXPECT_THAT(status.error().message, HasSubstr(message));
  }
  expect({{{"id", 1}, {"name", "a"}}}, "struct<id: int64, name: string>",
         {"0 added id:  -> int64", "0 added name:  -> string"});
}

TEST_P(SchemaChangeTest, AClosedBucketRefuses) {
  ASSERT_TRUE(engine_->shut_down().ok());
  EXPECT_EQ(drop("id").error().code, ErrorCode::kClosed);
  EXPECT_EQ(rename("id", "x").error().code, ErrorCode::kClosed);
  EXPECT_EQ(engine_->schema().error().code, ErrorCode::kClosed);
}

std::string name_of(const ::testing::TestParamInfo<Parts>& parts) {
  switch (parts.param) {
    case Parts::kMemory:
      return "Memory";
    case Parts::kTable:
      return "Table";
    case Parts::kLogAndTable:
      return "LogAndTable";
  }
  return "";
}

INSTANTIATE_TEST_SUITE_P(All, SchemaChangeTest,
                         ::testing::Values(Parts::kMemory, Parts::kTable, Parts::kLogAndTable),
                         name_of);

class WaitingChange : public BucketOnDisk {};

TEST_F(WaitingChange, PutsThatArriveMeanwhileWaitAndSucceed) {
  open();
  put({{{"id", 1}, {"name", "a"}}});
  Answer<Status> dropped;
  engine_->drop_field_async("name", dropped.callback());
  Answer<Result<std::uint64_t>> later;
  engine_->put_batch_async(batch({{{"id", 2}, {"name", 7}}}), later.callback());
  Answer<Status> renamed;  // one after the other
  engine_->rename_field_async("id", "key", renamed.callback());
  while (executors_.commit.has_due()) executors_.commit.run_one();
  EXPECT_FALSE(dropped.arrived());
  EXPECT_FALSE(later.arrived());
  EXPECT_EQ(read(), (Rows{{{"id", 1}, {"name", "a"}}}));
  executors_.run_all();
  ASSERT_TRUE(dropped.get().ok()) << dropped.get().error().message;
  ASSERT_TRUE(renamed.get().ok()) << renamed.get().error().message;
  EXPECT_EQ(later.get().value(), 1U);
  const Rows expected{{{"key", 1}, {"id", Null{}}, {"name", Null{}}},
                      {{"key", Null{}}, {"id", 2}, {"name", 7}}};
  EXPECT_EQ(read(), expected);
  reopen(true);
  EXPECT_EQ(read(), expected);
}

TEST_F(WaitingChange, APutUnderWayComesFirst) {
  open();
  Answer<Result<std::uint64_t>> first;
  engine_->put_batch_async(batch({{{"id", 1}, {"name", "a"}}}), first.callback());
  Answer<Status> dropped;
  engine_->drop_field_async("name", dropped.callback());
  EXPECT_FALSE(first.arrived());
  // The flush has nothing to do yet, and comes again once the put is committed.
  while (executors_.flush.has_due()) executors_.flush.run_one();
  EXPECT_FALSE(dropped.arrived());
  executors_.run_all();
  ASSERT_TRUE(dropped.get().ok());
  EXPECT_EQ(first.get().value(), 0U);
  EXPECT_EQ(read(), (Rows{{{"id", 1}}}));
}

TEST_F(WaitingChange, AFailedFlushFailsItAndLetsPutsGoOn) {
  open();
  put({{{"id", 1}, {"name", "a"}}});
  files_.fail_calls("append CHECKPOINT.tmp");
  Answer<Status> dropped;
  engine_->drop_field_async("name", dropped.callback());
  Answer<Result<std::uint64_t>> waits;
  engine_->put_batch_async(batch({{{"id", 2}, {"name", "b"}}}), waits.callback());
  executors_.run_all();
  ASSERT_FALSE(dropped.get().ok());
  EXPECT_EQ(waits.get().value(), 1U);
  files_.fail_calls("");
  const Rows expected{{{"id", 1}, {"name", "a"}}, {{"id", 2}, {"name", "b"}}};
  EXPECT_EQ(read(), expected);
  ASSERT_TRUE(drop("name").ok());  // the next try
  EXPECT_EQ(read(), (Rows{{{"id", 1}}, {{"id", 2}}}));
  reopen(true);
  EXPECT_EQ(read(), (Rows{{{"id", 1}}, {{"id", 2}}}));
}

TEST_F(WaitingChange, AFailedCheckpointFailsItAndOpeningAgainGivesTheOldState) {
  for (const bool by_kill : {false, true}) {
    for (const bool renames : {false, true}) {
      SCOPED_TRACE(std::to_string(by_kill) + " " + std::to_string(renames));
      options_.folder += "x";
      open();
      put({{{"id", 1}, {"name", "a"}}});
      ASSERT_TRUE(flush().ok());
      files_.fail_calls("append CHECKPOINT.tmp");
      const Status failed = renames ? rename("name", "title") : drop("name");
      files_.fail_calls("");
      ASSERT_FALSE(failed.ok());
      Rows expected{{{"id", 1}, {"name", "a"}}};
      EXPECT_EQ(read(), expected);
      EXPECT_EQ(schema(), "struct<id: int64, name: string>");
      // The log goes on, the table only once it was opened again.
      put({{{"id", 2}, {"name", "b"}}});
      expected.push_back({{"id", 2}, {"name", "b"}});
      EXPECT_EQ(read(), expected);
      const Status flushed = flush();
      ASSERT_FALSE(flushed.ok());
      EXPECT_THAT(flushed.error().message, HasSubstr("open the bucket again"));
      EXPECT_FALSE(drop("id").ok());
      reopen(by_kill);
      EXPECT_EQ(read(), expected);
      EXPECT_EQ(schema(), "struct<id: int64, name: string>");
      EXPECT_THAT(history(), ElementsAre("0 added id:  -> int64", "0 added name:  -> string"));
      ASSERT_TRUE(drop("name").ok());
      EXPECT_EQ(read(), (Rows{{{"id", 1}}, {{"id", 2}}}));
      close();
    }
  }
}

TEST_F(WaitingChange, ShuttingDownAnswersIt) {
  open();
  put({{{"id", 1}, {"name", "a"}}});
  Answer<Status> dropped;
  engine_->drop_field_async("name", dropped.callback());
  Answer<Result<std::uint64_t>> waits;
  engine_->put_batch_async(batch({{{"id", 2}}}), waits.callback());
  ASSERT_TRUE(engine_->shut_down().ok());
  EXPECT_EQ(dropped.get().error().code, ErrorCode::kClosed);
  EXPECT_EQ(waits.get().error().code, ErrorCode::kClosed);
  executors_.run_all();
  engine_.reset();
  open();
  EXPECT_EQ(read(), (Rows{{{"id", 1}, {"name", "a"}}}));
}

TEST_F(WaitingChange, APoisonedLogAnswersIt) {
  open();
  put({{{"id", 1}, {"name", "a"}}});
  Answer<Result<std::uint64_t>> fails;
  engine_->put_batch_async(batch({{{"id", 2}}}), fails.callback());
  Answer<Status> dropped;
  engine_->drop_field_async("name", dropped.callback());
  Answer<Result<std::uint64_t>> waits;
  engine_->put_batch_async(batch({{{"id", 3}}}), waits.callback());
  files_.fail_calls("sync 0");
  executors_.run_all();
  files_.fail_calls("");
  EXPECT_FALSE(fails.get().ok());
  EXPECT_EQ(dropped.get().error().component, Component::kWal);
  EXPECT_EQ(waits.get().error().component, Component::kWal);
  EXPECT_EQ(drop("name").error().component, Component::kWal);
  EXPECT_EQ(read(), (Rows{{{"id", 1}, {"name", "a"}}}));
}

// Whoever closes the bucket while a change is at the table waits for it.
TEST_F(WaitingChange, OneThatRunsWhileTheBucketIsClosedIsFinished) {
  open();
  put({{{"id", 1}, {"name", "a"}}});
  ASSERT_TRUE(flush().ok());
  std::optional<std::jthread> closer;
  Answer<Status> dropped;
  files_.set_hook([this, &closer](const std::string& call) {
    if (closer || call != "append CHECKPOINT.tmp") return;
    closer.emplace([this] { (void)engine_->shut_down(); });
    while (engine_->schema().ok()) std::this_thread::yield();
  });
  engine_->drop_field_async("name", dropped.callback());
  executors_.run_all();
  files_.set_hook({});
  closer->join();
  EXPECT_TRUE(dropped.get().ok());
  engine_.reset();
  open();
  EXPECT_EQ(read(), (Rows{{{"id", 1}}}));
}

}  // namespace
}  // namespace persisting
