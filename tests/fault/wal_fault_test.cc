// The log when calls fail. (Damaged bytes: wal_mutation_test.cc.)
#include <chrono>
#include <memory>
#include <string>
#include <tuple>

#include <gtest/gtest.h>

#include "persisting/log.h"

#include "support/faulty_file_system.h"
#include "support/log_script.h"
#include "support/power_cut_file_system.h"
#include "wal/wal_format.h"

namespace persisting {
namespace {

using testing::FaultyFileSystem;
using testing::LogScript;
using testing::PowerCutFileSystem;

// Recoveries tell of every torn end.
class Quiet : public ::testing::Environment {
  void SetUp() override { set_log_sink({}); }
};
[[maybe_unused]] const auto* const quiet = ::testing::AddGlobalTestEnvironment(new Quiet);

WalOptions small_segments(std::chrono::microseconds sync_interval) {
  WalOptions options;
  options.segment_bytes = 400;
  options.sync_interval = sync_interval;
  return options;
}

// Every kind of call that a log makes, in two lives.
void run_script(LogScript& script, FileSystem& file_system) {
  for (int life = 0; life < 2; ++life) {
    if (!script.open(file_system, true)) continue;
    script.append(1, 2, 10);
    script.append(3, 1, 20);
    script.append(1, 1, 600);
    script.append(2, 2, 10);
    script.sync();
    script.retire();
    script.append(1, 3, 100);
    script.append(1, 3, 100);
    script.append(1, 1, 5);
    script.close();
  }
  script.open(file_system, true);
  if (script.is_open()) script.append(1, 1, 5);
  script.drop();
}

class FailedCall : public ::testing::TestWithParam<
                       std::tuple<bool, FaultyFileSystem::Fault, std::chrono::microseconds>> {};

TEST_P(FailedCall, LosesNothingAcknowledgedWhicheverItIs) {
  const auto [for_ever, fault, interval] = GetParam();
  std::uint64_t calls = 1;
  for (std::uint64_t n = 0; n < calls; ++n) {
    SCOPED_TRACE("call " + std::to_string(n));
    PowerCutFileSystem disk;
    FaultyFileSystem faulty(disk);
    faulty.fail(n, for_ever, fault);
    LogScript script(small_segments(interval));
    run_script(script, faulty);
    if (n == 0) {
      PowerCutFileSystem whole;
      FaultyFileSystem plain(whole);
      LogScript again(small_segments(interval));
      run_script(again, plain);
      calls = plain.calls();
      ASSERT_GT(calls, 50U);
    }
    script.process_died();
    ASSERT_TRUE(script.open(disk, false));
    ASSERT_TRUE(script.append(1, 2, 30));
    ASSERT_TRUE(script.close());
    disk.cut(n);
    script.power_cut();
    ASSERT_TRUE(script.open(disk, false));
    if (HasFailure()) return;
  }
}

INSTANTIATE_TEST_SUITE_P(All, FailedCall,
                         ::testing::Combine(::testing::Bool(),
                                            ::testing::Values(FaultyFileSystem::Fault::kError,
                                                              FaultyFileSystem::Fault::kShortWrite),
                                            ::testing::Values(std::chrono::microseconds(0),
                                                              std::chrono::hours(1))));

// ---- logs that cannot be read ----

Result<std::unique_ptr<Wal>> open_log(FileSystem& file_system, const std::string& folder) {
  WalOptions options;
  options.folder = folder;
  options.bucket_identity = 42;
  WalRecovery recovery;
  return Wal::open(
      file_system, Executors::instance().commit, options, 0,
      [](const ReplayedFrame&) { return ok_status(); }, [](std::uint64_t, const Status&) {},
      &recovery);
}

TEST(UnreadableLog, AReadErrorIsAnErrorAndTouchesNothing) {
  PowerCutFileSystem disk;
  LogScript script(small_segments(std::chrono::microseconds(0)));
  ASSERT_TRUE(script.open(disk, false));
  ASSERT_TRUE(script.append(1, 2, 10));
  // As a crash leaves it: the script's own log stays open.
  const auto files = disk.files();
  ASSERT_EQ(files.size(), 1U);
  FaultyFileSystem faulty(disk);
  faulty.fail_reads(true);
  const auto opened = open_log(faulty, parent_folder(files.begin()->first));
  ASSERT_FALSE(opened.ok());
  EXPECT_EQ(opened.error().code, ErrorCode::kIo);
  EXPECT_EQ(opened.error().component, Component::kWal);
  EXPECT_EQ(disk.files(), files);
}

// A later library's segment must not be taken for an unfinished one.
TEST(UnreadableLog, ALaterFormatVersionIsRefusedAndLeftAlone) {
  const std::string path = "/wal/" + wal::segment_name(0, 1);
  const std::string bytes = wal::encode_segment_header({42, 1, 0, {}, 3});
  PowerCutFileSystem disk;
  disk.set_file(path, bytes);
  const auto opened = open_log(disk, "/wal");
  ASSERT_FALSE(opened.ok());
  EXPECT_EQ(opened.error().code, ErrorCode::kUnsupported);
  EXPECT_EQ(opened.error().message, path + ": format version 3; this library reads version 2");
  EXPECT_EQ(disk.files().at(path), bytes);
}

}  // namespace
}  // namespace persisting
