// A view on a real disk, in a thread beside the one that puts, flushes, renames fields and opens the bucket again.
#include <atomic>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>
#include <unistd.h>

#include "engine/bucket_engine_parts.h"
#include "engine/bucket_view.h"
#include "support/engine_fixture.h"
#include "support/seeds.h"
#include "support/simulated_lance.h"

namespace persisting {
namespace {

using testing::batch;
using testing::EngineTest;
using testing::SimulatedLance;
using testing::with_seeds;

class BucketViewThreadsTest : public EngineTest {
 protected:
  EngineEnvironment lance_environment() {
    EngineEnvironment environment = default_environment();
    environment.open_table = lance_.opener();
    return environment;
  }
  std::shared_ptr<BucketEngine> open_bucket(const EngineOptions& options) {
    auto engine = BucketEngine::open(options, lance_environment());
    EXPECT_TRUE(engine.ok()) << engine.error().message;
    opened_.push_back(*engine);
    return std::move(engine).value();
  }
  std::shared_ptr<BucketView> view() {
    auto opened = open_view(FileSystem::posix(), lance_.format(), options().folder);
    EXPECT_TRUE(opened.ok()) << opened.error().message;
    return std::move(opened).value();
  }
  // Every file with its contents and the time of its last change.
  std::map<std::string, std::string> everything() const {
    std::map<std::string, std::string> found;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder_.path())) {
      std::string state = std::to_string(entry.last_write_time().time_since_epoch().count());
      if (entry.is_regular_file()) {
        std::ifstream file(entry.path(), std::ios::binary);
        state.append(std::istreambuf_iterator<char>(file), {});
      }
      found[entry.path().string()] = state;
    }
    return found;
  }

  SimulatedLance lance_{FileSystem::posix()};
};

TEST_F(BucketViewThreadsTest, FollowsAWriterRecordForRecord) {
  static constexpr std::int64_t total = 3000;
  with_seeds(3, [this](std::mt19937_64& random) {
    std::filesystem::remove_all(options().folder);
    EngineOptions options = this->options();
    options.max_wal_bytes = 20'000;
    options.flush.records = 200;
    auto engine = open_bucket(options);
    const auto view = this->view();

    std::atomic<std::int64_t> acknowledged = 0;
    std::jthread writer([&] {
      std::int64_t next = 0;
      std::string name = "value";
      while (next < total) {
        std::vector<Struct> rows;
        for (std::uint64_t left = 1 + random() % 30; left > 0 && next < total; --left, ++next)
          rows.push_back({{"id", next}, {name, next * 7}});
        ASSERT_TRUE(engine->put_batch(batch(rows)).ok());
        acknowledged = next;
        const std::uint64_t what = random() % 40;
        if (what == 0) {
          ASSERT_TRUE(engine->flush().ok());
        } else if (what == 1) {
          const std::string renamed = "value " + std::to_string(next);
          Waiter<Status> waiter;
          engine->rename_field_async(name, renamed, waiter.callback());
          ASSERT_TRUE(waiter.wait().ok());
          name = renamed;
        } else if (what == 2) {
          ASSERT_TRUE(engine->shut_down().ok());
          engine = open_bucket(options);
        }
      }
    });

    std::int64_t seen = 0;
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(100);
    while (seen < total && std::chrono::steady_clock::now() < deadline && !HasFailure()) {
      const std::int64_t before = acknowledged;
      const auto count =
          view->wait_beyond(static_cast<std::uint64_t>(seen), std::chrono::milliseconds(100));
      ASSERT_TRUE(count.ok()) << count.error().message;
      ASSERT_GE(*count, static_cast<std::uint64_t>(before));
      const auto records = view->get(50, static_cast<std::uint64_t>(seen));
      ASSERT_TRUE(records.ok()) << records.error().message;
      for (std::size_t i = 0; i < records->size(); ++i, ++seen) {
        const Struct fields = records->fields(i);
        ASSERT_EQ(fields.size(), 2U);
        ASSERT_EQ(fields[0].second, Value(seen));
        ASSERT_EQ(fields[1].second, Value(seen * 7));
      }
    }
    EXPECT_EQ(seen, total);
    writer.join();
    const auto shown = view->get(UINT64_MAX, 0);
    ASSERT_TRUE(shown.ok());
    EXPECT_EQ(shown->bytes(), engine->get(UINT64_MAX, 0)->bytes());
    ASSERT_TRUE(engine->shut_down().ok());
  });
}

