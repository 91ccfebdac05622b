// What a bucket counts and tells: each metric's value after a known run.
#include <algorithm>
#include <future>
#include <limits>
#include <map>
#include <mutex>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "persisting/log.h"
#include "persisting/metrics.h"

#include "metrics/metrics_memory.h"
#include "support/engine_fixture.h"
#include "support/faulty_file_system.h"

namespace persisting {
namespace {

using testing::batch;
using ::testing::ElementsAre;
using testing::FaultyFileSystem;
using ::testing::HasSubstr;

std::vector<Struct> numbered(std::int64_t first, std::int64_t count) {
  std::vector<Struct> rows;
  for (std::int64_t i = first; i < first + count; ++i) rows.push_back({{"id", i}});
  return rows;
}

const MetricSample& sample_of(const std::vector<MetricFamily>& families, const std::string& name) {
  const auto found = std::ranges::find(families, "persisting_" + name, &MetricFamily::name);
  if (found == families.end() || found->samples.size() != 1) {
    ADD_FAILURE() << "no metric, or not one sample: " << name;
    static const MetricSample none;
    return none;
  }
  return found->samples.front();
}

class MetricsTest : public testing::EngineTest {
 protected:
  // Keeps what is told, from the first opening on.
  void SetUp() override {
    set_log_sink([this](const LogEvent& event) {
      const std::lock_guard lock(mutex_);
      events_.push_back(event);
    });
  }
  void TearDown() override {
    EngineTest::TearDown();
    set_log_sink({});
  }

  std::shared_ptr<BucketEngine> open_exported(std::function<void(EngineOptions*)> change = {}) {
    EngineOptions asked = options();
    asked.metrics = true;
    if (change) change(&asked);
    EngineEnvironment environment = this->environment();
    environment.file_system = &disk_;
    environment.now_us = [this] { return now_us_.load(); };
    auto engine = BucketEngine::open(asked, environment);
    EXPECT_TRUE(engine.ok()) << engine.error().message;
    opened_.push_back(*engine);
    return *engine;
  }

  static double value(const BucketEngine& engine, const std::string& name) {
    const auto families = engine.get_metrics();
    EXPECT_TRUE(families.ok());
    return sample_of(*families, name).value;
  }
  static std::uint64_t count(const BucketEngine& engine, const std::string& name) {
    const auto families = engine.get_metrics();
    EXPECT_TRUE(families.ok());
    return sample_of(*families, name).count;
  }

  std::vector<LogEvent> events(const std::string& kind) {
    const std::lock_guard lock(mutex_);
    std::vector<LogEvent> found;
    std::ranges::copy_if(events_, std::back_inserter(found),
                         [&](const LogEvent& event) { return event.event == kind; });
    return found;
  }
  static Value field(const LogEvent& event, const std::string& name) {
    for (const auto& [key, value] : event.fields)
      if (key == name) return value;
    ADD_FAILURE() << "no field " << name;
    return {};
  }

