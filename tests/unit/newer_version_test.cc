// Opening a bucket whose table has a version that no checkpoint names: taken over, or set aside for the log.
#include <memory>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "persisting/log.h"

#include "engine/bucket_engine.h"
#include "support/power_cut_file_system.h"
#include "support/records.h"
#include "support/simulated_lance.h"

namespace persisting {
namespace {

using testing::SimulatedLance;

class NewerVersion : public ::testing::Test {
 protected:
  // Five records in the table, with a checkpoint, and five in the log alone.
  void SetUp() override {
    set_log_sink({});
    auto engine = open();
    put(*engine, 5);
    ASSERT_TRUE(engine->flush().ok());
    put(*engine, 5);
    ASSERT_TRUE(engine->shut_down().ok());
  }

  std::shared_ptr<BucketEngine> open() {
    EngineOptions options;
    options.backend = "persisting";
    options.folder = "/bucket_0";
    options.has_table = true;
    options.has_wal = true;
    EngineEnvironment environment = default_environment();
    environment.file_system = &disk_;
    environment.open_table = lance_.opener();
    environment.now_us = [] { return std::int64_t{1000}; };
    auto engine = BucketEngine::open(options, environment);
    EXPECT_TRUE(engine.ok()) << engine.error().message;
    return std::move(engine).value();
  }

  void put(BucketEngine& engine, int count) {
    for (; count > 0; --count) {
      records_.push_back({{"id", static_cast<std::int64_t>(records_.size())}, {"text", "as put"}});
      ASSERT_TRUE(engine.put_batch(testing::batch({records_.back()})).ok());
    }
  }

  // Commits a version with these rows and nothing else.
  void commit(const std::vector<Struct>& records, const SchemaPtr& schema) {
    nanoarrow::UniqueArrayStream stream =
        testing::stream_of(testing::rows_of(schema, testing::batch(records)));
    auto made = lance_.write(path_, nullptr, PERSISTING_LANCE_OVERWRITE, stream.get());
    ASSERT_TRUE(made.ok()) << made.error().message;
    ASSERT_TRUE(lance_.commit(path_, PERSISTING_LANCE_OVERWRITE, std::move(made).value()).ok());
  }

  // What an opening reads, and how much of it from the table.
  void check(std::uint64_t in_table, bool set_aside) {
    auto engine = open();
    const auto read = engine->get(UINT64_MAX, 0);
    ASSERT_TRUE(read.ok()) << read.error().message;
    EXPECT_EQ(testing::all_fields(*read), records_);
    EXPECT_EQ(engine->stats()->persisted_count, in_table);
    bool quarantined = false;
    for (const auto& [path, contents] : disk_.files())
      quarantined |= path.starts_with("/bucket_0/quarantine/");
    EXPECT_EQ(quarantined, set_aside);
    ASSERT_TRUE(engine->flush().ok());
    ASSERT_TRUE(engine->shut_down().ok());
    engine = open();
    EXPECT_EQ(testing::all_fields(*engine->get(UINT64_MAX, 0)), records_);
    EXPECT_EQ(engine->stats()->persisted_count, records_.size());
    ASSERT_TRUE(engine->shut_down().ok());
  }

  const std::string path_ = "/bucket_0/data.lance";
  testing::PowerCutFileSystem disk_;
  SimulatedLance lance_{disk_};
  std::vector<Struct> records_;
};

TEST_F(NewerVersion, WithTheRowsOfTheLogIsTakenOver) {
  commit(records_, testing::schema_of(records_));
  check(10, false);
}

TEST_F(NewerVersion, WithTheRowsOfTheCheckpointIsTakenOver) {
  ASSERT_TRUE(lance_.compact(path_).ok());
  check(5, false);
}

TEST_F(NewerVersion, WithOtherRowsThanTheLogsIsSetAside) {
  std::vector<Struct> others = records_;
  others[7] = {{"id", 7}, {"text", "not as put"}};
  commit(others, testing::schema_of(others));
  check(5, true);
}

TEST_F(NewerVersion, WithFewerRowsThanTheCheckpointsIsSetAside) {
  commit({records_.begin(), records_.begin() + 3}, testing::schema_of(records_));
  check(5, true);
}

TEST_F(NewerVersion, WithoutAColumnOfTheCheckpointsIsSetAside) {
  std::vector<Struct> others;
  for (std::int64_t id = 0; id < 5; ++id) others.push_back({{"id", id}});
  commit(others, testing::schema_of(others));
  check(5, true);
}

}  // namespace
}  // namespace persisting
