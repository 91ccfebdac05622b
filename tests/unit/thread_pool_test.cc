#include "base/thread_pool.h"

#include <atomic>
#include <future>
#include <latch>
#include <memory>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include "persisting/log.h"

#include "base/fork_generation.h"

namespace persisting::testing {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using ::testing::ElementsAre;

TEST(ThreadPool, StartsTasksOfOneThreadInOrder) {
  std::vector<int> order;
  {
    ThreadPool executor("test", 1);
    for (int i = 0; i < 100; ++i) executor.submit([&order, i] { order.push_back(i); });
  }
  ASSERT_EQ(order.size(), 100u);
  EXPECT_TRUE(std::is_sorted(order.begin(), order.end()));
}

TEST(ThreadPool, RunsAsManyTasksAtOnceAsItHasThreads) {
  ThreadPool executor("test", 3);
  std::latch all_run(3);
  std::latch done(3);
  for (int i = 0; i < 3; ++i) {
    executor.submit([&] {
      all_run.arrive_and_wait();  // ends only where three threads are here
      done.count_down();
    });
  }
  done.wait();
}

TEST(ThreadPool, RunsATaskSubmittedByATask) {
  ThreadPool executor("test", 1);
  std::promise<void> inner;
  executor.submit([&] { executor.submit([&] { inner.set_value(); }); });
  inner.get_future().wait();
}

TEST(ThreadPool, ADelayedTaskStartsNoEarlierThanAsked) {
  ThreadPool executor("test", 2);
  std::promise<Executor::Clock::time_point> ran;
  const auto asked = Executor::Clock::now();
  executor.submit_after(milliseconds(20), [&] { ran.set_value(Executor::Clock::now()); });
  EXPECT_GE(ran.get_future().get() - asked, milliseconds(20));
}

TEST(ThreadPool, DelayedTasksStartInTheOrderOfTheirTimes) {
  ThreadPool executor("test", 1);
  std::vector<int> order;
  std::promise<void> last;
  executor.submit_after(milliseconds(30), [&] {
    order.push_back(3);
    last.set_value();
  });
  executor.submit_after(milliseconds(10), [&] { order.push_back(2); });
  executor.submit([&] { order.push_back(1); });
  last.get_future().wait();
  EXPECT_THAT(order, ElementsAre(1, 2, 3));
}

TEST(ThreadPool, AnEarlierDelayOvertakesALaterOneThatIsWaitedFor) {
  ThreadPool executor("test", 1);
  std::promise<void> early;
  executor.submit_after(hours(1), [] { FAIL(); });
  executor.submit_after(milliseconds(1), [&] { early.set_value(); });
  early.get_future().wait();
}

TEST(ThreadPool, TheDestructorRunsWhatIsDueAndDropsWhatIsDelayed) {
  std::atomic<int> due = 0;
  auto held = std::make_shared<int>(0);
  const std::weak_ptr<int> watched = held;
  {
    ThreadPool executor("test", 2);
    std::latch started(1);
    std::latch release(1);
    executor.submit([&] {
      started.count_down();
      release.wait();
    });
    started.wait();
    executor.submit_after(hours(1), [held] { FAIL(); });
    held.reset();
    for (int i = 0; i < 10; ++i) executor.submit([&due] { ++due; });
    release.count_down();
  }
  EXPECT_EQ(due, 10);
  EXPECT_TRUE(watched.expired()) << "what a dropped task holds is let go";
}

TEST(ThreadPool, StopRunsWhatIsDueDropsWhatIsDelayedAndALaterTaskStartsAgain) {
  ThreadPool executor("test", 2);
  std::atomic<int> ran = 0;
  executor.submit_after(hours(1), [] { FAIL(); });
  for (int i = 0; i < 10; ++i) executor.submit([&] { ++ran; });
  executor.stop();
  EXPECT_EQ(ran, 10);
  executor.stop();
  std::promise<void> again;
  executor.submit([&] { again.set_value(); });
  again.get_future().wait();
}

// Sets its promise when the thread ends that has touched it.
struct ThreadEnd {
  std::shared_ptr<std::promise<void>> ended;
  ~ThreadEnd() {
    if (ended != nullptr) ended->set_value();
  }
};
thread_local ThreadEnd thread_end;

TEST(ThreadPool, AThreadWithoutTasksEndsAndALaterTaskStartsAnother) {
  ThreadPool executor("test", 2, milliseconds(1));
  for (int i = 0; i < 3; ++i) {
    const auto ended = std::make_shared<std::promise<void>>();
    executor.submit([ended] { thread_end.ended = ended; });
    ended->get_future().wait();
  }
}

TEST(ThreadPool, OneIdleThreadStaysWhileATaskIsDelayed) {
  ThreadPool executor("test", 3, milliseconds(1));
  std::latch all_run(3);
  std::vector<std::shared_ptr<std::promise<void>>> ended;
  for (int i = 0; i < 3; ++i) {
    ended.push_back(std::make_shared<std::promise<void>>());
    executor.submit([&all_run, each = ended.back()] {
      thread_end.ended = each;
      all_run.arrive_and_wait();
    });
  }
  std::latch delayed(1);
  executor.submit_after(milliseconds(100), [&] { delayed.count_down(); });
  delayed.wait();
  for (const auto& each : ended) each->get_future().wait();  // afterwards it ends as well
}

TEST(ThreadPool, ThreadsThatEndLoseNoTask) {
  ThreadPool executor("test", 3, std::chrono::microseconds(1));
  std::atomic<int> run = 0;
  for (int round = 0; round < 2000; ++round) {
    std::latch done(2);
    executor.submit([&] { ++run, done.count_down(); });
    executor.submit_after(std::chrono::microseconds(round % 20), [&] { ++run, done.count_down(); });
    done.wait();
  }
  EXPECT_EQ(run, 4000);
}

TEST(ThreadPool, LetsGoOfATaskOnceItHasRun) {
  ThreadPool executor("test", 1);
  auto held = std::make_shared<int>(0);
  const std::weak_ptr<int> watched = held;
  executor.submit([held] {});
  held.reset();
  std::promise<bool> gone;
  executor.submit([&] { gone.set_value(watched.expired()); });
  EXPECT_TRUE(gone.get_future().get());
}

TEST(ThreadPool, TakesTasksFromManyThreads) {
  constexpr int threads = 8;
  constexpr int tasks = 500;
  std::atomic<int> ran = 0;
  {
    ThreadPool executor("test", 4);
    std::vector<std::thread> submitters;
    for (int i = 0; i < threads; ++i) {
      submitters.emplace_back([&] {
        for (int j = 0; j < tasks; ++j) executor.submit([&] { ++ran; });
      });
    }
    for (std::thread& submitter : submitters) submitter.join();
  }
  EXPECT_EQ(ran, threads * tasks);
}

TEST(Executors, AreTheSameForTheWholeProcess) {
  EXPECT_EQ(&Executors::instance(), &Executors::instance());
  std::promise<void> ran;
  Executors::instance().commit.submit([&] { ran.set_value(); });
  ran.get_future().wait();
}

TEST(Executors, AForkedChildHasItsOwn) {
  const Executors* const parents = &Executors::instance();
  const std::uint64_t generation = fork_generation();
  const pid_t child = ::fork();
  if (child == 0) {
    bool good = &Executors::instance() != parents && fork_generation() == generation + 1;
#ifndef __SANITIZE_THREAD__  // which allows no new thread in a child of a process with threads
    std::promise<void> ran;
    Executors::instance().commit.submit([&] { ran.set_value(); });
    ran.get_future().wait();
#endif
    ::_exit(good ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  EXPECT_EQ(fork_generation(), generation) << "the parent's does not change";
}

TEST(Log, GoesToTheSinkThatIsSet) {
  std::vector<std::string> messages;
  set_log_sink([&](const LogEvent& event) {
    EXPECT_EQ(event.level, LogLevel::kWarning);
    messages.push_back(event.message);
  });
  log(LogLevel::kWarning, "one");
  set_log_sink({});
  log(LogLevel::kWarning, "nobody hears this");
  EXPECT_THAT(messages, ElementsAre("one"));
}

}  // namespace
}  // namespace persisting::testing
