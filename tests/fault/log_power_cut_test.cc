// Random scripts of the log on a disk that forgets what was not synced, cut at a random call.
#include <chrono>
#include <random>

#include <gtest/gtest.h>

#include "support/log_script.h"
#include "support/power_cut_file_system.h"
#include "support/seeds.h"

namespace persisting {
namespace {

using testing::LogScript;
using testing::PowerCutFileSystem;
using testing::with_seeds;

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

TEST(LogPowerCut, WithASyncForEachCommitAllThatWasAcknowledgedSurvives) {
  with_seeds(2500, [](std::mt19937_64& random) { live(random, std::chrono::microseconds(0)); });
}

TEST(LogPowerCut, WithASyncIntervalAllThatWasSyncedSurvives) {
  with_seeds(2500, [](std::mt19937_64& random) { live(random, std::chrono::hours(1)); });
}

}  // namespace
}  // namespace persisting
