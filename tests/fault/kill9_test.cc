// kill -9 of a real process that puts, flushes and recovers; the oracle is in the parent.
#include <array>
#include <chrono>
#include <cstdio>
#include <iostream>
#include <random>
#include <string>
#include <thread>

#include <gtest/gtest.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "persisting/log.h"

#include "support/kill9_bucket.h"
#include "support/seeds.h"
#include "support/temporary_folder.h"

extern char** environ;

namespace persisting {
namespace {

using testing::kill9_record;

constexpr int producers = 2;
constexpr std::uint64_t rounds = 500;
constexpr int rounds_in_one_folder = 25;
constexpr int rounds_between_checks = 5;

struct Progress {
  std::int64_t submitted = -1;  // the highest number
  std::int64_t acknowledged = -1;
};
using AllProgress = std::array<Progress, producers>;

struct Totals {
  std::uint64_t kills = 0;
  std::uint64_t kills_before_open = 0;
  std::uint64_t records = 0;  // at the checks
};

class Kill9 {
 public:
  Kill9(std::string folder, std::mt19937_64& random, Totals& totals)
      : folder_(std::move(folder)), random_(random), totals_(totals) {}

  // One life of the writer, ended after a number of acknowledgements, or after a time however far it has come.
  void live() {
    std::FILE* const lines = start();
    ASSERT_NE(lines, nullptr);
    const bool by_time = random_() % 3 == 0;
    std::uint64_t acknowledgements = 1 + random_() % 40;
    std::thread timer;
    if (by_time) {
      timer = std::thread([pid = pid_, wait = std::chrono::microseconds(random_() % 12'000)] {
        std::this_thread::sleep_for(wait);
        ::kill(pid, SIGKILL);
      });
    }
    bool is_open = false;
    std::array<char, 64> line{};
    while (std::fgets(line.data(), static_cast<int>(line.size()), lines) != nullptr) {
      if (line[0] == 'o') {
        is_open = true;
        std::array<long long, producers> found{};
        ASSERT_EQ(std::sscanf(line.data(), "o %lld %lld", &found[0], &found[1]), 2);
        for (std::size_t i = 0; i < producers; ++i) ASSERT_NO_FATAL_FAILURE(take_over(i, found[i]));
        continue;
      }
      char kind = 0;
      int producer = 0;
      long long number = 0;
      ASSERT_EQ(std::sscanf(line.data(), "%c %d %lld", &kind, &producer, &number), 3);
      Progress& progress = progress_.at(static_cast<std::size_t>(producer));
      (kind == 's' ? progress.submitted : progress.acknowledged) = number;
      if (kind == 'a' && !by_time && --acknowledgements == 0) ::kill(pid_, SIGKILL);
    }
    if (timer.joinable()) timer.join();
    std::fclose(lines);
    int status = 0;
    ASSERT_EQ(::waitpid(pid_, &status, 0), pid_);
    ASSERT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) << status;
    ++totals_.kills;
    if (!is_open) ++totals_.kills_before_open;
  }

  // What is there, against what was submitted and acknowledged.
  void check() {
    testing::SimulatedLance lance(FileSystem::posix());
    auto engine =
        BucketEngine::open(testing::kill9_options(folder_), testing::kill9_environment(lance));
    ASSERT_TRUE(engine.ok()) << engine.error().message;
    const auto records = (*engine)->get(UINT64_MAX, 0);
    ASSERT_TRUE(records.ok()) << records.error().message;
    std::array<std::int64_t, producers> next{};
    for (std::size_t i = 0; i < records->size(); ++i) {
      const Struct record = records->fields(i);
      const auto producer = *record[0].second.get_if<std::int64_t>();
      std::int64_t& number = next.at(static_cast<std::size_t>(producer));
      ASSERT_EQ(record, kill9_record(static_cast<int>(producer), number)) << "offset " << i;
      ++number;
    }
    for (std::size_t producer = 0; producer < producers; ++producer) {
      ASSERT_NO_FATAL_FAILURE(take_over(producer, next[producer]));
      totals_.records += static_cast<std::uint64_t>(next[producer]);
    }
    ASSERT_TRUE((*engine)->shut_down().ok());
  }

 private:
  // An opening found records [0, count) of a producer; they must stay.
  void take_over(std::size_t producer, std::int64_t count) {
    Progress& progress = progress_.at(producer);
    ASSERT_GT(count, progress.acknowledged) << "an acknowledged record is missing";
    ASSERT_LE(count, progress.submitted + 1);
    progress.submitted = progress.acknowledged = count - 1;
  }

  std::FILE* start() {
    std::array<int, 2> pipe{};
    if (::pipe(pipe.data()) != 0) return nullptr;
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, pipe[1], 1);
    posix_spawn_file_actions_addclose(&actions, pipe[0]);
    posix_spawn_file_actions_addclose(&actions, pipe[1]);
    std::array<std::string, 3> arguments{PERSISTING_KILL9_WRITER, folder_,
                                         std::to_string(random_())};
    std::array<char*, 4> argv{};
    for (std::size_t i = 0; i < arguments.size(); ++i) argv.at(i) = arguments.at(i).data();
    const int failed = ::posix_spawn(&pid_, argv[0], &actions, nullptr, argv.data(), environ);
    posix_spawn_file_actions_destroy(&actions);
    ::close(pipe[1]);
    return failed != 0 ? nullptr : ::fdopen(pipe[0], "r");
  }

  const std::string folder_;
  std::mt19937_64& random_;
  Totals& totals_;
  AllProgress progress_;
  pid_t pid_ = 0;
};

TEST(Kill9, WhatWasAcknowledgedIsThereOnceAndInOrder) {
  set_log_sink({});
  Totals totals;
  testing::with_seeds(rounds / rounds_in_one_folder, [&](std::mt19937_64& random) {
    const testing::TemporaryFolder folder;
    Kill9 bucket(folder.path() + "/bucket_0", random, totals);
    for (int round = 1; round <= rounds_in_one_folder; ++round) {
      ASSERT_NO_FATAL_FAILURE(bucket.live());
      if (round % rounds_between_checks != 0) continue;
      ASSERT_NO_FATAL_FAILURE(bucket.check());
    }
  });
  std::cout << totals.kills << " kills, of these " << totals.kills_before_open
            << " before the bucket was open; " << totals.records << " records checked\n";
  if (testing::replays_one_seed()) return;
  EXPECT_GE(totals.kills, testing::scaled(rounds));
  EXPECT_GT(totals.kills_before_open, 0U);
}

}  // namespace
}  // namespace persisting
