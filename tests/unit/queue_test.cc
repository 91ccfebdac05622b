// The embedded queue in C++: routing, reading, waiting, and backends of one's own.
#include <future>
#include <mutex>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "persisting/persisting.h"

#include "engine/subscribers.h"
#include "support/memory_table.h"
#include "support/page_records.h"
#include "support/records.h"
#include "support/temporary_folder.h"
#include "table/default_format.h"

namespace persisting {
namespace {

using testing::batch;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::record;

class QueueTest : public ::testing::Test {
 protected:
  QueueTest() { set_table_format({tables_.opener(), {}}); }
  ~QueueTest() override { set_table_format({}); }

  QueueOptions options(const std::string& backend = "persisting") const {
    QueueOptions options;
    options.topic = "topic";
    options.storage_path = folder_.path() + "/topic";
    options.backend = backend;
    return options;
  }
  static std::shared_ptr<Queue> open(QueueOptions options) {
    auto queue = Queue::open(std::move(options));
    EXPECT_TRUE(queue.ok());
    return std::move(queue).value();
  }
  static std::vector<std::int64_t> ids(const RecordBatch& records) {
    std::vector<std::int64_t> ids;
    for (std::size_t i = 0; i < records.size(); ++i)
      ids.push_back(*records.fields(i)[0].second.get_if<std::int64_t>());
    return ids;
  }
  static std::vector<Record> numbered(std::int64_t count) {
    std::vector<Record> records;
    for (std::int64_t i = 0; i < count; ++i) records.push_back(record({{"id", i}}));
    return records;
  }

