// Damage anywhere in a bucket is found by verify, and costs repair no more than it hit.
#include "engine/verify.h"

#include <algorithm>
#include <atomic>
#include <iostream>
#include <map>
#include <set>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "persisting/log.h"

#include "engine/bucket_engine.h"
#include "support/power_cut_file_system.h"
#include "support/records.h"
#include "support/simulated_lance.h"

namespace persisting {
namespace {

using ::testing::HasSubstr;
using testing::PowerCutFileSystem;
using testing::SimulatedLance;

class VerifyTest : public ::testing::Test {
 protected:
  // Two flushes, a field that came between them, and a log of several segments behind.
  void SetUp() override {
    set_log_sink({});
    EngineOptions options = this->options(folder_);
    options.max_wal_bytes = 600;
    options.topic.topic = "events";
    auto engine = open(options);
    put(*engine, 12, false);
    ASSERT_TRUE(engine->flush().ok());
    put(*engine, 12, true);
    ASSERT_TRUE(engine->flush().ok());
    put(*engine, 3, true);
    ASSERT_TRUE(engine->shut_down().ok());
    engine.reset();
    options.max_wal_bytes = 1 << 20;  // or every opening would flush
    engine = open(options);
    put(*engine, 9, true);
    ASSERT_TRUE(engine->shut_down().ok());
    files_ = disk_.files();
  }

  EngineOptions options(const std::string& folder) {
    EngineOptions options;
    options.backend = "persisting";
    options.bucket_id = 3;
    options.folder = folder;
    options.has_table = true;
    options.has_wal = true;
    return options;
  }

  std::shared_ptr<BucketEngine> open(const EngineOptions& options) {
    EngineEnvironment environment = default_environment();
    environment.file_system = &disk_;
    environment.open_table = lance_.opener();
    environment.now_us = [this] { return now_us_.load(); };
    auto engine = BucketEngine::open(options, environment);
    EXPECT_TRUE(engine.ok()) << engine.error().message;
    return std::move(engine).value();
  }

  void put(BucketEngine& engine, int count, bool with_text) {
    for (int i = 0; i < count; ++i) {
      Struct record{{"id", static_cast<std::int64_t>(records_.size())}};
      if (with_text) record.emplace_back("text", "text " + std::to_string(i));
      ASSERT_TRUE(engine.put_batch(testing::batch({record})).ok());
      if (!with_text) record.emplace_back("text", Value());
      records_.push_back(std::move(record));
      now_us_ += 1;
    }
  }

  Result<VerifyReport> verify() { return verify_bucket(disk_, lance_.format(), folder_); }

  void damage(const std::string& path, std::size_t byte) {
    std::string contents = files_.at(path);
    contents[byte] = static_cast<char>(contents[byte] ^ 0x20);
    disk_.set_file(path, contents);
  }
  void restore(const std::string& path) { disk_.set_file(path, files_.at(path)); }

  // The files that verify answers for.
  std::vector<std::string> covered() {
    std::vector<std::string> paths;
    const auto checkpoint = read_checkpoint(disk_, folder_);
    std::set<std::string> data;
    for (const TableFile& file : (*checkpoint)->table.files) data.insert(file.name);
    const auto table = lance_.format().inspect(folder_ + "/data.lance");
    const std::string head = *(*table)->manifest_path((*checkpoint)->table.version);
    for (const auto& [path, contents] : files_) {
      const std::string name = path.substr(path.rfind('/') + 1);
      if (name == "BUCKET" || name == "CHECKPOINT" || name.ends_with(".wal") || path == head ||
          data.contains(name))
        paths.push_back(path);
    }
    return paths;
  }

