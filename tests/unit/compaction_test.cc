// Compaction of a bucket over a simulated Lance: what it keeps, what waits, and what a failure leaves.
#include <algorithm>
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
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;
using ::testing::SizeIs;

using Rows = std::vector<Struct>;
using Report = Result<CompactionReport>;

class CompactionTest : public BucketOnDisk {
 protected:
  // Several fragments, each flush a version.
  void fill(int flushes, int records = 3) {
    for (int i = 0; i < flushes; ++i) {
      Rows rows;
      for (int r = 0; r < records; ++r) rows.push_back({{"id", next_++}, {"text", "as put"}});
      put(rows);
      ASSERT_TRUE(flush().ok());
      all_.insert(all_.end(), rows.begin(), rows.end());
    }
  }
  Report compact(CompactionOptions options = {}) {
    Answer<Report> answer;
    engine_->compact_async(std::move(options), answer.callback());
    executors_.run_all();
    return answer.get();
  }
  std::vector<std::string> files_in(const std::string& folder) const {
    std::vector<std::string> found;
    const std::string prefix = options_.folder + "/data.lance" + folder + "/";
    for (const auto& [path, contents] : disk_.files())
      if (path.starts_with(prefix)) found.push_back(path.substr(prefix.size()));
    return found;
  }
  // The checkpoint names files that are there, with the contents that it remembers.
  void check_checkpoint() {
    const auto checkpoint = read_checkpoint(disk_, options_.folder);
    ASSERT_TRUE(checkpoint.ok() && checkpoint->has_value());
    for (const TableFile& file : (*checkpoint)->table.files) {
      const auto digest = digest_file(disk_, options_.folder + "/data.lance/data/" + file.name);
      ASSERT_TRUE(digest.ok()) << digest.error().message;
      EXPECT_EQ(*digest, file.digest);
    }
  }

  std::int64_t next_ = 0;
  Rows all_;
};

TEST_F(CompactionTest, MergesFragmentsAndRemovesVersions) {
  open();
  fill(5);
  const Report report = compact();
  ASSERT_TRUE(report.ok()) << report.error().message;
  EXPECT_EQ(report->fragments_before, 5U);
  EXPECT_EQ(report->fragments_after, 1U);
  EXPECT_EQ(report->versions_removed, 6U);  // one of them reserved the fragment's number
  EXPECT_GT(report->bytes_removed, 0U);
  EXPECT_THAT(files_in("/_versions"), SizeIs(1));
  EXPECT_THAT(files_in("/data"), SizeIs(1));
  check_checkpoint();
  for (const bool by_kill : {true, false}) {
    EXPECT_EQ(read(), all_);
    reopen(by_kill);
  }
  fill(2);
  EXPECT_EQ(compact()->fragments_after, 1U);
  EXPECT_EQ(read(), all_);
}

TEST_F(CompactionTest, TheOrderOfRowsStaysBehindLargeFragments) {
  open();
  fill(1, 3);
  fill(1, 60);  // two fragments of 30
  fill(4, 2);
  CompactionOptions options;
  options.target_rows_per_fragment = 25;
  std::vector<std::pair<std::uint64_t, std::uint64_t>> seen;
  options.progress = [&seen](std::uint64_t done, std::uint64_t total) {
    seen.emplace_back(done, total);
  };
  const Report report = compact(options);
  ASSERT_TRUE(report.ok()) << report.error().message;
  EXPECT_EQ(report->fragments_before, 7U);
  EXPECT_EQ(report->fragments_after, 3U);
  EXPECT_THAT(seen, ElementsAre(Pair(0, 7), Pair(2, 7), Pair(4, 7), Pair(7, 7)));
  EXPECT_EQ(read(), all_);
  reopen(true);
  EXPECT_EQ(read(), all_);
}

TEST_F(CompactionTest, FlushesFirst) {
  open();
  put({{{"id", 0}}});
  Answer<Report> answer;
  engine_->compact_async({}, answer.callback());
  put({{{"id", 1}}});
  executors_.run_all();
  ASSERT_TRUE(answer.get().ok());
  EXPECT_EQ(engine_->stats()->persisted_count, 2U);
  EXPECT_EQ(read(), (Rows{{{"id", 0}}, {{"id", 1}}}));
}

TEST_F(CompactionTest, AnEmptyBucketHasNothingToMerge) {
  open();
  const Report report = compact();
  ASSERT_TRUE(report.ok()) << report.error().message;
  EXPECT_EQ(report->fragments_before + report->fragments_after + report->versions_removed, 0U);
}

