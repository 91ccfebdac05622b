// Random scripts on a disk that forgets what was not synced, cut at a random call. PERSISTING_TEST_SEED replays one.
#include <chrono>
#include <cstdlib>
#include <iostream>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "engine/bucket_engine.h"
#include "support/log_script.h"
#include "support/memory_table.h"
#include "support/power_cut_file_system.h"
#include "support/records.h"

namespace persisting {
namespace {

using testing::LogScript;
using testing::PowerCutFileSystem;

// Runs `script` with seeds of its own: `runs` many, or the one of the environment.
template <typename Script>
void with_seeds(int runs, Script script) {
  const char* given = std::getenv("PERSISTING_TEST_SEED");
  std::uint64_t seed =
      given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device{}();
  std::cout << "PERSISTING_TEST_SEED=" << seed << "\n";
  for (int run = 0; run < (given != nullptr ? 1 : runs); ++run, ++seed) {
    SCOPED_TRACE("PERSISTING_TEST_SEED=" + std::to_string(seed));
    std::mt19937_64 random(seed);
    script(random);
    if (::testing::Test::HasFailure()) return;
  }
}

void step(LogScript& script, std::mt19937_64& random) {
  const std::uint64_t choice = random() % 16;
  if (choice == 0) {
    script.retire();
  } else if (choice == 1) {
    script.sync();
  } else {
    const std::size_t bytes = random() % 8 == 0 ? 1 + random() % 3000 : 1 + random() % 200;
    script.append(1 + random() % 4, 1 + random() % 3, bytes);
  }
}

// Several lives of a log, ended by a close, the process's death or a power cut. A quarter of the deaths are in recovery.
void live(std::mt19937_64& random, std::chrono::microseconds sync_interval) {
  PowerCutFileSystem disk;
  WalOptions options;
  options.segment_bytes = 200 + random() % 3000;
  options.sync_interval = sync_interval;
  options.compression = static_cast<Compression>(random() % 4);
  LogScript script(options);
  for (int life = 0; life < 6; ++life) {
    if (random() % 4 == 0) {
      disk.stop_at(random() % 6);
      script.open(disk, true);
    } else {
      ASSERT_TRUE(script.open(disk, false));
    }
    if (!disk.stopped()) disk.stop_at(random() % 60);
    for (std::uint64_t steps = random() % 30; steps > 0 && script.is_open() && !disk.stopped();
         --steps) {
      step(script, random);
    }
    if (script.is_open() && random() % 4 == 0) script.close();
    // Nothing more happens, not even at the log's own end.
    if (!disk.stopped()) {
      disk.stop_at(0);
      (void)disk.create_folders("/end");
    }
    script.drop();
    if (random() % 3 == 0) {
      disk.restart();
      script.process_died();
    } else {
      disk.cut(random());
      script.power_cut();
    }
    if (::testing::Test::HasFailure()) return;
  }
  ASSERT_TRUE(script.open(disk, false));
}

TEST(PowerCut, WithASyncForEachCommitAllThatWasAcknowledgedSurvives) {
  with_seeds(2500, [](std::mt19937_64& random) { live(random, std::chrono::microseconds(0)); });
}

TEST(PowerCut, WithASyncIntervalAllThatWasSyncedSurvives) {
  with_seeds(2500, [](std::mt19937_64& random) { live(random, std::chrono::hours(1)); });
}

// ---- the whole engine ----

class EngineLives {
 public:
  EngineLives(std::mt19937_64& random, std::chrono::microseconds sync_interval) : random_(random) {
    options_.backend = "persisting";
    options_.bucket_id = 3;
    options_.folder = "/topic/bucket_3";
    options_.has_table = true;
    options_.has_wal = true;
    options_.wal_sync_interval = sync_interval;
    options_.compression = static_cast<Compression>(random() % 4);
    environment_.file_system = &disk_;
    environment_.open_table = tables_.opener();
    environment_.now_us = [] { return std::int64_t{1000}; };
  }

  void run() {
    for (int life = 0; life < 4; ++life) {
      if (random_() % 4 == 0) disk_.stop_at(random_() % 24);
      auto engine = BucketEngine::open(options_, environment_);
      if (engine) {
        check(**engine);
        if (!disk_.stopped()) disk_.stop_at(random_() % 60);
        for (std::uint64_t steps = random_() % 20; steps > 0 && !disk_.stopped(); --steps)
          step(**engine);
        if (random_() % 4 != 0) {
          disk_.stop_at(0);
          (void)disk_.create_folders("/end");
        }
        if ((*engine)->shut_down()) must_have_ = std::max(must_have_, acknowledged_);
      } else {
        ASSERT_TRUE(disk_.stopped()) << engine.error().message;
      }
      if (random_() % 3 == 0) {
        disk_.restart();
        expected_ = acknowledged_;
      } else {
        disk_.cut(random_());
        expected_ = acknowledged_ = must_have_;
      }
      if (::testing::Test::HasFailure()) return;
    }
    auto engine = BucketEngine::open(options_, environment_);
    ASSERT_TRUE(engine.ok()) << engine.error().message;
    check(**engine);
    ASSERT_TRUE((*engine)->flush().ok());
    check(**engine);
    ASSERT_TRUE((*engine)->shut_down().ok());
  }

 private:
  void step(BucketEngine& engine) {
    if (random_() % 6 == 0) {
      if (engine.flush()) must_have_ = acknowledged_;
      return;
    }
    std::vector<Struct> rows;
    for (std::uint64_t count = 1 + random_() % 3; count > 0; --count) {
      rows.push_back({{"number", static_cast<std::int64_t>(rows_.size())},
                      {"attempt", attempt_++},
                      {"text", std::string(random_() % 400, 'x')}});
      rows_.push_back(rows.back());
    }
    const auto put = engine.put_batch(testing::batch(rows));
    if (!put) {
      EXPECT_EQ(put.error().component, Component::kWal) << put.error().message;
      return;
    }
    acknowledged_ = rows_.size();
    if (options_.wal_sync_interval.count() == 0) must_have_ = acknowledged_;
  }

  void check(BucketEngine& engine) {
    const auto records = engine.get(UINT64_MAX, 0);
    ASSERT_TRUE(records.ok()) << records.error().message;
    ASSERT_GE(records->size(), expected_);
    ASSERT_LE(records->size(), rows_.size());
    rows_.resize(records->size());
    for (std::size_t i = 0; i < rows_.size(); ++i) ASSERT_EQ(records->fields(i), rows_[i]);
    expected_ = acknowledged_ = must_have_ = rows_.size();
  }

  std::mt19937_64& random_;
  PowerCutFileSystem disk_;
  testing::MemoryTables tables_;
  EngineOptions options_;
  EngineEnvironment environment_;
  std::vector<Struct> rows_;
  std::int64_t attempt_ = 0;
  std::uint64_t acknowledged_ = 0;
  std::uint64_t must_have_ = 0;  // after a power cut
  std::uint64_t expected_ = 0;   // by the next opening
};

TEST(PowerCut, TheEngineKeepsWhatItAcknowledged) {
  with_seeds(500, [](std::mt19937_64& random) {
    EngineLives(random, std::chrono::microseconds(0)).run();
  });
}

TEST(PowerCut, TheEngineWithASyncIntervalKeepsWhatWasSyncedOrFlushed) {
  with_seeds(500,
             [](std::mt19937_64& random) { EngineLives(random, std::chrono::hours(1)).run(); });
}

}  // namespace
}  // namespace persisting
