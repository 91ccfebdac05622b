// A bucket's lives on a disk that forgets what was not synced: operations, deaths, recoveries, deaths in recovery.
// Operations: put, batch (with new fields and wider types as it goes on), flush, reading back, timers, closing, compaction by
//             another program. They are under way side by side, one task at a time in an order that the seed gives.
// Rule:       what opening finds is a prefix of what was submitted, with the same values, and reaches at least to all that
//             was acknowledged (with a sync interval and a power cut: to all that was synced or flushed).
// Threads:    none: the whole run is a function of the seed.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <random>
#include <vector>

#include "engine/bucket_engine.h"
#include "support/manual_executor.h"
#include "support/power_cut_file_system.h"
#include "support/simulated_lance.h"

namespace persisting::testing {

class BucketLives {
 public:
  struct Counts {
    std::uint64_t lives = 0;
    std::uint64_t power_cuts = 0;
    std::uint64_t power_cuts_in_recovery = 0;
    std::uint64_t records = 0;      // acknowledged
    std::uint64_t flushes = 0;      // that ended well
    std::uint64_t compactions = 0;  // by another program
    std::uint64_t set_aside = 0;    // versions moved to quarantine
  };

  // Adds to `counts`. Failures are those of GoogleTest.
  BucketLives(std::mt19937_64& random, std::chrono::microseconds sync_interval, Counts& counts);

  void run();

 private:
  void live();
  bool open();
  void operate();
  void put();
  void flush();
  void compact();
  void close();
  void die(bool in_recovery);
  void check();
  Struct next_record();
  std::uint64_t below(std::uint64_t end) { return random_() % end; }

  std::mt19937_64& random_;
  Counts& counts_;
  PowerCutFileSystem disk_;
  SimulatedLance lance_{disk_};
  ManualExecutors executors_;
  EngineOptions options_;
  EngineEnvironment environment_;
  std::shared_ptr<BucketEngine> engine_;

  std::vector<Struct> submitted_;
  std::int64_t attempt_ = 0;
  bool widened_ = false;
  std::uint64_t acknowledged_ = 0;
  std::uint64_t durable_ = 0;   // even after a power cut
  std::uint64_t expected_ = 0;  // by the next opening
};

}  // namespace persisting::testing
