// A bucket on the real file system, when the kernel refuses, shortens or interrupts a call: each fault at each call that it
// can hit, once and for ever.
// Promise: what was acknowledged is there after the next opening, whole, once, in order; no error is swallowed; and what POSIX
//          allows without anything being wrong (short transfers, interruptions) is not noticed at all.
#include <array>
#include <bitset>
#include <cstdint>
#include <filesystem>
#include <iostream>
#include <string>
#include <tuple>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "persisting/log.h"

#include "base/file_system.h"
#include "support/bucket_script.h"
#include "support/seeds.h"
#include "support/syscall_faults.h"
#include "support/temporary_folder.h"

namespace persisting {
namespace {

using testing::Script;
using testing::ScriptRun;
using testing::SyscallFaults;
using testing::TemporaryFolder;
using Call = SyscallFaults::Call;
using Fault = SyscallFaults::Fault;

// Failed flushes and torn ends are told of.
class Quiet : public ::testing::Environment {
  void SetUp() override { set_log_sink({}); }
};
[[maybe_unused]] const auto* const quiet = ::testing::AddGlobalTestEnvironment(new Quiet);

constexpr std::uint64_t script_seed = 1;
constexpr std::size_t script_steps = 300;
// Every so-many-th call is tried by one test, so that tests run side by side.
constexpr std::uint64_t shards = 2;

const Script& script() {
  static const Script& made = *new Script(Script::make(script_seed, script_steps));
  return made;
}

std::string to_string(const std::bitset<SyscallFaults::call_count>& calls) {
  std::string text;
  for (std::size_t i = 0; i < calls.size(); ++i) {
    if (calls[i]) text += " " + std::string(SyscallFaults::name_of(static_cast<Call>(i)));
  }
  return text;
}

// Calls whose failure costs nothing: what they would have done is done, or has another way.
std::bitset<SyscallFaults::call_count> may_fail_silently() {
  std::bitset<SyscallFaults::call_count> calls;
  // A write of zeros makes room, without which appends go on; that of a process id, another call also tells.
  for (const Call call :
       {Call::kClose, Call::kClosedir, Call::kUnlock, Call::kAccess, Call::kPwrite})
    calls.set(static_cast<std::size_t>(call));
  return calls;
}

class SyscallScript : public ::testing::Test {
 protected:
  void TearDown() override { SyscallFaults::instance().stop(); }

  // How many calls the fault can hit while the script runs.
  std::uint64_t count_calls(Fault fault) {
    SyscallFaults& faults = SyscallFaults::instance();
    const TemporaryFolder folder(in_memory());
    ScriptRun run(script(), folder.path() + "/topic/bucket_3", [] { return 0U; });
    faults.watch(folder.path(), fault);
    run.run();
    covered_ = faults.covered();
    covered_by_ = faults.covered_by();
    const std::uint64_t counted = faults.counted();
    faults.stop();
    EXPECT_TRUE(run.errors().empty()) << run.errors()[0].message;
    run.check_recovery();
    return counted;
  }

  // The faults are what is tested here, not the disk.
  static std::filesystem::path in_memory() {
    const std::filesystem::path memory = "/dev/shm";
    return std::filesystem::is_directory(memory) ? memory : std::filesystem::temp_directory_path();
  }