TEST_F(CompactionTest, OldVersionsGoAlsoWhereNothingIsToBeMerged) {
  open();
  fill(1);
  put({{{"id", next_}, {"new", 1}}});
  ASSERT_TRUE(flush().ok());
  CompactionOptions options;
  options.target_rows_per_fragment = 1;
  const Report report = compact(options);
  ASSERT_TRUE(report.ok());
  EXPECT_EQ(report->fragments_after, 2U);
  EXPECT_EQ(report->versions_removed, 2U);  // of the first flush, and of the column
}

TEST_F(CompactionTest, AVersionThatAReadNeedsStays) {
  open();
  fill(4);
  Answer<Result<RecordBatch>> records;
  // The read takes its snapshot now, and reads when its executor gets to it.
  engine_->get_async(UINT64_MAX, 0, records.callback());
  Answer<Report> answer;
  engine_->compact_async({}, answer.callback());
  while (executors_.flush.has_due()) executors_.flush.run_one();
  ASSERT_TRUE(answer.get().ok()) << answer.get().error().message;
  EXPECT_EQ(answer.get()->versions_removed, 4U);  // three flushes, and the reserved number
  EXPECT_FALSE(records.arrived());
  executors_.run_all();
  ASSERT_TRUE(records.get().ok()) << records.get().error().message;
  EXPECT_EQ(testing::all_fields(*records.get()), all_);
  EXPECT_EQ(compact()->versions_removed, 1U);
  EXPECT_THAT(files_in("/data"), SizeIs(1));
}

TEST_F(CompactionTest, AfterAFailedCheckpointNothingIsRemoved) {
  open();
  fill(3);
  const auto before = files_in("/data");
  files_.fail_calls("rename");
  const Report failed = compact();
  files_.fail_calls("");
  ASSERT_FALSE(failed.ok());
  for (const std::string& file : before) EXPECT_THAT(files_in("/data"), ::testing::Contains(file));
  EXPECT_EQ(read(), all_);
  // Also not by the next one, before it has written the checkpoint.
  files_.fail_calls("rename");
  EXPECT_FALSE(compact().ok());
  files_.fail_calls("");
  for (const std::string& file : before) EXPECT_THAT(files_in("/data"), ::testing::Contains(file));
  reopen(true);
  EXPECT_EQ(read(), all_);
  ASSERT_TRUE(compact().ok());
  EXPECT_THAT(files_in("/data"), SizeIs(1));
}

TEST_F(CompactionTest, OneThatEndsEarlyLeavesNoFiles) {
  open();
  fill(6);
  close();
  const auto checkpoint = read_checkpoint(disk_, options_.folder).value();
  auto table =
      lance_.opener()(options_.folder + "/data.lance", checkpoint->table, NewerVersions::kAccept)
          .value();
  const auto before = files_in("");
  TableCompaction compaction;
  compaction.target_rows = 6;
  compaction.progress = [](std::uint64_t done, std::uint64_t) -> Status {
    if (done < 4) return ok_status();
    return make_error(ErrorCode::kClosed, "enough");
  };
  EXPECT_EQ(table->compact(compaction).error().message, "enough");
  EXPECT_EQ(files_in(""), before);
  compaction.progress = nullptr;
  EXPECT_EQ(table->compact(compaction)->after, 3U);
}

TEST_F(CompactionTest, AMergeThatFailsChangesNothing) {
  open();
  fill(6);
  CompactionOptions options;
  options.target_rows_per_fragment = 6;  // three merges
  options.progress = [this](std::uint64_t done, std::uint64_t) {
    if (done == 4) disk_.stop_at(0);
  };
  const Report failed = compact(options);
  disk_.restart();
  ASSERT_FALSE(failed.ok());
  EXPECT_EQ(read(), all_);
  reopen(true);
  EXPECT_EQ(read(), all_);
  options.progress = nullptr;
  EXPECT_EQ(compact(options)->fragments_after, 3U);
  EXPECT_EQ(read(), all_);
}

TEST_F(CompactionTest, ShuttingDownEndsItBetweenMerges) {
  open();
  fill(6);
  const auto before = files_in("/data");
  CompactionOptions options;
  options.target_rows_per_fragment = 6;
  Answer<Report> first;
  Answer<Report> second;
  Status later = ok_status();
  engine_->compact_async(options, first.callback());
  engine_->compact_async({}, second.callback());
  ASSERT_TRUE(engine_->shut_down().ok());
  executors_.run_all();
  for (const auto* answer : {&first, &second}) {
    ASSERT_FALSE(answer->get().ok());
    EXPECT_EQ(answer->get().error().code, ErrorCode::kClosed);
  }
  EXPECT_EQ(files_in("/data"), before);
  Answer<Report> closed;
  engine_->compact_async({}, closed.callback());
  EXPECT_EQ(closed.get().error().code, ErrorCode::kClosed);
  engine_.reset();
  open();
  EXPECT_EQ(read(), all_);
}