  testing::TemporaryFolder folder_;
  testing::MemoryTables tables_;
};

TEST(Partition, IsPulsings) {
  // int(hashlib.md5(str(value).encode()).hexdigest(), 16) % 7, computed with CPython.
  const std::vector<std::pair<Value, std::uint32_t>> cases{{"a", 0},
                                                           {"ü", 3},
                                                           {"", 1},
                                                           {Null{}, 1},
                                                           {1, 2},
                                                           {-5, 4},
                                                           {true, 1},
                                                           {false, 3},
                                                           {1.0, 0},
                                                           {0.1, 6},
                                                           {1e16, 3},
                                                           {1e22, 2},
                                                           {123456789012345.0, 2},
                                                           {1e-5, 3},
                                                           {0.0001, 2},
                                                           {-0.0, 6},
                                                           {INFINITY, 5},
                                                           {-INFINITY, 2}};
  for (const auto& [value, bucket] : cases) {
    EXPECT_EQ(bucket_of_text(partition_text(value).value(), 7), bucket)
        << partition_text(value).value();
  }
  EXPECT_EQ(partition_text(1e16).value(), "1e+16");
  EXPECT_EQ(partition_text(1e15).value(), "1000000000000000.0");
  EXPECT_EQ(partition_text(1e-5).value(), "1e-05");
  EXPECT_EQ(partition_text(0.0001).value(), "0.0001");
  EXPECT_EQ(partition_text(List{}).error().code, ErrorCode::kWrongType);
}

TEST(Partition, AssignsBucketsRoundRobin) {
  EXPECT_THAT(assign_buckets(4, 0, 3).value(), ElementsAre(0, 3));
  EXPECT_THAT(assign_buckets(4, 2, 3).value(), ElementsAre(2));
  EXPECT_THAT(assign_buckets(1, 1, 3).value(), ElementsAre());
  EXPECT_EQ(assign_buckets(4, 3, 3).error().code, ErrorCode::kInvalidArgument);
}

TEST_F(QueueTest, RoutesByColumnAndReadsInOrder) {
  for (const char* backend : {"memory", "lance", "persisting"}) {
    QueueOptions own = options(backend);
    own.storage_path += backend;
    auto queue = open(own);
    QueueWriter writer(queue);
    const auto results = writer.put_batch(numbered(100));
    ASSERT_TRUE(results.ok()) << results.error().message;
    for (std::int64_t i = 0; i < 100; ++i) {
      EXPECT_EQ((*results)[static_cast<std::size_t>(i)].bucket_id, queue->bucket_id(i).value());
    }
    std::size_t total = 0;
    for (std::uint32_t bucket = 0; bucket < 4; ++bucket) {
      const auto records = queue->get(bucket, 1000, 0);
      ASSERT_TRUE(records.ok());
      const auto found = ids(*records);
      EXPECT_TRUE(std::is_sorted(found.begin(), found.end()));
      total += found.size();
    }
    EXPECT_EQ(total, 100U);
    EXPECT_TRUE(queue->close().ok());
    EXPECT_EQ(queue->put(record({{"id", 1}})).error().code, ErrorCode::kClosed);
  }
}

TEST_F(QueueTest, SurvivesReopening) {
  auto queue = open(options());
  ASSERT_TRUE(queue->put_batch(numbered(50)).ok());
  ASSERT_TRUE(queue->close().ok());
  auto reader = QueueReader::open(open(options()));
  EXPECT_EQ(reader->get(1000)->size(), 50U);
}

TEST_F(QueueTest, ReadersKeepTheirOffsets) {
  auto queue = open(options("memory"));
  ASSERT_TRUE(queue->put_batch(numbered(40)).ok());
  auto reader = QueueReader::open(queue);
  std::size_t read = 0;
  while (true) {
    const auto records = reader->get(7);
    if (records->empty()) break;
    read += records->size();
  }
  EXPECT_EQ(read, 40U);
  reader->reset();
  EXPECT_EQ(reader->get(1000)->size(), 40U);
  ASSERT_TRUE(reader->set_offset(1, 2).ok());
  EXPECT_EQ(reader->offset(2), 1U);
  EXPECT_EQ(reader->get(1000)->size(), queue->get(2, 1000, 1)->size());
}

TEST_F(QueueTest, ConsumersShareTheBuckets) {
  auto queue = open(options("memory"));
  ASSERT_TRUE(queue->put_batch(numbered(40)).ok());
  std::vector<std::int64_t> all;
  for (std::uint32_t rank = 0; rank < 3; ++rank) {
    auto reader = QueueReader::open(queue, {.bucket_ids = {}, .rank = rank, .world_size = 3});
    for (const std::int64_t id : ids(reader->get(1000).value())) all.push_back(id);
  }
  std::sort(all.begin(), all.end());
  EXPECT_EQ(all.size(), 40U);
  EXPECT_EQ(std::unique(all.begin(), all.end()), all.end());
}

TEST_F(QueueTest, AWaitingReaderWakesForAnyOfItsBuckets) {
  auto queue = open(options("memory"));
  for (std::int64_t id = 0; id < 8; ++id) {  // hits every bucket
    auto reader = QueueReader::open(queue);
    for (std::uint32_t bucket = 0; bucket < 4; ++bucket) {
      ASSERT_TRUE(
          reader->set_offset(queue->bucket(bucket).value()->backend()->total_count(), bucket).ok());
    }
    auto waiting = std::async(std::launch::async,
                              [&] { return reader->get(10, {.wait = true, .timeout = {}}); });
    ASSERT_TRUE(queue->put(record({{"id", id}})).ok());
    EXPECT_THAT(ids(waiting.get().value()), ElementsAre(id));
  }
}

TEST_F(QueueTest, AWaitEndsAtItsTimeout) {
  auto reader = QueueReader::open(open(options("memory")));
  EXPECT_TRUE(reader->get(10, {.wait = true, .timeout = std::chrono::milliseconds(1)})->empty());
}

TEST_F(QueueTest, AStreamFollowsABucket) {
  auto queue = open(options("memory"));
  auto storage = queue->bucket(0).value();
  RecordStream::Options follow;
  follow.wait = true;
  follow.limit = 5;
  follow.page = 2;
  RecordStream stream(storage->backend(), follow);
  auto reading = std::async(std::launch::async, [&stream] {
    std::vector<std::int64_t> read;
    while (true) {
      const auto records = stream.next();
      if (records->empty()) return read;
      EXPECT_LE(records->size(), 2U);
      for (const std::int64_t id : ids(*records)) read.push_back(id);
    }
  });
  ASSERT_TRUE(storage->backend()->put_batch(batch({{{"a", 1}}, {{"a", 2}}, {{"a", 3}}})).ok());
  ASSERT_TRUE(storage->backend()->put_batch(batch({{{"a", 4}}, {{"a", 5}}, {{"a", 6}}})).ok());
  EXPECT_THAT(reading.get(), ElementsAre(1, 2, 3, 4, 5));
}

TEST_F(QueueTest, BadInputNamesWhatIsWrong) {
  auto queue = open(options());
  EXPECT_THAT(queue->put(record({{"x", 1}})).error().message, HasSubstr("'id'"));
  const auto refused = queue->put_batch(std::vector{record({{"id", 1}}), record({{"x", 1}})});
  EXPECT_THAT(refused.error().message, HasSubstr("record 1"));
  for (std::uint32_t bucket = 0; bucket < 4; ++bucket)
    EXPECT_TRUE(queue->get(bucket, 10, 0)->empty());
  EXPECT_EQ(queue->get(4, 1, 0).error().code, ErrorCode::kInvalidArgument);

  QueueOptions unknown = options("persistin");
  EXPECT_THAT(Queue::open(unknown).error().message, HasSubstr("'persisting'"));
  QueueOptions other = options();
  other.num_buckets = 8;
  const auto mismatch = open(other)->get(0, 1, 0);
  EXPECT_THAT(mismatch.error().message, HasSubstr("num_buckets"));
  QueueOptions typed = options("lance");
  typed.storage_path += "typed";
  typed.backend_options["flush_threshold"] = "many";
  EXPECT_EQ(open(typed)->get(0, 1, 0).error().code, ErrorCode::kWrongType);
  EXPECT_EQ(QueueReader::open(queue, {.bucket_ids = {}, .rank = 0, .world_size = {}}).error().code,
            ErrorCode::kInvalidArgument);
}

TEST_F(QueueTest, UnknownOptionsAreWarnedAbout) {
  std::vector<std::string> warnings;
  std::mutex mutex;
  set_log_sink([&](const LogEvent& event) {
    const std::lock_guard lock(mutex);
    if (event.level == LogLevel::kWarning) warnings.push_back(event.message);
  });
  QueueOptions misspelt = options();
  misspelt.backend_options["flush_treshold"] = 10;
  ASSERT_TRUE(open(misspelt)->get(0, 1, 0).ok());
  set_log_sink({});
  ASSERT_EQ(warnings.size(), 1U);
  EXPECT_THAT(warnings[0], HasSubstr("'flush_threshold'"));
}

TEST_F(QueueTest, BackendsOfOneBucketShareOneEngine) {
  const BackendConfig config{0, folder_.path() + "/shared", 100, {}};
  auto first = PersistingBackend::open(config).value();
  auto second = PersistingBackend::open(config).value();
  ASSERT_TRUE(first->put(record({{"id", 1}})).ok());
  EXPECT_EQ(second->total_count(), 1U);
  ASSERT_TRUE(first->close().ok());
  EXPECT_EQ(first->put(record({{"id", 2}})).error().code, ErrorCode::kClosed);
  ASSERT_TRUE(second->put(record({{"id", 2}})).ok());
  BackendConfig other = config;
  other.options["wal_sync_interval"] = 1.0;
  EXPECT_THAT(PersistingBackend::open(other).error().message, HasSubstr("wal_sync_interval"));
  second.reset();  // as an actor that was stopped without closing
  EXPECT_EQ(PersistingBackend::open(other).value()->total_count(), 2U);
}

// A backend of somebody else's: keeps records in memory, and counts its flushes.
class CountingBackend : public StorageBackend {
 public:
  static Result<std::shared_ptr<StorageBackend>> open(const BackendConfig& config) {
    if (config.options.contains("broken")) return make_error(ErrorCode::kIo, "told to break");
    return std::shared_ptr<StorageBackend>(std::make_shared<CountingBackend>());
  }
  Result<std::uint64_t> put_batch(RecordBatch records) override {
    std::uint64_t first = 0;
    {
      const std::lock_guard lock(mutex_);
      first = records_.size();
      records_.append(records);
    }
    subscribers_.notify();
    return first;
  }
  Result<RecordBatch> get(std::uint64_t limit, std::uint64_t offset) override {
    const std::lock_guard lock(mutex_);
    RecordBatch records;
    for (std::uint64_t i = offset; i < records_.size() && records.size() < limit; ++i)
      records.add_encoded(records_[i]);
    return records;
  }
  Status flush() override {
    ++flushes;
    return ok_status();
  }
  Result<BackendStats> stats() override { return BackendStats{}; }
  std::uint64_t total_count() const override {
    const std::lock_guard lock(mutex_);
    return records_.size();
  }
  Status close() override { return ok_status(); }
  std::unique_ptr<Subscription> subscribe(std::function<void()> listener) override {
    return subscribers_.add(std::move(listener));
  }
  static inline int flushes = 0;

