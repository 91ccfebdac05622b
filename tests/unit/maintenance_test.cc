// Maintenance of a bucket in the background over a simulated Lance: what it keeps, what goes on beside it, and what failures and
// crashes leave.
#include <chrono>
#include <functional>
#include <set>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/checkpoint.h"
#include "lance/lance_format.h"
#include "support/bucket_on_disk.h"

namespace persisting {
namespace {

using testing::Answer;
using testing::BucketOnDisk;
using ::testing::HasSubstr;
using ::testing::SizeIs;

using Rows = std::vector<Struct>;

class MaintenanceTest : public BucketOnDisk {
 protected:
  void SetUp() override {
    BucketOnDisk::SetUp();
    options_.maintenance.enabled = true;
    options_.maintenance.bytes_per_second = 0;
  }

  // A table whose files fail as those of the bucket do.
  TableOpener opener() override { return faulty_lance_.opener(); }

  // A bucket of its own for each round of a test.
  void open_another() {
    options_.folder = "/topic/round_" + std::to_string(rounds_++) + "/bucket_3";
    all_.clear();
    open();
  }

  // Each flush makes a fragment and a version.
  void fill(int flushes) {
    for (int i = 0; i < flushes; ++i) {
      const Rows rows{{{"id", next_}, {"text", "as put"}}};
      ++next_;
      put(rows);
      all_.insert(all_.end(), rows.begin(), rows.end());
      ASSERT_TRUE(flush().ok());
    }
  }
  // As fill(), but nothing runs beside the flushes.
  void fill_unmaintained(int flushes) {
    ASSERT_TRUE(engine_->pause_maintenance().ok());
    fill(flushes);
  }
  void flush_one_alone() { flush_alone({{"id", next_++}, {"text", "as put"}}); }
  void flush_alone(const Struct& row) {
    engine_->put_batch_async(testing::batch({row}), [](const auto&) {});
    while (executors_.commit.has_due()) executors_.commit.run_one();
    Answer<Status> answer;
    engine_->flush_async(answer.callback());
    while (executors_.flush.has_due()) executors_.flush.run_one();
    ASSERT_TRUE(answer.arrived());
    ASSERT_TRUE(answer.get().ok()) << answer.get().error().message;
    all_.push_back(row);
  }
  void resume() {
    ASSERT_TRUE(engine_->resume_maintenance().ok());
    executors_.run_all();
  }
  std::vector<std::string> files_in(const std::string& folder) const {
    std::vector<std::string> found;
    const std::string prefix = options_.folder + folder + "/";
    for (const auto& [path, contents] : disk_.files())
      if (path.starts_with(prefix)) found.push_back(path.substr(prefix.size()));
    return found;
  }
  std::size_t fragments() {
    const auto checkpoint = read_checkpoint(disk_, options_.folder);
    EXPECT_TRUE(checkpoint.ok() && checkpoint->has_value());
    // What it names is there, with the contents that it remembers.
    for (const TableFile& file : (*checkpoint)->table.files) {
      const auto digest = digest_file(disk_, options_.folder + "/data.lance/data/" + file.name);
      EXPECT_TRUE(digest.ok() && *digest == file.digest) << file.name;
    }
    return (*checkpoint)->table.files.size();
  }
  std::string state() { return *engine_->stats()->extra["maintenance"].get_if<std::string>(); }
  std::string error() {
    const Value found = engine_->stats()->extra["maintenance_error"];
    return found.is_null() ? "" : *found.get_if<std::string>();
  }
  double metric(const std::string& name) {
    const auto families = engine_->get_metrics();
    for (const MetricFamily& family : *families)
      if (family.name == "persisting_" + name) return family.samples.front().value;
    ADD_FAILURE() << "no metric " << name;
    return 0;
  }

  // Data files that no version names.
  std::vector<std::string> leftovers() {
    std::set<std::string> named;
    for (const std::string& name : files_in("/data.lance/_versions")) {
      const auto version = lance::version_of_manifest(name);
      if (!version) continue;
      const auto manifest = lance_.open(options_.folder + "/data.lance", *version);
      EXPECT_TRUE(manifest.ok()) << manifest.error().message;
      for (const auto& fragment : manifest->fragments) named.insert(fragment.file);
    }
    std::vector<std::string> others = files_in("/data.lance/data");
    std::erase_if(others, [&named](const std::string& name) { return named.contains(name); });
    return others;
  }