TEST_F(BucketViewThreadsTest, ChangesNothing) {
  auto engine = open_bucket(options());
  put(*engine, {{{"id", 1}}, {{"id", 2}}});
  ASSERT_TRUE(engine->flush().ok());
  put(*engine, {{{"id", 3}}});
  put(*engine, {{{"id", 4}}});
  ASSERT_TRUE(engine->shut_down().ok());
  // What a kill leaves: a torn end. And a bucket that was copied has no LOCK.
  for (const auto& entry : std::filesystem::directory_iterator(options().folder + "/wal"))
    std::filesystem::resize_file(entry.path(), entry.file_size() - 60);
  std::filesystem::remove(options().folder + "/LOCK");

  const auto before = everything();
  {
    const auto view = this->view();
    EXPECT_EQ(view->get(UINT64_MAX, 0)->size(), 3U);
    EXPECT_TRUE(view->get_arrow(UINT64_MAX, 0).ok());
    EXPECT_TRUE(view->schema_history().ok());
    EXPECT_TRUE(view->dead_letters(1, 0).ok());
    const auto stats = view->stats();
    ASSERT_TRUE(stats.ok());
    EXPECT_EQ(stats->persisted_count, 2U);
    EXPECT_EQ(stats->wal_segments, 1U);
    EXPECT_EQ(stats->fragments, 1U);
    EXPECT_EQ(stats->versions, 1U);
    EXPECT_GT(stats->table_bytes, 0U);
    EXPECT_EQ(*view->wait_beyond(3, std::chrono::milliseconds(50)), 3U);
  }
  EXPECT_EQ(everything(), before);
}

TEST_F(BucketViewThreadsTest, TellsWhoHoldsTheBucket) {
  auto engine = open_bucket(options());
  const auto view = this->view();
  EXPECT_EQ(view->stats()->holder, std::int64_t{::getpid()});
  // The lock is free although the file still has the id of a process that is there.
  ASSERT_TRUE(engine->shut_down().ok());
  EXPECT_EQ(view->stats()->holder, std::nullopt);
}

// The lock of a bucket is taken and given back all the time, and nobody who asks for it is refused because of a view.
TEST_F(BucketViewThreadsTest, NeverKeepsAWriterFromItsLock) {
  open_bucket(options())->shut_down().ok();
  const auto view = this->view();
  std::atomic<bool> done = false;
  std::thread asking([&] {
    while (!done) EXPECT_TRUE(view->stats().ok());
  });
  FileSystem& files = FileSystem::posix();
  for (int i = 0; i < 3000; ++i) EXPECT_TRUE(files.lock_file(options().folder + "/LOCK").ok());
  done = true;
  asking.join();
}

TEST_F(BucketViewThreadsTest, ClosingEndsAWait) {
  auto engine = open_bucket(options());
  const auto view = this->view();
  std::thread closer([&view] { view->close(); });
  EXPECT_EQ(view->wait_beyond(0, std::nullopt).error().code, ErrorCode::kClosed);
  closer.join();
}

TEST_F(BucketViewThreadsTest, WakesSoonAfterAPut) {
  auto engine = open_bucket(options());
  const auto view = this->view();
  std::atomic<bool> waiting = false;
  std::thread writer([&] {
    while (!waiting) std::this_thread::yield();
    put(*engine, {{{"id", 1}}});
  });
  waiting = true;
  const auto count = view->wait_beyond(0, std::chrono::seconds(60));
  writer.join();
  ASSERT_TRUE(count.ok());
  EXPECT_EQ(*count, 1U);
}

}  // namespace
}  // namespace persisting
