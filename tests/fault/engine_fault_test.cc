// The bucket engine when its log fails.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/engine_fixture.h"
#include "support/faulty_file_system.h"
#include "support/power_cut_file_system.h"

namespace persisting {
namespace {

using testing::batch;
using testing::EngineTest;
using testing::FaultyFileSystem;

class PoisonedEngine : public EngineTest {
 protected:
  std::shared_ptr<BucketEngine> open_faulty(std::chrono::microseconds sync_interval) {
    EngineOptions faulty = options();
    faulty.wal_sync_interval = sync_interval;
    EngineEnvironment on = environment();
    on.file_system = &files_;
    auto engine = BucketEngine::open(faulty, on);
    EXPECT_TRUE(engine.ok());
    return std::move(engine).value();
  }
  FaultyFileSystem files_{FileSystem::posix()};
};

TEST_F(PoisonedEngine, AFailedSyncFailsThisPutAndEveryLaterOne) {
  auto engine = open_faulty(std::chrono::microseconds(0));
  put(*engine, {{{"id", 1}}});
  files_.fail_calls("sync 0");
  const auto failed = engine->put_batch(batch({{{"id", 2}}}));
  files_.fail_calls("");
  ASSERT_FALSE(failed.ok());
  EXPECT_EQ(failed.error().component, Component::kWal);
  const auto later = engine->put_batch(batch({{{"id", 3}}}));
  ASSERT_FALSE(later.ok());
  EXPECT_EQ(later.error().component, Component::kWal);
  EXPECT_EQ(later.error().message, failed.error().message);
  EXPECT_EQ(read(*engine), (std::vector<Struct>{{{"id", 1}}}));  // nothing refused is visible
  EXPECT_EQ(engine->shut_down().error().component, Component::kWal);
  engine.reset();
  engine = open();
  EXPECT_EQ(read(*engine), (std::vector<Struct>{{{"id", 1}}}));
  put(*engine, {{{"id", 4}}});
  EXPECT_EQ(read(*engine), (std::vector<Struct>{{{"id", 1}}, {{"id", 4}}}));
}

TEST_F(PoisonedEngine, AFailedSyncBeforeAFlushKeepsTheTableBehindTheLog) {
  auto engine = open_faulty(std::chrono::hours(1));
  put(*engine, {{{"id", 1}}});
  files_.fail_calls("sync 0");
  const Status failed = engine->flush();
  files_.fail_calls("");
  ASSERT_FALSE(failed.ok());
  EXPECT_EQ(failed.error().component, Component::kWal);
  EXPECT_EQ(tables_.appends(), 0);
  EXPECT_EQ(engine->put_batch(batch({{{"id", 2}}})).error().component, Component::kWal);
  (void)engine->shut_down();
  engine.reset();
  EXPECT_EQ(read(*open()), (std::vector<Struct>{{{"id", 1}}}));
}

}  // namespace
}  // namespace persisting