  testing::SimulatedLance faulty_lance_{files_};
  std::uint64_t rounds_ = 0;
  std::int64_t next_ = 0;
  Rows all_;
};

TEST_F(MaintenanceTest, FragmentsAndVersionsStayFew) {
  open();
  std::size_t most_fragments = 0;
  std::size_t most_versions = 0;
  for (int i = 0; i < 60; ++i) {
    fill(10);
    most_fragments = std::max(most_fragments, fragments());
    most_versions = std::max(most_versions, files_in("/data.lance/_versions").size());
  }
  EXPECT_LE(most_fragments, 8U * 4U);
  EXPECT_LE(most_versions, 10U + 100U + 1U);
  EXPECT_EQ(state(), "idle");
  EXPECT_GT(metric("maintenance_bytes_total"), 0);
  EXPECT_GT(metric("compaction_fragments_merged_total"), 500);
  EXPECT_GT(metric("compaction_versions_removed_total"), 500);
  for (const bool by_kill : {true, false}) {
    EXPECT_EQ(read(), all_);
    reopen(by_kill);
  }
  EXPECT_EQ(read(), all_);
}

TEST_F(MaintenanceTest, SwitchedOffItDoesNothing) {
  options_.maintenance.enabled = false;
  open();
  fill(120);
  EXPECT_EQ(fragments(), 120U);
  EXPECT_EQ(state(), "off");
  EXPECT_EQ(metric("maintenance_paused"), 1);
  resume();
  EXPECT_EQ(fragments(), 120U);
  EXPECT_EQ(state(), "off");
}

TEST_F(MaintenanceTest, FlushesDoNotWaitForWhatIsWritten) {
  open();
  fill_unmaintained(10);
  ASSERT_TRUE(engine_->resume_maintenance().ok());
  while (executors_.flush.has_due()) executors_.flush.run_one();  // begins
  ASSERT_TRUE(executors_.maintenance.has_due());
  flush_one_alone();
  executors_.maintenance.run_one();  // writes
  EXPECT_EQ(state(), "running");
  EXPECT_EQ(metric("maintenance_running"), 1);
  EXPECT_EQ(fragments(), 11U);
  flush_one_alone();  // and commits
  EXPECT_EQ(fragments(), 3U);
  EXPECT_EQ(read(), all_);
  executors_.run_all();
  EXPECT_EQ(state(), "idle");
  reopen(true);
  EXPECT_EQ(read(), all_);
}

TEST_F(MaintenanceTest, AMergeThatAChangeOvertakesIsGivenUp) {
  const std::vector<std::function<void()>> changes{
      [this] { ASSERT_TRUE(drop("text").ok()); },
      [this] { ASSERT_TRUE(rename("text", "words").ok()); },
      [this] {
        flush_alone({{"id", next_++}, {"text", "as put"}, {"added", 1}});
      },
      [this] {
        flush_alone({{"id", 0.5}, {"text", "as put"}});
      },  // writes every row anew
      [this] { ASSERT_TRUE(lance_.compact(options_.folder + "/data.lance").ok()); }};
  for (const auto& change : changes) {
    open_another();
    fill_unmaintained(10);
    ASSERT_TRUE(engine_->resume_maintenance().ok());
    while (executors_.flush.has_due()) executors_.flush.run_one();
    change();
    executors_.run_all();
    EXPECT_EQ(error(), "");
    EXPECT_GT(metric("maintenance_bytes_total"), 0);
    EXPECT_THAT(leftovers(), SizeIs(0));
    const Rows before = read();
    EXPECT_EQ(before.size(), engine_->total_count());
    reopen(true);
    EXPECT_EQ(read(), before);
    put({{{"id", next_++}}});
    ASSERT_TRUE(flush().ok());
    EXPECT_LE(fragments(), 4U);
    close();
  }
}

TEST_F(MaintenanceTest, WhatAnIndexCoversStays) {
  faulty_lance_.cover_by_index(5);
  open();
  fill(18);
  EXPECT_EQ(fragments(), 6U);
  EXPECT_EQ(read(), all_);
  faulty_lance_.cover_by_index(100);
  fill(16);
  EXPECT_EQ(fragments(), 22U);
  EXPECT_EQ(error(), "");
}

TEST_F(MaintenanceTest, RestsAfterWhatItWrote) {
  options_.maintenance.bytes_per_second = 1;
  open();
  fill_unmaintained(8);
  resume();
  EXPECT_EQ(fragments(), 1U);
  EXPECT_EQ(state(), "running");
  const auto bytes = static_cast<int>(metric("maintenance_bytes_total"));
  ASSERT_GT(bytes, 100);
  fill(10);
  EXPECT_EQ(fragments(), 11U);
  executors_.pass(std::chrono::seconds(bytes - 60));
  executors_.run_all();
  EXPECT_EQ(fragments(), 11U);
  executors_.pass(std::chrono::seconds(60));
  executors_.run_all();
  EXPECT_EQ(fragments(), 2U);
  EXPECT_EQ(read(), all_);
}

TEST_F(MaintenanceTest, PausedItBeginsNothing) {
  open();
  fill_unmaintained(150);
  EXPECT_EQ(fragments(), 150U);
  EXPECT_EQ(state(), "paused");
  EXPECT_EQ(metric("maintenance_paused"), 1);
  resume();
  EXPECT_EQ(state(), "idle");
  EXPECT_EQ(metric("maintenance_paused"), 0);
  EXPECT_EQ(fragments(), 1U);
  EXPECT_LE(files_in("/data.lance/_versions").size(), 12U);
  EXPECT_EQ(read(), all_);
}

TEST_F(MaintenanceTest, WhatIsUnderWayWhenItIsPausedEnds) {
  open();
  fill_unmaintained(10);
  ASSERT_TRUE(engine_->resume_maintenance().ok());
  while (executors_.flush.has_due()) executors_.flush.run_one();
  ASSERT_TRUE(engine_->pause_maintenance().ok());
  executors_.run_all();
  EXPECT_EQ(fragments(), 1U);
  EXPECT_EQ(state(), "paused");
  fill(10);
  EXPECT_EQ(fragments(), 11U);
}

TEST_F(MaintenanceTest, DeadLettersAreMaintainedToo) {
  options_.admission.on_conflict = ConflictPolicy::kDeadLetter;
  open();
  fill(1);
  for (int i = 0; i < 20; ++i) {
    put({{{"id", "no number"}}});
    ASSERT_TRUE(flush().ok());
  }
  const auto letters = read_checkpoint(disk_, options_.folder + "/dead_letters");
  EXPECT_LE((*letters)->table.files.size(), 6U);
  EXPECT_EQ(engine_->dead_letters()->get(UINT64_MAX, 0)->size(), 20U);
  ASSERT_TRUE(engine_->pause_maintenance().ok());
  EXPECT_EQ(*engine_->dead_letters()->stats()->extra["maintenance"].get_if<std::string>(),
            "paused");
}

TEST_F(MaintenanceTest, AVersionThatAReadNeedsStays) {
  options_.maintenance.versions_between = 4;
  options_.maintenance.versions_kept = 1;
  open();
  fill_unmaintained(10);
  Answer<Result<RecordBatch>> records;
  engine_->get_async(UINT64_MAX, 0, records.callback());
  const Rows before = all_;
  ASSERT_TRUE(engine_->resume_maintenance().ok());
  while (executors_.flush.has_due() || executors_.maintenance.has_due())
    executors_.flush.has_due() ? executors_.flush.run_one() : executors_.maintenance.run_one();
  for (int i = 0; i < 10; ++i) {
    flush_one_alone();
    while (executors_.maintenance.has_due()) executors_.maintenance.run_one();
  }
  EXPECT_FALSE(records.arrived());
  executors_.run_all();
  ASSERT_TRUE(records.get().ok()) << records.get().error().message;
  EXPECT_EQ(testing::all_fields(*records.get()), before);
}

TEST_F(MaintenanceTest, ShuttingDownLeavesNothingBehind) {
  open();
  fill_unmaintained(10);
  ASSERT_TRUE(engine_->resume_maintenance().ok());
  while (executors_.flush.has_due()) executors_.flush.run_one();
  executors_.maintenance.run_one();
  EXPECT_THAT(files_in("/data.lance/data"), SizeIs(11));
  ASSERT_TRUE(engine_->shut_down().ok());
  executors_.run_all();
  EXPECT_THAT(files_in("/data.lance/data"), SizeIs(10));
  EXPECT_EQ(engine_->pause_maintenance().error().code, ErrorCode::kClosed);
  EXPECT_EQ(engine_->resume_maintenance().error().code, ErrorCode::kClosed);
  engine_.reset();
  open();
  EXPECT_EQ(read(), all_);
}

// Each call on the file system fails once, or from there on until the disk is mended.
TEST_F(MaintenanceTest, NoFailureStopsFlushes) {
  options_.maintenance.versions_between = 6;
  options_.maintenance.versions_kept = 2;
  for (const bool for_ever : {false, true}) {
    std::uint64_t failures = 0;
    for (std::uint64_t call = 0;; ++call) {
      SCOPED_TRACE("call " + std::to_string(call) + (for_ever ? " and all later ones" : ""));
      open_another();
      fill_unmaintained(10);
      const std::uint64_t first = files_.calls();
      files_.fail(first + call, for_ever, testing::FaultyFileSystem::Fault::kError);
      resume();
      const bool done = files_.calls() <= first + call;
      files_.fail_none();
      const bool failed = !error().empty();
      failures += failed ? 1U : 0U;
      EXPECT_EQ(metric("compaction_failures_total"), failed ? 1 : 0);
      EXPECT_EQ(read(), all_);
      fill(1);  // at once
      EXPECT_EQ(read(), all_);
      EXPECT_EQ(state(), failed ? "running" : "idle");
      executors_.pass(std::chrono::seconds(1));
      executors_.run_all();
      EXPECT_EQ(error(), "");
      EXPECT_LE(fragments(), 3U);
      EXPECT_LE(files_in("/data.lance/_versions").size(), 9U);
      fill(3);
      for (const bool by_kill : {true, false}) {
        EXPECT_EQ(read(), all_);
        reopen(by_kill);
      }
      EXPECT_EQ(read(), all_);
      close();
      if (::testing::Test::HasFailure() || done) break;
    }
    EXPECT_GT(failures, 8U);
  }
}

TEST_F(MaintenanceTest, TriesAgainWithGrowingPauses) {
  options_.maintenance.versions_between = 1000;
  open();
  fill_unmaintained(10);
  files_.fail_calls("sync_file");
  ASSERT_TRUE(engine_->resume_maintenance().ok());
  std::uint64_t failures = 0;
  std::vector<std::uint64_t> seconds;
  for (std::uint64_t second = 0; second < 1000; ++second) {
    executors_.run_all();
    if (metric("compaction_failures_total") > static_cast<double>(failures)) {
      ++failures;
      seconds.push_back(second);
    }
    executors_.pass(std::chrono::seconds(1));
  }
  EXPECT_THAT(seconds, ::testing::ElementsAre(0, 1, 3, 7, 15, 31, 63, 127, 255, 511, 811));
  EXPECT_THAT(error(), HasSubstr("injected"));
  EXPECT_THAT(files_in("/data.lance/data"), SizeIs(10));
  files_.fail_calls("");
  executors_.pass(std::chrono::seconds(300));
  executors_.run_all();
  EXPECT_EQ(error(), "");
  EXPECT_EQ(fragments(), 1U);
}

// The version of a merge whose sync failed may be gone after a power cut: nothing may be built on it.
TEST_F(MaintenanceTest, AMergeThatCannotBeSyncedIsSetAside) {
  open();
  fill_unmaintained(10);
  ASSERT_TRUE(engine_->resume_maintenance().ok());
  while (executors_.flush.has_due()) executors_.flush.run_one();
  executors_.maintenance.run_one();
  files_.fail_calls("sync_folder _versions");
  while (executors_.flush.has_due()) executors_.flush.run_one();
  EXPECT_THAT(error(), HasSubstr("injected"));
  EXPECT_THAT(files_in("/quarantine"), SizeIs(1));
  EXPECT_FALSE(flush().ok() && engine_->stats()->buffer_count > 0);
  files_.fail_calls("");
  fill(1);
  EXPECT_EQ(fragments(), 11U);
  for (std::uint64_t seed = 0; seed < 3; ++seed) {
    disk_.stop_at(0);
    (void)disk_.create_folders("/end");
    executors_.clear();
    (void)engine_->shut_down();
    engine_.reset();
    disk_.cut(seed);
    open();
    EXPECT_EQ(read(), all_);
    fill(1);
  }
}

// The machine goes down after each number of calls on the disk.
TEST_F(MaintenanceTest, NoCrashLosesOrMovesARecord) {
  options_.maintenance.versions_between = 6;
  options_.maintenance.versions_kept = 2;
  std::uint64_t merged = 0;
  std::uint64_t unmerged = 0;
  for (std::uint64_t call = 0;; ++call) {
    SCOPED_TRACE("call " + std::to_string(call));
    open_another();
    fill_unmaintained(10);
    disk_.stop_at(call);
    resume();
    const bool done = !disk_.stopped();
    if (done) disk_.stop_at(0);
    (void)disk_.create_folders("/end");
    executors_.clear();
    (void)engine_->shut_down();
    engine_.reset();
    if (call % 3 == 0) {
      disk_.restart();
    } else {
      disk_.cut(call);
    }
    open();
    EXPECT_EQ(read(), all_);
    ++(fragments() < 10 ? merged : unmerged);
    fill(1);
    EXPECT_LE(fragments(), 3U);
    reopen(true);
    EXPECT_EQ(read(), all_);
    close();
    if (::testing::Test::HasFailure() || done) break;
  }
  EXPECT_GT(merged, 3U);
  EXPECT_GT(unmerged, 3U);
}

TEST_F(MaintenanceTest, OfABackendInMemoryThereIsNone) {
  options_.has_table = options_.has_wal = false;
  options_.folder.clear();
  options_.backend = "memory";
  open();
  for (const Status& refused : {engine_->pause_maintenance(), engine_->resume_maintenance()}) {
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(refused.error().code, ErrorCode::kUnsupported);
    EXPECT_THAT(refused.error().message, HasSubstr("memory"));
  }
  EXPECT_EQ(engine_->stats()->extra.count("maintenance"), 0U);
}

}  // namespace
}  // namespace persisting