 private:
  mutable std::mutex mutex_;
  RecordBatch records_;
  Subscribers subscribers_;
};

TEST_F(QueueTest, ACustomBackendWorksByNameAndByFactory) {
  ASSERT_TRUE(register_backend<CountingBackend>("counting").ok());
  EXPECT_THAT(list_backends(), ::testing::Contains("counting"));
  auto queue = open(options("counting"));
  ASSERT_TRUE(queue->put_batch(numbered(20)).ok());
  ASSERT_TRUE(queue->flush().ok());
  EXPECT_GT(CountingBackend::flushes, 0);
  auto reader = QueueReader::open(queue);
  EXPECT_EQ(reader->get(100)->size(), 20U);

  QueueOptions by_factory = options("mine");
  by_factory.storage_path += "2";
  by_factory.factory = &CountingBackend::open;
  ASSERT_TRUE(open(by_factory)->put(record({{"id", 1}})).ok());
  by_factory.storage_path += "3";
  by_factory.backend_options["broken"] = true;
  EXPECT_THAT(open(by_factory)->put(record({{"id", 1}})).error().message,
              HasSubstr("told to break"));
}

TEST_F(QueueTest, ACustomBackendsRecordsCanBeReadAsAPage) {
  CountingBackend backend;
  const std::vector<Struct> records{{{"id", 1}}, {{"name", "x"}, {"tags", List{1, 2}}}, {}};
  ASSERT_TRUE(backend.put_batch(batch(records)).ok());
  const Result<RecordPagePtr> page = backend.read(10, 0);
  ASSERT_TRUE(page.ok());
  EXPECT_EQ(testing::records_of(**page), records);
  testing::RecordKeeper two(2);
  ASSERT_TRUE((*page)->write_to(two).ok());
  EXPECT_EQ(two.records().size(), 2U);
  std::vector<Struct> later;
  backend.read_async(1, 1, [&](const Result<RecordPagePtr>& found) {
    later = testing::records_of(*found.value());
  });
  EXPECT_EQ(later, (std::vector<Struct>{records[1]}));
}

}  // namespace
}  // namespace persisting