TEST_F(CompactionTest, AFailedFlushFailsIt) {
  open();
  put({{{"id", 0}}});
  files_.fail_calls("rename");
  const Report failed = compact();
  files_.fail_calls("");
  ASSERT_FALSE(failed.ok());
  EXPECT_TRUE(compact().ok());
  EXPECT_EQ(read(), (Rows{{{"id", 0}}}));
}

TEST_F(CompactionTest, GoesWithChangesOfTheSchema) {
  open();
  fill(3);
  put({{{"id", next_++}, {"text", "as put"}, {"new", 1}}});
  Answer<Report> answer;
  engine_->compact_async({}, answer.callback());
  ASSERT_TRUE(drop("text").ok());
  ASSERT_TRUE(answer.get().ok());
  ASSERT_TRUE(rename("new", "newer").ok());
  ASSERT_TRUE(compact().ok());
  Rows expected;
  for (std::int64_t id = 0; id < 9; ++id) expected.push_back({{"id", id}, {"newer", Null{}}});
  expected.push_back({{"id", 9}, {"newer", 1}});
  for (const bool by_kill : {true, false}) {
    EXPECT_EQ(read(), expected);
    reopen(by_kill);
  }
  check_checkpoint();
}

TEST_F(CompactionTest, AVersionWithItsFilesInAnotherOrderIsRefused) {
  persisting_lance_engine engine = lance_.engine();
  // As Lance's own planner would: only the small fragments, which then stand last.
  engine.commit_merged = [](void* context, persisting_lance_dataset* dataset,
                            persisting_lance_fragments* const* merged, size_t count,
                            persisting_lance_dataset** compacted, char** error) {
    const auto& lance = *static_cast<testing::SimulatedLance*>(context);
    std::vector<persisting_lance_fragments*> turned(merged, merged + count);
    std::reverse(turned.begin(), turned.end());
    return lance.engine().commit_merged(context, dataset, turned.data(), count, compacted, error);
  };
  open();
  fill(4);
  close();
  const auto checkpoint = read_checkpoint(disk_, options_.folder).value();
  auto table = lance::make_table_format(disk_, engine)
                   .open(options_.folder + "/data.lance", checkpoint->table, NewerVersions::kAccept)
                   .value();
  TableCompaction compaction;
  compaction.target_rows = 6;
  const auto compacted = table->compact(compaction);
  ASSERT_FALSE(compacted.ok());
  EXPECT_THAT(compacted.error().message, HasSubstr("order"));
  EXPECT_EQ(table->version(), checkpoint->table);
  EXPECT_FALSE(table->remove_old_versions(1).ok());
}

TEST_F(CompactionTest, ATornOldManifestDoesNotStopTheRemoval) {
  open();
  fill(3);
  const std::string versions = options_.folder + "/data.lance/_versions/";
  disk_.set_file(versions + files_in("/_versions").back(), "torn");
  const Report report = compact();
  ASSERT_TRUE(report.ok()) << report.error().message;
  EXPECT_THAT(files_in("/_versions"), SizeIs(1));
  EXPECT_THAT(files_in("/data"), SizeIs(1));
  EXPECT_EQ(read(), all_);
}

TEST_F(CompactionTest, AnotherProgramsVersionIsTakenOver) {
  open();
  fill(3);
  ASSERT_TRUE(lance_.compact(options_.folder + "/data.lance").ok());
  EXPECT_EQ(compact()->fragments_before, 1U);
  fill(1);
  EXPECT_EQ(read(), all_);
  check_checkpoint();
}

TEST_F(CompactionTest, DeadLettersAreCompactedToo) {
  options_.admission.on_conflict = ConflictPolicy::kDeadLetter;
  open();
  fill(2);
  for (int i = 0; i < 3; ++i) {
    put({{{"id", "no number"}}});
    ASSERT_TRUE(flush().ok());
  }
  const Report report = compact();
  ASSERT_TRUE(report.ok()) << report.error().message;
  EXPECT_EQ(report->fragments_before, 5U);
  EXPECT_EQ(report->fragments_after, 2U);
  EXPECT_EQ(engine_->dead_letters()->get(UINT64_MAX, 0)->size(), 3U);
  EXPECT_EQ(read(), all_);
}

TEST_F(CompactionTest, WhatCannotBeIsRefused) {
  open();
  CompactionOptions options;
  options.target_rows_per_fragment = 0;
  EXPECT_THAT(compact(options).error().message, HasSubstr("target_rows_per_fragment"));
  close();
  options_.has_table = options_.has_wal = false;
  options_.folder.clear();
  options_.backend = "memory";
  open();
  const Report refused = compact();
  EXPECT_EQ(refused.error().code, ErrorCode::kUnsupported);
  EXPECT_THAT(refused.error().message, HasSubstr("memory"));
}

}  // namespace
}  // namespace persisting