  FaultyFileSystem disk_{FileSystem::posix()};
  std::atomic<std::int64_t> now_us_{1'700'000'000'000'000};
  std::mutex mutex_;
  std::vector<LogEvent> events_;
};

TEST_F(MetricsTest, CountsWhatIsPutRejectedAndRead) {
  const auto engine = open_exported();
  put(*engine, numbered(0, 10));
  put(*engine, numbered(10, 1));
  EXPECT_FALSE(engine->put_batch(batch({{{"id", "text"}}, {{"id", 1}}})).ok());
  read(*engine, 4, 2);
  ASSERT_TRUE(engine->get_arrow(3, 0).ok());
  EXPECT_EQ(value(*engine, "records_total"), 11);
  EXPECT_EQ(value(*engine, "bytes_total"), static_cast<double>(batch(numbered(0, 11)).byte_size()));
  EXPECT_EQ(value(*engine, "rejected_records_total"), 2);
  EXPECT_EQ(value(*engine, "read_records_total"), 7);
  EXPECT_EQ(count(*engine, "put_duration_seconds"), 2U);
  EXPECT_EQ(count(*engine, "group_commit_records"), 2U);
  EXPECT_EQ(sample_of(*engine->get_metrics(), "group_commit_records").sum, 11);
  EXPECT_EQ(count(*engine, "wal_sync_duration_seconds"), 2U);
  // Each put waits for a sync.
  EXPECT_GT(sample_of(*engine->get_metrics(), "put_duration_seconds").sum,
            sample_of(*engine->get_metrics(), "wal_sync_duration_seconds").sum);
  EXPECT_EQ(value(*engine, "schema_changes_total"), 1);
  EXPECT_EQ(value(*engine, "poisoned"), 0);
}

TEST_F(MetricsTest, TellsWhatIsNotInTheTable) {
  const auto engine = open_exported();
  EXPECT_EQ(value(*engine, "flush_lag_seconds"), 0);
  put(*engine, numbered(0, 10));
  now_us_ += 2'500'000;
  put(*engine, numbered(10, 5));
  const double encoded = static_cast<double>(batch(numbered(0, 15)).byte_size());
  EXPECT_EQ(value(*engine, "buffer_size"), 15);
  EXPECT_EQ(value(*engine, "buffer_bytes"), encoded);
  EXPECT_EQ(value(*engine, "flush_lag_records"), 15);
  EXPECT_DOUBLE_EQ(value(*engine, "flush_lag_seconds"), 2.5);
  EXPECT_EQ(value(*engine, "wal_size_bytes"),
            static_cast<double>(*engine->stats()->extra["wal_size"].get_if<std::int64_t>()));
  EXPECT_GT(value(*engine, "wal_size_bytes"), encoded);

  ASSERT_TRUE(engine->flush().ok());
  for (const char* name :
       {"buffer_size", "buffer_bytes", "flush_lag_records", "flush_lag_seconds", "wal_size_bytes"})
    EXPECT_EQ(value(*engine, name), 0) << name;
  EXPECT_EQ(count(*engine, "flush_duration_seconds"), 1U);
}

TEST_F(MetricsTest, ARecordThatWaitsForItsAcknowledgementIsInTheBufferAlone) {
  const auto engine = open_exported();
  put(*engine, numbered(0, 1));
  std::vector<double> seen;
  disk_.set_hook([&](const std::string& call) {
    if (!call.starts_with("sync ")) return;
    seen = {value(*engine, "records_total"), value(*engine, "buffer_size"),
            value(*engine, "flush_lag_records")};
  });
  put(*engine, numbered(1, 2));
  disk_.set_hook({});
  EXPECT_THAT(seen, ElementsAre(1, 3, 1));
}

TEST_F(MetricsTest, CountsFailedFlushes) {
  const auto engine = open_exported();
  put(*engine, numbered(0, 1));
  tables_.fail_before(1);
  ASSERT_FALSE(engine->flush().ok());
  EXPECT_EQ(value(*engine, "flush_failures_total"), 1);
  EXPECT_EQ(value(*engine, "flush_lag_records"), 1);
  const auto told = events("flush_failed");
  ASSERT_EQ(told.size(), 1U);
  EXPECT_EQ(told[0].level, LogLevel::kError);
  EXPECT_THAT(told[0].message, HasSubstr("injected"));
}

TEST_F(MetricsTest, CountsFailedCompactions) {
  const auto engine = open_exported();
  put(*engine, numbered(0, 1));
  ASSERT_TRUE(engine->flush().ok());
  put(*engine, numbered(1, 1));
  ASSERT_TRUE(engine->flush().ok());
  const auto compact = [&engine] {
    std::promise<bool> ended;
    engine->compact_async(
        {}, [&ended](const Result<CompactionReport>& result) { ended.set_value(result.ok()); });
    return ended.get_future().get();
  };
  tables_.fail_before(1);
  EXPECT_FALSE(compact());
  EXPECT_EQ(value(*engine, "compaction_failures_total"), 1);
  EXPECT_EQ(count(*engine, "compaction_duration_seconds"), 0U);
  ASSERT_EQ(events("compaction_failed").size(), 1U);
  EXPECT_TRUE(compact());
  EXPECT_EQ(value(*engine, "compaction_failures_total"), 1);
  EXPECT_EQ(count(*engine, "compaction_duration_seconds"), 1U);
}

TEST_F(MetricsTest, APoisonedBucketSaysSo) {
  const auto engine = open_exported();
  put(*engine, numbered(0, 1));
  disk_.fail_all();
  EXPECT_FALSE(engine->put_batch(batch(numbered(1, 1))).ok());
  EXPECT_FALSE(engine->put_batch(batch(numbered(1, 1))).ok());
  disk_.fail_none();
  EXPECT_EQ(value(*engine, "poisoned"), 1);
  EXPECT_EQ(value(*engine, "records_total"), 1);
  const auto told = events("poison");
  ASSERT_EQ(told.size(), 1U);
  EXPECT_EQ(told[0].level, LogLevel::kError);
  EXPECT_EQ(told[0].topic, folder_.path().substr(folder_.path().rfind('/') + 1));
  EXPECT_EQ(told[0].bucket_id, 3U);
}

TEST_F(MetricsTest, ARecoveryIsCountedAndTold) {
  auto engine = open_exported();
  EXPECT_EQ(value(*engine, "recovered_records_total"), 0);
  put(*engine, numbered(0, 10));
  ASSERT_TRUE(engine->flush().ok());
  put(*engine, numbered(10, 4));
  stop(engine);
  now_us_ += 1'000'000;
  engine = open_exported([](EngineOptions* options) { options->topic.topic = "rollouts"; });
  EXPECT_EQ(value(*engine, "recovered_records_total"), 4);
  EXPECT_GT(value(*engine, "recovery_duration_seconds"), 0);
  EXPECT_EQ(value(*engine, "flush_lag_records"), 4);
  EXPECT_DOUBLE_EQ(value(*engine, "flush_lag_seconds"), 1);
  EXPECT_EQ(value(*engine, "records_total"), 0);  // counters begin anew
  const auto told = events("recovery");
  ASSERT_EQ(told.size(), 2U);
  EXPECT_EQ(told[0].level, LogLevel::kDebug);  // a new bucket
  EXPECT_EQ(told[1].level, LogLevel::kInfo);
  EXPECT_EQ(told[1].topic, "rollouts");
  EXPECT_EQ(field(told[1], "records"), Value(4));
  EXPECT_EQ(field(told[1], "begin_ns"), Value(now_us_.load() * 1000));
}

TEST_F(MetricsTest, ASchemaChangeIsToldOnceItIsAcknowledged) {
  const auto engine = open_exported();
  put(*engine, {{{"id", 1}}});
  put(*engine, {{{"id", 2}, {"reward", 0.5}, {"done", true}}});
  put(*engine, {{{"id", 3}, {"reward", 0.5}}});
  EXPECT_EQ(value(*engine, "schema_changes_total"), 3);
  auto told = events("schema_change");
  ASSERT_EQ(told.size(), 2U);
  EXPECT_THAT(told[1].message, HasSubstr("offset 1: 'reward' added to double, 'done' added"));
  EXPECT_EQ(field(told[1], "changes"), Value(2));

  disk_.fail_all();
  EXPECT_FALSE(engine->put_batch(batch({{{"id", 4}, {"lost", 1}}})).ok());
  disk_.fail_none();
  EXPECT_EQ(events("schema_change").size(), 2U);
}

TEST_F(MetricsTest, ExplicitChangesOfTheSchemaCountToo) {
  const auto engine = open_exported();
  put(*engine, {{{"id", 1}, {"old", 2}}});
  std::promise<bool> renamed;
  engine->rename_field_async("old", "new",
                             [&renamed](const Status& status) { renamed.set_value(status.ok()); });
  ASSERT_TRUE(renamed.get_future().get());
  EXPECT_EQ(value(*engine, "schema_changes_total"), 3);
  EXPECT_THAT(events("schema_change").back().message, HasSubstr("'old' renamed"));
}

TEST_F(MetricsTest, AFlushIsToldAndASlowOneWarnedOf) {
  const auto engine = open_exported(
      [](EngineOptions* options) { options->slow_flush = std::chrono::milliseconds(0); });
  put(*engine, numbered(0, 7));
  ASSERT_TRUE(engine->flush().ok());
  const auto flushes = events("flush");
  ASSERT_EQ(flushes.size(), 1U);
  EXPECT_EQ(flushes[0].level, LogLevel::kDebug);
  EXPECT_EQ(field(flushes[0], "records"), Value(7));
  const auto slow = events("slow_flush");
  ASSERT_EQ(slow.size(), 1U);
  EXPECT_EQ(slow[0].level, LogLevel::kWarning);
}

TEST_F(MetricsTest, NothingIsToldOfPutsAndReads) {
  const auto engine = open_exported();
  put(*engine, numbered(0, 1));
  const std::size_t before = events_.size();
  for (int i = 1; i < 100; ++i) put(*engine, numbered(i, 1));
  read(*engine);
  EXPECT_EQ(events_.size(), before);
}

TEST_F(MetricsTest, OnlyExportedBucketsAreCollected) {
  const auto samples = [] { return collect_metrics().front().samples.size(); };
  EXPECT_EQ(samples(), 0U);
  auto plain = open();
  put(*plain, numbered(0, 3));
  EXPECT_EQ(samples(), 0U);
  EXPECT_EQ(count(*plain, "put_duration_seconds"), 0U);  // no clock was read
  enable_metrics(true);
  EXPECT_EQ(sample_of(collect_metrics(), "records_total").value, 3);
  put(*plain, numbered(3, 1));
  EXPECT_EQ(count(*plain, "put_duration_seconds"), 1U);
  enable_metrics(false);
  EXPECT_EQ(samples(), 0U);
  stop(plain);

  auto exported = open_exported();
  const std::vector<MetricFamily> all = collect_metrics();
  EXPECT_EQ(sample_of(all, "records_total").labels.at("bucket"), "3");
  EXPECT_EQ(all.size(), exported->get_metrics()->size());
  stop(exported);
  EXPECT_EQ(samples(), 0U);
}

TEST_F(MetricsTest, BucketsOfOneTopicAndNumberAreAddedUp) {
  const auto first = open_exported([](EngineOptions* options) { options->topic.topic = "t"; });
  const auto second = open_exported([](EngineOptions* options) {
    options->topic.topic = "t";
    options->folder += "_elsewhere";
  });
  put(*first, numbered(0, 3));
  put(*second, numbered(0, 4));
  const std::vector<MetricFamily> all = collect_metrics();
  EXPECT_EQ(sample_of(all, "records_total").value, 7);
  const MetricSample& groups = sample_of(all, "group_commit_records");
  EXPECT_EQ(groups.count, 2U);
  EXPECT_EQ(groups.sum, 7);
  EXPECT_EQ(groups.buckets.back().second, 2U);
}

TEST_F(MetricsTest, DeadLettersCountAsRejectedNotAsABucket) {
  const auto engine = open_exported(
      [](EngineOptions* options) { options->admission.on_conflict = ConflictPolicy::kDeadLetter; });
  put(*engine, {{{"id", 1}}});
  put(*engine, {{{"id", "text"}}});
  const std::vector<MetricFamily> all = collect_metrics();
  EXPECT_EQ(sample_of(all, "records_total").value, 1);
  EXPECT_EQ(sample_of(all, "rejected_records_total").value, 1);
}

TEST_F(MetricsTest, AnotherProcessFindsThemByTheFolder) {
  auto engine = open_exported();
  put(*engine, numbered(0, 5));
  // What another process would do; it looks at the process that LOCK names, which is this one.
  const auto families = read_metrics(options().folder);
  ASSERT_TRUE(families.ok()) << families.error().message;
  EXPECT_EQ(sample_of(*families, "records_total").value, 5);
  EXPECT_EQ(sample_of(*families, "group_commit_records").sum, 5);
  stop(engine);
  const auto closed = read_metrics(options().folder);
  ASSERT_TRUE(closed.ok());
  EXPECT_TRUE(closed->empty());
  EXPECT_EQ(read_metrics(folder_.path()).error().code, ErrorCode::kInvalidArgument);
}

TEST_F(MetricsTest, AnotherProcessDoesNotTakeAClosedBucketForItsSuccessor) {
  const auto closed = open_exported();
  put(*closed, numbered(0, 5));
  ASSERT_TRUE(closed->shut_down().ok());  // a read that is under way may hold it for longer
  const auto successor = open_exported();
  put(*successor, numbered(5, 2));
  const auto families = read_metrics(options().folder);
  ASSERT_TRUE(families.ok()) << families.error().message;
  EXPECT_EQ(sample_of(*families, "records_total").value, 2);
}

TEST(HistogramTest, BucketsDouble) {
  EXPECT_EQ(Histogram::bucket_of(0), 0U);
  EXPECT_EQ(Histogram::bucket_of(1), 0U);
  EXPECT_EQ(Histogram::bucket_of(2), 1U);
  EXPECT_EQ(Histogram::bucket_of(3), 2U);
  EXPECT_EQ(Histogram::bucket_of(4), 2U);
  EXPECT_EQ(Histogram::bucket_of(5), 3U);
  EXPECT_EQ(Histogram::bucket_of(1U << 24U), 24U);
  EXPECT_EQ(Histogram::bucket_of((1U << 24U) + 1), Histogram::bounded_buckets);
  EXPECT_EQ(Histogram::bucket_of(std::numeric_limits<std::uint64_t>::max()),
            Histogram::bounded_buckets);
}

TEST(HistogramTest, ObservationsLieWithinTheBoundsTheyAreToldWith) {
  for (const std::uint64_t nanoseconds : {1ULL, 999ULL, 1000ULL, 1001ULL, 4000ULL, 4001ULL,
                                          123'456'789ULL, 16'777'216'000ULL, 99'000'000'000ULL}) {
    BucketMetrics metrics;
    metrics.put_duration.observe_nanoseconds(nanoseconds);
    const MetricSample sample = sample_of(to_families(metrics, "t", 0, 0), "put_duration_seconds");
    const double seconds = static_cast<double>(nanoseconds) * 1e-9;
    EXPECT_DOUBLE_EQ(sample.sum, seconds);
    EXPECT_EQ(sample.count, 1U);
    for (const auto& [bound, count] : sample.buckets)
      EXPECT_EQ(count, seconds <= bound * (1 + 1e-12) ? 1U : 0U) << seconds << " " << bound;
  }
}

TEST(MetricsMemoryTest, SlotsAreFoundByIdentityAndUsedAgain) {
  MetricsMemory memory;
  std::vector<BucketMetrics*> slots;
  for (std::uint64_t identity = 1; identity <= 100; ++identity) {
    slots.push_back(memory.allocate(identity));
    slots.back()->records.add(identity);
  }
  EXPECT_EQ(std::set<BucketMetrics*>(slots.begin(), slots.end()).size(), 100U);
  const auto read = [](std::uint64_t identity) {
    // Each process has one such memory; this test's program has another.
    return read_metrics_of(::getpid(), identity);
  };
  ASSERT_TRUE(read(42).ok());
  ASSERT_NE(*read(42), nullptr);
  EXPECT_EQ((*read(42))->records.value(), 42U);
  memory.hide(slots[41]);
  EXPECT_EQ(*read(42), nullptr);
  memory.release(slots[41]);
  BucketMetrics* const again = memory.allocate(1000);
  EXPECT_EQ(again, slots[41]);
  EXPECT_EQ(again->records.value(), 0U);  // nothing of its predecessor's is left
  EXPECT_EQ(*read(5000), nullptr);
}

TEST(MetricsMemoryTest, BeyondItsEndSlotsArePrivate) {
  MetricsMemory memory;
  std::vector<BucketMetrics*> slots;
  for (std::uint64_t identity = 1; identity <= MetricsMemory::max_slots + 2; ++identity)
    slots.push_back(memory.allocate(identity));
  slots.back()->records.add(1);
  for (BucketMetrics* const slot : slots) memory.release(slot);
}

TEST(MetricsMemoryTest, AProcessThatIsGoneHasNone) {
  const auto none = read_metrics_of(999'999'999, 1);
  ASSERT_TRUE(none.ok());
  EXPECT_EQ(*none, nullptr);
}

}  // namespace
}  // namespace persisting