  std::uint64_t covered_ = 0;
  std::array<std::uint64_t, SyscallFaults::call_count> covered_by_{};
};

TEST_F(SyscallScript, MakesEveryCallAndAlwaysTheSame) {
  const std::uint64_t first = count_calls(Fault::kIoError);
  const auto by_call = covered_by_;
  EXPECT_EQ(count_calls(Fault::kIoError), first);
  EXPECT_EQ(covered_by_, by_call);
  EXPECT_EQ(covered_, first);
  EXPECT_GT(first, 1200U);
  // One that is missing has another name in this C library, and the linker did not wrap it.
  for (std::size_t i = 0; i < by_call.size(); ++i) {
    EXPECT_GT(by_call[i], 0U) << SyscallFaults::name_of(static_cast<Call>(i));
    std::cout << SyscallFaults::name_of(static_cast<Call>(i)) << " " << by_call[i] << ", ";
  }
  std::cout << "in total " << first << " calls\n";
}

TEST_F(SyscallScript, AShortWriteOfTheLocksHolderIsFinished) {
  SyscallFaults& faults = SyscallFaults::instance();
  const TemporaryFolder folder(in_memory());
  faults.watch(folder.path(), Fault::kShortTransfer);
  faults.fail(0, 0);
  const auto held = FileSystem::posix().lock_file(folder.path() + "/LOCK");
  ASSERT_TRUE(held.ok());
  EXPECT_TRUE(faults.hit().test(static_cast<std::size_t>(Call::kPwrite)));
  const auto refused = FileSystem::posix().lock_file(folder.path() + "/LOCK");
  ASSERT_FALSE(refused.ok());
  EXPECT_THAT(refused.error().message,
              ::testing::HasSubstr("process " + std::to_string(::getpid()) + ","));
}

class SyscallFault : public SyscallScript,
                     public ::testing::WithParamInterface<std::tuple<Fault, bool, std::uint64_t>> {
 protected:
  // One run of the script, hit as told; then the next opening.
  void check_run(Fault fault, std::uint64_t n, std::uint64_t period) {
    SyscallFaults& faults = SyscallFaults::instance();
    const TemporaryFolder folder(in_memory());
    const bool transparent = SyscallFaults::is_transparent(fault);
    ScriptRun run(script(), folder.path() + "/topic/bucket_3", [&faults, transparent] {
      return transparent ? 0 : faults.hits_except(may_fail_silently());
    });
    faults.watch(folder.path(), fault);
    faults.fail(n, period);
    run.run();
    const auto hit = faults.hit();
    faults.stop();
    SCOPED_TRACE("call " + std::to_string(n) + ", hit:" + to_string(hit));
    ASSERT_TRUE(hit.any());
    for (const Error& error : run.errors()) {
      EXPECT_EQ(error.code, ErrorCode::kIo) << error.message;
      EXPECT_THAT(error.message, ::testing::HasSubstr("errno"));
    }
    const bool told = !run.errors().empty() || run.flush_failures() > 0;
    if (transparent) {
      EXPECT_FALSE(told) << (run.errors().empty() ? "a flush failed" : run.errors()[0].message);
    } else if (!told) {
      EXPECT_TRUE((hit & ~may_fail_silently()).none()) << "an error was swallowed";
    }
    if (run.errors().empty()) {
      EXPECT_EQ(run.acknowledged(), run.submitted());
    }
    runs_ += 1;
    runs_that_told_ += told ? 1U : 0U;
    run.check_recovery();
  }

  std::uint64_t runs_ = 0;
  std::uint64_t runs_that_told_ = 0;
};

TEST_P(SyscallFault, AtEachCall) {
  const auto [fault, for_ever, shard] = GetParam();
  const std::uint64_t calls = count_calls(fault);
  ASSERT_GT(calls, 300U);
  if (SyscallFaults::is_transparent(fault)) {
    // Nothing ends the script early, so that one run tries a call in so many; or all of them, every second one at least.
    constexpr std::uint64_t period = 64;
    for (std::uint64_t n = shard; n < period && !HasFailure(); n += shards)
      check_run(fault, n, for_ever ? (fault == Fault::kInterrupted ? 2 : 1) : period);
  } else {
    constexpr std::uint64_t step = shards * (testing::sanitized ? 15 : 1);
    for (std::uint64_t n = shard; n < calls && !HasFailure(); n += step)
      check_run(fault, n, for_ever ? 1 : 0);
  }
  std::cout << calls << " calls, " << runs_ << " runs, of which " << runs_that_told_
            << " told of an error\n";
}

std::string name_of(const ::testing::TestParamInfo<std::tuple<Fault, bool, std::uint64_t>>& info) {
  return std::string(SyscallFaults::name_of(std::get<0>(info.param))) +
         (std::get<1>(info.param) ? "ForEver" : "Once") + std::to_string(std::get<2>(info.param));
}

INSTANTIATE_TEST_SUITE_P(All, SyscallFault,
                         ::testing::Combine(::testing::Values(Fault::kIoError, Fault::kNoSpace,
                                                              Fault::kFailedSync, Fault::kTornWrite,
                                                              Fault::kShortTransfer,
                                                              Fault::kInterrupted),
                                            ::testing::Bool(),
                                            ::testing::Range<std::uint64_t>(0, shards)),
                         name_of);

}  // namespace
}  // namespace persisting
