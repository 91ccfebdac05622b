// Opens engines over a memory table, a clock of the test's own and a folder that lives as long as the test.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "engine/bucket_engine.h"
#include "support/memory_table.h"
#include "support/records.h"
#include "support/temporary_folder.h"

namespace persisting::testing {

class EngineTest : public ::testing::Test {
 protected:
  EngineOptions options() const {
    EngineOptions options;
    options.backend = "persisting";
    options.bucket_id = 3;
    options.folder = folder_.path() + "/bucket_3";
    options.has_table = true;
    options.has_wal = true;
    return options;
  }

  EngineEnvironment environment() {
    EngineEnvironment environment;
    environment.open_table = tables_.opener();
    environment.now_us = [] { return std::int64_t{1'700'000'000'000'000}; };
    return environment;
  }

  Result<std::shared_ptr<BucketEngine>> try_open(const EngineOptions& options) {
    auto engine = BucketEngine::open(options, environment());
    if (engine) opened_.push_back(*engine);
    return engine;
  }
  std::shared_ptr<BucketEngine> open(const EngineOptions& options) {
    auto engine = try_open(options);
    EXPECT_TRUE(engine.ok()) << engine.error().message;
    return std::move(engine).value();
  }
  std::shared_ptr<BucketEngine> open() { return open(options()); }

  // What a crash leaves: nothing is flushed, the lock is gone.
  static void stop(std::shared_ptr<BucketEngine>& engine) {
    ASSERT_TRUE(engine->shut_down().ok());
    engine.reset();
  }

  static void put(BucketEngine& engine, const std::vector<Struct>& rows) {
    auto offset = engine.put_batch(batch(rows));
    ASSERT_TRUE(offset.ok()) << offset.error().message;
  }

  static std::vector<Struct> read(BucketEngine& engine, std::uint64_t limit = UINT64_MAX,
                                  std::uint64_t offset = 0) {
    auto records = engine.get(limit, offset);
    EXPECT_TRUE(records.ok()) << records.error().message;
    std::vector<Struct> rows;
    for (std::size_t i = 0; i < records->size(); ++i) rows.push_back(records->fields(i));
    return rows;
  }

  // A flush that still runs uses the tables and the folder.
  void TearDown() override {
    for (const auto& opened : opened_) {
      if (const auto engine = opened.lock()) (void)engine->shut_down();
    }
  }

  TemporaryFolder folder_;
  MemoryTables tables_;
  std::vector<std::weak_ptr<BucketEngine>> opened_;
};

}  // namespace persisting::testing
