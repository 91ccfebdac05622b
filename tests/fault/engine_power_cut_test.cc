// Power cuts of a whole bucket: log, simulated Lance dataset, checkpoint.
#include <chrono>
#include <iostream>
#include <random>

#include <gtest/gtest.h>

#include "persisting/log.h"

#include "support/bucket_lives.h"
#include "support/seeds.h"

namespace persisting {
namespace {

using testing::BucketLives;

void run(std::uint64_t runs, std::chrono::microseconds sync_interval) {
  set_log_sink({});  // recoveries tell of every torn end
  BucketLives::Counts counts;
  testing::with_seeds(
      runs, [&](std::mt19937_64& random) { BucketLives(random, sync_interval, counts).run(); });
  std::cout << counts.power_cuts << " power cuts, of these " << counts.power_cuts_in_recovery
            << " in recovery, in " << counts.lives << " lives; " << counts.records
            << " records acknowledged, " << counts.flushes << " flushes, " << counts.compactions
            << " compactions and " << counts.foreign_compactions << " by another program, "
            << counts.maintained << " lives with merges in the background, " << counts.set_aside
            << " versions set aside; " << counts.alterations << " fields dropped or renamed, "
            << counts.kept_alterations << " more that nobody heard of, " << counts.defaults
            << " defaults\n";
  if (testing::replays_one_seed() || ::testing::Test::HasFailure()) return;
  EXPECT_GE(counts.power_cuts, 3 * testing::scaled(runs));
  EXPECT_GE(counts.power_cuts_in_recovery * 5, counts.power_cuts);
  EXPECT_GT(counts.flushes, testing::scaled(runs));
  EXPECT_GT(counts.compactions, testing::scaled(runs) / 8);
  EXPECT_GT(counts.foreign_compactions, 0);
  EXPECT_GT(counts.maintained, testing::scaled(runs) / 20);
  EXPECT_GT(counts.set_aside, 0);
  EXPECT_GT(counts.alterations, testing::scaled(runs) / 2);
  EXPECT_GT(counts.kept_alterations, 0);
  EXPECT_GT(counts.defaults, testing::scaled(runs) / 2);
}

TEST(EnginePowerCut, KeepsWhatWasAcknowledged) { run(2000, std::chrono::microseconds(0)); }

TEST(EnginePowerCut, WithASyncIntervalKeepsWhatWasSyncedOrFlushed) {
  run(1500, std::chrono::seconds(30));
}

}  // namespace
}  // namespace persisting
