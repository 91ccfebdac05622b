// The bucket engine over a memory table: what put, get, flush and opening again promise.
#include <atomic>
#include <future>
#include <latch>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include "persisting/log.h"

#include "support/engine_fixture.h"
#include "support/power_cut_file_system.h"

namespace persisting {
namespace {

using testing::batch;
using ::testing::ElementsAre;
using testing::EngineTest;
using ::testing::HasSubstr;

std::vector<Struct> numbered(std::int64_t first, std::int64_t count) {
  std::vector<Struct> rows;
  for (std::int64_t i = first; i < first + count; ++i)
    rows.push_back({{"id", i}, {"name", "n" + std::to_string(i)}});
  return rows;
}

TEST_F(EngineTest, RecordsAreVisibleAtOnceInOrderWithDenseOffsets) {
  auto engine = open();
  EXPECT_EQ(engine->put_batch(batch(numbered(0, 3))).value(), 0U);
  EXPECT_EQ(engine->put_batch(batch(numbered(3, 2))).value(), 3U);
  EXPECT_EQ(engine->total_count(), 5U);
  EXPECT_EQ(read(*engine), numbered(0, 5));
  EXPECT_EQ(read(*engine, 2, 1), numbered(1, 2));
  EXPECT_TRUE(read(*engine, 10, 5).empty());
  EXPECT_TRUE(read(*engine, UINT64_MAX, UINT64_MAX).empty());
}

TEST_F(EngineTest, WhatWasAcknowledgedIsThereAfterAStopWithoutFlush) {
  auto engine = open();
  put(*engine, numbered(0, 10));
  stop(engine);
  engine = open();
  EXPECT_EQ(engine->recovery().replayed_records, 10U);
  EXPECT_EQ(read(*engine), numbered(0, 10));
  put(*engine, numbered(10, 5));
  stop(engine);
  EXPECT_EQ(read(*open()), numbered(0, 15));
}

TEST_F(EngineTest, ReadsAcrossTableAndTail) {
  auto engine = open();
  put(*engine, numbered(0, 10));
  ASSERT_TRUE(engine->flush().ok());
  put(*engine, numbered(10, 10));
  EXPECT_EQ(engine->stats()->persisted_count, 10U);
  EXPECT_EQ(engine->stats()->buffer_count, 10U);
  EXPECT_EQ(read(*engine, 6, 7), numbered(7, 6));
  stop(engine);
  EXPECT_EQ(read(*open()), numbered(0, 20));
}

TEST_F(EngineTest, AFlushRetiresTheLog) {
  auto engine = open();
  put(*engine, numbered(0, 100));
  const auto size = [&] { return *engine->stats()->extra["wal_size"].get_if<std::int64_t>(); };
  EXPECT_GT(size(), 0);
  ASSERT_TRUE(engine->flush().ok());
  EXPECT_EQ(size(), 0);
  stop(engine);
  engine = open();
  EXPECT_EQ(engine->recovery().replayed_records, 0U);
  EXPECT_EQ(read(*engine), numbered(0, 100));
}

TEST_F(EngineTest, ARecordReadsTheSameBeforeAndAfterItsFlush) {
  auto engine = open();
  put(*engine, {{{"id", 1}, {"reward", 2}}});
  put(*engine, {{{"id", 2}, {"reward", 0.5}, {"tags", List{"a"}}, {"meta", Struct{}}}});
  put(*engine, {{{"tags", Null{}}, {"meta", Struct{{"k", 1}}}}});
  const std::vector<Struct> before = read(*engine);
  EXPECT_EQ(before[0], (Struct{{"id", 1}, {"reward", 2.0}, {"tags", Null{}}, {"meta", Null{}}}));
  EXPECT_EQ(
      before[1],
      (Struct{{"id", 2}, {"reward", 0.5}, {"tags", List{"a"}}, {"meta", Struct{{"k", Null{}}}}}));
  ASSERT_TRUE(engine->flush().ok());
  EXPECT_EQ(read(*engine), before);
  stop(engine);
  EXPECT_EQ(read(*open()), before);
}

TEST_F(EngineTest, TheTableFollowsTheSchema) {
  auto engine = open();
  put(*engine, {{{"id", 1}}});
  ASSERT_TRUE(engine->flush().ok());
  put(*engine, {{{"id", 2}, {"name", "x"}}});
  ASSERT_TRUE(engine->flush().ok());
  EXPECT_EQ(tables_.added_columns(), 1);
  put(*engine, {{{"id", 2.5}}});  // turns the column into double
  ASSERT_TRUE(engine->flush().ok());
  EXPECT_EQ(tables_.rewrites(), 1);
  const std::vector<Struct> expected{{{"id", 1.0}, {"name", Null{}}},
                                     {{"id", 2.0}, {"name", "x"}},
                                     {{"id", 2.5}, {"name", Null{}}}};
  EXPECT_EQ(read(*engine), expected);
  stop(engine);
  EXPECT_EQ(read(*open()), expected);
}

TEST_F(EngineTest, ARefusedBatchLeavesNothingBehind) {
  auto engine = open();
  put(*engine, {{{"id", 1}}});
  const auto refused = engine->put_batch(batch({{{"id", 2}, {"new", 1}}, {{"id", "text"}}}));
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::kSchema);
  EXPECT_THAT(refused.error().message, HasSubstr("'id'"));
  EXPECT_EQ(read(*engine), (std::vector<Struct>{{{"id", 1}}}));  // nor the field "new"
  stop(engine);
  EXPECT_EQ(read(*open()), (std::vector<Struct>{{{"id", 1}}}));
}

TEST_F(EngineTest, AFailedFlushIsReportedAndTriedAgain) {
  auto engine = open();
  put(*engine, numbered(0, 5));
  tables_.fail_before(1);
  const Status failed = engine->flush();
  ASSERT_FALSE(failed.ok());
  EXPECT_THAT(failed.error().message, HasSubstr("injected"));
  EXPECT_FALSE(engine->stats()->extra["flush_error"].is_null());
  EXPECT_EQ(read(*engine), numbered(0, 5));
  put(*engine, numbered(5, 5));
  ASSERT_TRUE(engine->flush().ok());
  EXPECT_TRUE(engine->stats()->extra["flush_error"].is_null());
  EXPECT_EQ(read(*engine), numbered(0, 10));
}

TEST_F(EngineTest, AFlushThatFailsBehindItsCommitAddsNothingTwice) {
  auto engine = open();
  put(*engine, numbered(0, 5));
  tables_.fail_after(1);
  ASSERT_FALSE(engine->flush().ok());
  EXPECT_EQ(read(*engine), numbered(0, 5));
  stop(engine);
  engine = open();  // the version is there: it is accepted, and the log's copy skipped
  EXPECT_EQ(engine->stats()->persisted_count, 5U);
  EXPECT_EQ(read(*engine), numbered(0, 5));
}

TEST_F(EngineTest, ReplayBeginsWithTheSchemaOfTheCheckpoint) {
  auto engine = open();
  put(*engine, {{{"a", 1}}});
  tables_.fail_after(1);
  ASSERT_FALSE(
      engine->flush()
          .ok());  // the table has the row as an integer, the checkpoint knows nothing of it
  put(*engine, {{{"a", 0.5}}});
  stop(engine);
  engine = open();
  EXPECT_EQ(read(*engine), (std::vector<Struct>{{{"a", 1.0}}, {{"a", 0.5}}}));
  ASSERT_TRUE(engine->flush().ok());
  EXPECT_EQ(read(*engine), (std::vector<Struct>{{{"a", 1.0}}, {{"a", 0.5}}}));
}

TEST_F(EngineTest, PutsBeyondTheBufferWaitForTheFlush) {
  std::promise<void> may_flush;
  auto gate = may_flush.get_future().share();
  tables_.on_append([gate] { gate.wait(); });
  EngineOptions small = options();
  small.max_buffer_bytes = 100;
  small.flush.bytes = 1 << 20;
  auto engine = open(small);
  put(*engine, numbered(0, 3));
  std::atomic<bool> acknowledged = false;
  std::promise<std::uint64_t> offset;
  engine->put_batch_async(batch(numbered(3, 10)), [&](Result<std::uint64_t> result) {
    acknowledged = true;
    offset.set_value(result.value());
  });
  EXPECT_FALSE(acknowledged);
  EXPECT_EQ(engine->total_count(), 3U);
  may_flush.set_value();
  EXPECT_EQ(offset.get_future().get(), 3U);
  EXPECT_EQ(read(*engine), numbered(0, 13));
}

TEST_F(EngineTest, AFullBufferWithAFailingFlushRefusesPuts) {
  tables_.fail_before(1);
  EngineOptions small = options();
  small.max_buffer_bytes = 100;
  auto engine = open(small);
  put(*engine, numbered(0, 3));
  const auto refused = engine->put_batch(batch(numbered(3, 10)));
  ASSERT_FALSE(refused.ok());
  EXPECT_THAT(refused.error().message, HasSubstr("max_buffer_bytes"));
  EXPECT_EQ(read(*engine), numbered(0, 3));
}

TEST_F(EngineTest, FlushesByRecordsInTheBackground) {
  std::latch flushed(1);
  tables_.on_append([&flushed] { flushed.count_down(); });
  EngineOptions eager = options();
  eager.flush.records = 5;
  auto engine = open(eager);
  put(*engine, numbered(0, 5));
  flushed.wait();
}

TEST_F(EngineTest, WithoutALogRecordsAreDurableOnceFlushed) {
  EngineOptions plain = options();
  plain.has_wal = false;
  auto engine = open(plain);
  put(*engine, numbered(0, 5));
  ASSERT_TRUE(engine->flush().ok());
  put(*engine, numbered(5, 5));
  EXPECT_EQ(read(*engine), numbered(0, 10));
  stop(engine);
  EXPECT_EQ(read(*open(plain)), numbered(0, 5));
}

TEST_F(EngineTest, ALogLeftBehindCountsWhenTheLogIsSwitchedOff) {
  auto engine = open();
  put(*engine, numbered(0, 5));
  stop(engine);
  EngineOptions plain = options();
  plain.has_wal = false;
  engine = open(plain);
  EXPECT_EQ(engine->stats()->persisted_count, 5U);
  EXPECT_EQ(read(*engine), numbered(0, 5));
  stop(engine);
  EXPECT_EQ(read(*open()), numbered(0, 5));
}

TEST_F(EngineTest, AnotherBucketOrOtherSettingsAreRefused) {
  EngineOptions known = options();
  known.topic = {"topic", 4, "id"};
  auto engine = open(known);
  stop(engine);
  EngineOptions other = known;
  other.bucket_id = 2;
  EXPECT_EQ(try_open(other).error().code, ErrorCode::kInvalidArgument);
  other = known;
  other.topic.num_buckets = 8;
  const auto refused = try_open(other);
  EXPECT_EQ(refused.error().code, ErrorCode::kInvalidArgument);
  EXPECT_THAT(refused.error().message, HasSubstr("num_buckets 4"));
  EXPECT_THAT(refused.error().message, HasSubstr("num_buckets 8"));
  other = known;
  other.topic.bucket_column = "key";
  EXPECT_THAT(try_open(other).error().message, HasSubstr("'id'"));
  other = known;
  other.topic.topic = "another";
  EXPECT_THAT(try_open(other).error().message, HasSubstr("'topic'"));
  EXPECT_TRUE(try_open(options()).ok());  // a caller that does not know the settings is not refused
  EngineOptions sibling = known;          // a bucket that is new, of a topic that is not
  sibling.folder = folder_.path() + "/bucket_6";
  sibling.bucket_id = 6;
  sibling.topic.num_buckets = 8;
  EXPECT_THAT(try_open(sibling).error().message, HasSubstr("num_buckets 4"));
}

TEST_F(EngineTest, ASecondOpenerIsToldWhoHoldsTheBucket) {
  auto engine = open();
  const auto second = try_open(options());
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.error().code, ErrorCode::kBusy);
  EXPECT_THAT(second.error().message, HasSubstr(std::to_string(::getpid())));
}

