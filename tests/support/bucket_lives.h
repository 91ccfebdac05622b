// A bucket's lives on a disk that forgets what was not synced: operations, deaths, recoveries, deaths in recovery.
// Operations: put, batch (with new fields and wider types as it goes on; as records or rows of Arrow), flush, reading back,
//             timers, closing, dropping and renaming of fields, new fields with a default at an opening, compaction, also by
//             another program, and maintenance in the background. They are under way side by side, one task at a time in an order that the seed gives.
// Rule:       what opening finds is a prefix of what was submitted, with the same values, and reaches at least to all that
//             was acknowledged (with a sync interval and a power cut: to all that was synced or flushed). So is every change of
//             the schema that was acknowledged; another one is there whole, or not at all.
// Threads:    none: the whole run is a function of the seed.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <string>
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
    std::uint64_t compactions = 0;  // that ended well
    std::uint64_t foreign_compactions = 0;
    std::uint64_t maintained = 0;        // lives with merges in the background
    std::uint64_t set_aside = 0;         // versions moved to quarantine
    std::uint64_t alterations = 0;       // fields dropped and renamed
    std::uint64_t kept_alterations = 0;  // that a crash left unanswered, but done
    std::uint64_t defaults = 0;
  };

  // Adds to `counts`. Failures are those of GoogleTest.
  BucketLives(std::mt19937_64& random, std::chrono::microseconds sync_interval, Counts& counts);

  void run();

 private:
  void live();
  bool open();
  void operate();
  void put();
  void put_arrow(const std::vector<Struct>& rows, const PutCallback& done);
  void flush();
  void alter();
  void alter_model();
  void adopt_schema();
  void check_record(const Struct& put, const Struct& read) const;
  void compact();
  void compact_by_another();
  void close();
  void count_maintenance();
  void die(bool in_recovery);
  void check();
  Struct next_record();
  std::uint64_t below(std::uint64_t end) { return random_() % end; }

  std::mt19937_64& random_;
  Counts& counts_;
  std::uint64_t scale_ = 1;  // of the length of a life
  PowerCutFileSystem disk_;
  SimulatedLance lance_{disk_};
  ManualExecutors executors_;
  EngineOptions options_;
  EngineEnvironment environment_;
  std::shared_ptr<BucketEngine> engine_;

  struct Alteration {
    std::string from;
    std::string to;        // empty: dropped
    std::uint64_t at = 0;  // of the records below
  };

  std::vector<Struct> submitted_;  // under the names that they have now
  std::optional<Alteration> unanswered_;
  std::uint64_t alterations_ = 0;          // that are done
  std::map<std::string, Value> defaults_;  // of fields that no record has
  std::set<std::string> tried_defaults_;   // by openings, the last of which may have died
  std::int64_t attempt_ = 0;
  bool widened_ = false;
  std::uint64_t acknowledged_ = 0;
  std::uint64_t durable_ = 0;   // even after a power cut
  std::uint64_t expected_ = 0;  // by the next opening
};

}  // namespace persisting::testing