  const std::string folder_ = "/events/bucket_3";
  PowerCutFileSystem disk_;
  SimulatedLance lance_{disk_};
  std::vector<Struct> records_;
  std::atomic<std::int64_t> now_us_{1000};  // flushes ask too, in a thread of their own
  std::map<std::string, std::string> files_;
};

TEST_F(VerifyTest, AWholeBucketHasNoFindings) {
  const auto report = verify();
  ASSERT_TRUE(report.ok()) << report.error().message;
  EXPECT_TRUE(report->findings.empty()) << report->findings.front().message;
  EXPECT_EQ(report->records, records_.size());
  EXPECT_EQ(report->files, covered().size());
  EXPECT_EQ(disk_.files(), files_);
}

TEST_F(VerifyTest, EveryFlippedByteIsFoundInItsFile) {
  std::size_t flips = 0;
  std::size_t unnoticed = 0;
  for (const std::string& path : covered()) {
    for (std::size_t byte = 0; byte < files_.at(path).size(); ++byte, ++flips) {
      SCOPED_TRACE(path + " byte " + std::to_string(byte));
      damage(path, byte);
      const auto report = verify();
      ASSERT_TRUE(report.ok()) << report.error().message;
      const bool found = std::any_of(
          report->findings.begin(), report->findings.end(), [&](const Finding& finding) {
            return finding.file == path && (!finding.byte || *finding.byte <= byte);
          });
      // Nothing but the zeros between frames.
      if (!found && path.ends_with(".wal") && files_.at(path)[byte] == '\0') {
        ++unnoticed;
      } else {
        ASSERT_TRUE(found);
      }
      // A log that ends with the mark of a clean end has no unfinished writes before it.
      if (found && byte + 48 < files_.at(path).size()) {
        ASSERT_FALSE(report->is_whole());
      }
      restore(path);
    }
  }
  std::cout << flips << " flipped bytes, of these " << unnoticed << " between frames\n";
  EXPECT_GT(flips, 3000U);
  EXPECT_LT(unnoticed, 200U);
}

TEST_F(VerifyTest, MissingFilesAreNamed) {
  for (const std::string& path : covered()) {
    SCOPED_TRACE(path);
    ASSERT_TRUE(disk_.remove_file(path).ok());
    const auto report = verify();
    ASSERT_TRUE(report.ok()) << report.error().message;
    EXPECT_FALSE(report->is_whole() && !path.ends_with(".wal"));
    restore(path);
  }
}

TEST_F(VerifyTest, AFolderWithoutABucketIsRefused) {
  const auto report = verify_bucket(disk_, lance_.format(), "/events");
  ASSERT_FALSE(report.ok());
  EXPECT_EQ(report.error().code, ErrorCode::kInvalidArgument);
  EXPECT_THAT(report.error().message, HasSubstr("/events is no bucket"));
}

class RepairTest : public VerifyTest {
 protected:
  // Repairs, and checks that the new bucket has exactly what the report says.
  RepairReport repair() {
    const auto before = disk_.files();
    const auto report = repair_bucket(disk_, lance_.format(), folder_, into_);
    EXPECT_TRUE(report.ok()) << report.error().message;
    if (!report) return {};
    for (const auto& [path, contents] : before) EXPECT_EQ(disk_.files()[path], contents) << path;
    std::vector<Struct> expected;
    for (std::uint64_t offset = 0; offset < records_.size(); ++offset) {
      const bool lost =
          std::any_of(report->lost.begin(), report->lost.end(), [offset](const OffsetRange& range) {
            return offset >= range.first && offset < range.end;
          });
      if (!lost) expected.push_back(records_[offset]);
    }
    EXPECT_EQ(report->records, expected.size());
    auto engine = open(options(into_));
    const auto stored = engine->get(UINT64_MAX, 0);
    EXPECT_TRUE(stored.ok()) << stored.error().message;
    EXPECT_EQ(stored->size(), expected.size());
    for (std::size_t i = 0; i < std::min(stored->size(), expected.size()); ++i) {
      // A field that no saved record has is not there.
      for (const auto& [name, value] : stored->fields(i)) {
        const auto field = std::find_if(expected[i].begin(), expected[i].end(),
                                        [&](const auto& each) { return each.first == name; });
        EXPECT_TRUE(field != expected[i].end() && field->second == value) << "record " << i;
      }
    }
    EXPECT_TRUE(engine->shut_down().ok());
    for (const auto& [path, contents] : disk_.files()) {
      if (!path.starts_with(into_ + "/")) continue;
      EXPECT_TRUE(disk_.remove_file(path).ok());
    }
    disk_.forget_folder(into_);
    return *report;
  }

  const std::string into_ = "/repaired/bucket_3";
};

TEST_F(RepairTest, AWholeBucketIsCopiedWhole) {
  const RepairReport report = repair();
  EXPECT_TRUE(report.lost.empty());
  EXPECT_EQ(report.records, records_.size());
}

TEST_F(RepairTest, AFlippedByteCostsNoMoreThanItsFrameOrFile) {
  for (const std::string& path : covered()) {
    for (std::size_t byte = 0; byte < files_.at(path).size(); byte += 11) {
      SCOPED_TRACE(path + " byte " + std::to_string(byte));
      damage(path, byte);
      const RepairReport report = repair();
      std::uint64_t lost = 0;
      for (const OffsetRange& range : report.lost) lost += range.end - range.first;
      if (path.ends_with(".wal")) {
        EXPECT_LE(lost, 1U);
      } else if (path.ends_with(".lance")) {
        EXPECT_LE(lost, 6U);  // a file's rows
      } else if (path.ends_with(".manifest")) {
        EXPECT_LE(lost, 12U);  // the last flush's
      } else {
        EXPECT_EQ(lost, 0U);
      }
      restore(path);
      if (HasFailure()) return;
    }
  }
}

TEST_F(RepairTest, KeepsTheTimesAndTheTopic) {
  damage(folder_ + "/CHECKPOINT", 20);
  ASSERT_TRUE(repair_bucket(disk_, lance_.format(), folder_, into_).ok());
  const auto identity = read_identity(disk_, into_);
  ASSERT_TRUE(identity.ok());
  EXPECT_EQ((*identity)->bucket_id, 3U);
  EXPECT_EQ((*identity)->topic.topic, "events");
  auto table = lance_.format().inspect(into_ + "/data.lance");
  const std::uint64_t newest = (*table)->versions()->front();
  const auto manifest = lance_.open(into_ + "/data.lance", newest);
  const auto rows = lance_.read(into_ + "/data.lance", *manifest);
  ASSERT_TRUE(rows.ok());
  ASSERT_EQ(rows->size(), records_.size());
  for (std::size_t i = 0; i < rows->size(); ++i)
    EXPECT_EQ((*rows)[i].timestamp_us, 1000 + static_cast<std::int64_t>(i));
}

TEST_F(RepairTest, DoesNotOverwrite) {
  for (const std::string& taken : {into_, into_ + ".partial"}) {
    ASSERT_TRUE(disk_.create_folders(taken).ok());
    const auto report = repair_bucket(disk_, lance_.format(), folder_, into_);
    ASSERT_FALSE(report.ok());
    EXPECT_EQ(report.error().code, ErrorCode::kInvalidArgument);
    EXPECT_THAT(report.error().message, HasSubstr(taken + " is there already"));
    disk_.forget_folder(taken);
  }
}

}  // namespace
}  // namespace persisting