TEST_F(EngineTest, AForkedChildIsRefusedAndTheParentGoesOn) {
  auto engine = open();
  put(*engine, numbered(0, 1));
  const pid_t child = ::fork();
  if (child == 0) {
    const bool refused =
        engine->put_batch(batch(numbered(1, 1))).error().code == ErrorCode::kClosed &&
        engine->get(1, 0).error().code == ErrorCode::kClosed &&
        engine->flush().error().code == ErrorCode::kClosed;
    ::_exit(refused ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  put(*engine, numbered(1, 1));
  EXPECT_EQ(read(*engine), numbered(0, 2));
}

TEST_F(EngineTest, AForkedChildThatDestroysTheEngineHarmsNothing) {
  auto engine = open();
  put(*engine, numbered(0, 1));
  const pid_t child = ::fork();
  if (child == 0) {
    engine.reset();  // must not write into the parent's log, nor unlock its bucket
    ::_exit(0);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  EXPECT_EQ(try_open(options()).error().code, ErrorCode::kBusy);
  put(*engine, numbered(1, 1));
  stop(engine);
  EXPECT_EQ(read(*open()), numbered(0, 2));
}

TEST_F(EngineTest, ListenersHearOfEveryAcknowledgement) {
  auto engine = open();
  std::atomic<int> heard = 0;
  auto subscription = engine->subscribe([&heard] { ++heard; });
  put(*engine, numbered(0, 1));
  EXPECT_GE(heard, 1);
  subscription.reset();
  const int before = heard;
  put(*engine, numbered(1, 1));
  EXPECT_EQ(heard, before);
}

TEST_F(EngineTest, ManyThreadsPutAndReadWhileItFlushes) {
  constexpr std::int64_t threads = 4;
  constexpr std::int64_t each = 500;
  EngineOptions eager = options();
  eager.flush.records = 100;
  auto engine = open(eager);
  std::vector<std::jthread> producers;
  for (std::int64_t t = 0; t < threads; ++t) {
    producers.emplace_back([&engine, t] {
      for (std::int64_t i = 0; i < each; ++i) put(*engine, {{{"thread", t}, {"number", i}}});
    });
  }
  std::vector<std::int64_t> next(threads, 0);
  std::uint64_t offset = 0;
  while (offset < threads * each) {
    for (const Struct& row : read(*engine, 64, offset)) {
      const auto thread = static_cast<std::size_t>(*row[0].second.get_if<std::int64_t>());
      EXPECT_EQ(*row[1].second.get_if<std::int64_t>(), next[thread]++);
      ++offset;
    }
  }
  producers.clear();
  ASSERT_TRUE(engine->flush().ok());
  stop(engine);
  EXPECT_EQ(read(*open()).size(), static_cast<std::size_t>(threads * each));
}

TEST_F(EngineTest, ANetworkFileSystemIsRefusedUnlessAllowed) {
  testing::PowerCutFileSystem disk;
  disk.pretend_network("nfs");
  EngineEnvironment on = environment();
  on.file_system = &disk;
  EngineOptions asked = options();
  const auto refused = BucketEngine::open(asked, on);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::kUnsupported);
  EXPECT_THAT(refused.error().message, AllOf(HasSubstr(asked.folder), HasSubstr("(nfs)"),
                                             HasSubstr("allow_network_storage")));
  EXPECT_TRUE(disk.files().empty());
  asked.allow_network_storage = true;
  const auto engine = BucketEngine::open(asked, on);
  ASSERT_TRUE(engine.ok());
  EXPECT_TRUE((*engine)->shut_down().ok());
}

TEST_F(EngineTest, APutAtOnceIsAsAnyOther) {
  EngineOptions timed = options();
  timed.wal_sync_interval = std::chrono::hours(1);
  auto engine = open(timed);
  const RecordBatch first = batch({{{"id", 0}, {"text", "a"}}});
  EXPECT_FALSE(engine->try_put(first[0])) << "its fields are new";
  ASSERT_TRUE(engine->put_batch(first).ok());
  std::vector<Struct> rows{{{"id", 0}, {"text", "a"}}};
  int at_once = 0;
  while (at_once < 100) {
    rows.push_back({{"id", static_cast<std::int64_t>(rows.size())}, {"text", Value()}});
    RecordBatch one = batch({rows.back()});
    if (const auto offset = engine->try_put(one[0])) {
      EXPECT_EQ(*offset + 1, rows.size());
      ++at_once;
    } else {  // until there is room
      ASSERT_TRUE(engine->put_batch(std::move(one)).ok());
    }
  }
  EXPECT_EQ(engine->total_count(), rows.size());
  EXPECT_EQ(read(*engine), rows);
  EXPECT_EQ(engine->stats()->buffer_count, rows.size());
  EXPECT_FALSE(engine->try_put(batch({{{"id", "text"}}})[0])) << "it does not fit";
  EXPECT_FALSE(engine->try_put(batch({{{"new", 1}}})[0])) << "its field is new";
  EXPECT_EQ(engine->total_count(), rows.size());
  stop(engine);
  engine = open(timed);
  EXPECT_EQ(read(*engine), rows);
  ASSERT_TRUE(engine->flush().ok());
  EXPECT_EQ(read(*engine), rows);
  ASSERT_TRUE(engine->shut_down().ok());
  EXPECT_FALSE(engine->try_put(first[0])) << "it is closed";
}

TEST_F(EngineTest, APutThatWaitsForTheDiskIsNotAtOnce) {
  auto engine = open();
  put(*engine, {{{"id", 0}}});
  EXPECT_FALSE(engine->can_put_at_once());
  EXPECT_FALSE(engine->try_put(batch({{{"id", 1}}})[0]));
}

}  // namespace
}  // namespace persisting
