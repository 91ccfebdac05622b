// A view shows what the bucket's own get() shows, at any moment and beside a writer that goes on between any two of the view's
// steps, and changes nothing.
#include "engine/bucket_view.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <random>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/dry_run_file_system.h"
#include "engine/bucket_identity.h"
#include "engine/frame_records.h"
#include "support/arrow_tables.h"
#include "support/bucket_on_disk.h"
#include "support/interrupted_file_system.h"
#include "support/log_end.h"
#include "support/read_only_files.h"
#include "support/seeds.h"
#include "wal/recovery.h"

namespace persisting {
namespace {

using testing::all_fields;
using testing::arrow_of;
using testing::batch;
using testing::BucketOnDisk;
using ::testing::HasSubstr;
using testing::InterruptedFileSystem;
using testing::lines_of;
using testing::ReadOnlyFiles;
using testing::Rows;
using testing::SimulatedLance;
using testing::with_seeds;

std::string text_of(const std::vector<FieldDescription>& fields) {
  std::string text;
  for (const FieldDescription& field : fields) text += field.name + ":" + field.type + " ";
  return text;
}

class BucketViewTest : public BucketOnDisk {
 protected:
  void SetUp() override {
    BucketOnDisk::SetUp();
    options_.topic.topic = "events";
    options_.max_wal_bytes = 1 << 20;
    options_.admission.on_conflict = ConflictPolicy::kDeadLetter;
  }
  void TearDown() override {
    view_.reset();
    BucketOnDisk::TearDown();
  }

  std::shared_ptr<BucketView> view() {
    auto opened = open_view(reads_, seen_lance_.format(), options_.folder);
    EXPECT_TRUE(opened.ok()) << opened.error().message;
    return std::move(opened).value();
  }

  Struct next_record() { return {{"id", number_++}, {name_, "value " + std::to_string(number_)}}; }
  void put_some(std::size_t count) {
    std::vector<Struct> rows;
    for (std::size_t i = 0; i < count; ++i) rows.push_back(next_record());
    put(rows);
  }
  void put_arrow(std::size_t count) {
    std::vector<Struct> rows;
    for (std::size_t i = 0; i < count; ++i) rows.push_back(next_record());
    Rows arrow = arrow_of(rows);
    testing::Answer<Result<std::uint64_t>> answer;
    engine_->put_arrow_async(arrow.schema.get(), arrow.array.get(), answer.callback());
    executors_.run_all();
    ASSERT_TRUE(answer.get().ok()) << answer.get().error().message;
  }
  void rename_value() {
    const std::string name = "value " + std::to_string(++renames_);
    if ((*engine_->schema())->find(name_)) {
      ASSERT_TRUE(rename(name_, name).ok());
    }
    name_ = name;
  }

  void check_same() {
    const auto records = view_->get(UINT64_MAX, 0);
    ASSERT_TRUE(records.ok()) << records.error().message;
    ASSERT_EQ(all_fields(*records), read());
    const auto fields = view_->schema();
    ASSERT_TRUE(fields.ok());
    std::string expected;
    for (const SchemaField& field : (*engine_->schema())->fields())
      expected += field.name + ":" + persisting::describe(field.type) + " ";
    ASSERT_EQ(text_of(*fields), expected);
    const auto history = view_->schema_history();
    ASSERT_TRUE(history.ok());
    ASSERT_EQ(lines_of(*history), this->history());
    const auto engine_stats = engine_->stats();
    const auto stats = view_->stats();
    ASSERT_TRUE(stats.ok()) << stats.error().message;
    ASSERT_EQ(stats->total_count, engine_stats->total_count);
    ASSERT_EQ(stats->persisted_count, engine_stats->persisted_count);
    ASSERT_EQ(Value(static_cast<std::int64_t>(stats->buffer_bytes)),
              engine_stats->extra.at("buffer_bytes"));
    ASSERT_EQ(Value(static_cast<std::int64_t>(stats->dead_letters)),
              engine_stats->extra.at("dead_letters"));
  }

  // That at least `least` records are shown, all of them with their number and one other field.
  void check_one_form(std::size_t least) {
    const auto records = view_->get(UINT64_MAX, 0);
    ASSERT_TRUE(records.ok()) << records.error().message;
    ASSERT_GE(records->size(), least);
    const std::vector<Struct> shown = all_fields(*records);
    for (std::size_t i = 0; i < shown.size(); ++i) {
      ASSERT_EQ(shown[i].size(), 2U) << "forms are mixed at " << i;
      ASSERT_EQ(shown[i][0].second, Value(static_cast<std::int64_t>(i)));
      ASSERT_EQ(shown[i][1].first, shown[0][1].first);
      ASSERT_EQ(shown[i][1].second, Value("value " + std::to_string(i + 1)));
    }
  }

  void operate(std::mt19937_64& random) {
    switch (random() % 9) {
      case 0:
      case 1:
        return put_some(1 + random() % 3);
      case 2:
        return put_some(40);
      case 3:
        return put_arrow(1 + random() % 20);
      case 4:
        return put({{{"id", number_++}, {"new " + std::to_string(number_), 1.5}}});
      case 5:
        return rename_value();
      case 6:
        return put({{{"id", "no number"}}});  // a dead letter
      case 7:
        return reopen(random() % 2 == 0);
      default:
        ASSERT_TRUE(flush().ok());
    }
  }

  // A view in the same place sees the disk through its own Lance.
  InterruptedFileSystem reads_{disk_};
  SimulatedLance seen_lance_{reads_};
  std::shared_ptr<BucketView> view_;
  std::int64_t number_ = 0;
  int renames_ = 0;
  std::string name_ = "value";
};

TEST_F(BucketViewTest, ShowsWhatTheBucketShowsAtAnyMoment) {
  with_seeds(40, [this](std::mt19937_64& random) {
    options_.folder = "/topic/bucket_" + std::to_string(random());
    options_.max_wal_bytes = 500 + random() % 4000;
    options_.compression = static_cast<Compression>(random() % 4);
    open();
    view_ = view();
    for (int step = 0; step < 40 && !HasFatalFailure(); ++step) {
      operate(random);
      if (random() % 3 == 0) check_same();
      if (random() % 10 == 0) view_ = view();
    }
    if (!HasFatalFailure()) check_same();
    view_.reset();
    close();
  });
}

// Whatever the writer does between two steps of the view: what it shows is whole, of one form, and at least what was there
// before.
TEST_F(BucketViewTest, TheWriterMayGoOnBetweenAnyTwoSteps) {
  with_seeds(5, [this](std::mt19937_64& random) {
    options_.folder = "/topic/bucket_" + std::to_string(random());
    options_.max_wal_bytes = 500 + random() % 2000;
    options_.admission.on_conflict = ConflictPolicy::kReject;
    open();
    put_some(5);
    view_ = view();
    for (std::uint64_t step = 0; step < 40 && !HasFatalFailure(); ++step) {
      const std::size_t before = read().size();
      reads_.interrupt_at(step, [&] {
        for (std::uint64_t left = 1 + random() % 6; left > 0; --left) {
          switch (random() % 4) {
            case 0:
              rename_value();
              break;
            case 1:
              random() % 2 == 0 ? put_arrow(5) : put_some(10);
              break;
            default:
              ASSERT_TRUE(flush().ok());
              put_some(3);
          }
        }
      });
      check_one_form(before);
      if (!reads_.is_pending()) continue;
      reads_.interrupt_at(0, [] {});  // fewer steps than that
      ASSERT_TRUE(view_->total_count().ok());
    }
    number_ = 0;
    renames_ = 0;
    name_ = "value";
    view_.reset();
    close();
  });
}

// What the view has read ends where the change is made: the log goes on there, in the new form.
TEST_F(BucketViewTest, NoRecordIsReadUnderASchemaOlderThanItself) {
  open();
  put_some(5);
  view_ = view();
  for (std::uint64_t step = 0; step < 20 && !HasFatalFailure(); ++step) {
    const std::size_t before = read().size();
    reads_.interrupt_at(step, [this] {
      rename_value();
      put_some(1);
    });
    check_one_form(before);
    reads_.interrupt_at(0, [] {});
    check_one_form(read().size());
  }
}

TEST_F(BucketViewTest, ReadsAgainWhereTheVersionItReadsIsGone) {
  open();
  put_some(10);
  ASSERT_TRUE(flush().ok());
  view_ = view();
  const std::string table = options_.folder + "/data.lance";
  int interrupted = 0;
  for (std::uint64_t step = 0; step < 30; ++step) {
    reads_.interrupt_at(step, [&] {
      put_some(1);
      ASSERT_TRUE(lance_.compact(table).ok());
      ASSERT_TRUE(flush().ok());
      // As a clean-up leaves it: the newest version and its files.
      const auto checkpoint = read_checkpoint(disk_, options_.folder);
      std::vector<std::string> kept;
      for (const TableFile& file : (*checkpoint)->table.files) kept.push_back(file.name);
      for (const auto& [path, contents] : disk_.files()) {
        const std::string name = path.substr(path.rfind('/') + 1);
        if (path.starts_with(table + "/data/") && std::ranges::find(kept, name) == kept.end()) {
          ASSERT_TRUE(disk_.remove_file(path).ok());
        }
      }
      ++interrupted;
    });
    const auto records = view_->get(UINT64_MAX, 0);
    ASSERT_TRUE(records.ok()) << step << ": " << records.error().message;
    reads_.interrupt_at(0, [] {});
    ASSERT_GE(records->size(), 10U);
  }
  EXPECT_GT(interrupted, 3);
  check_same();
}

TEST_F(BucketViewTest, EveryPrefixOfTheLogGivesAPrefixOfTheRecords) {
  open();
  put_some(2);
  put_arrow(3);
  reopen(true);  // each opening begins a segment
  put_some(1);
  put_some(3);
  reopen(false);
  put_some(1);
  put_arrow(2);
  put_some(4);
  const std::vector<Struct> all = read();
  const auto files = disk_.files();
  const std::string log = options_.folder + "/wal/";
  std::vector<std::string> segments;
  for (const auto& [path, contents] : files)
    if (path.starts_with(log)) segments.push_back(path);
  ASSERT_EQ(segments.size(), 3U);
  std::size_t last_size = 0;
  for (std::size_t last = 0; last < segments.size(); ++last) {
    for (std::size_t cut = 0; cut <= files.at(segments[last]).size(); ++cut) {
      ReadOnlyFiles seen;
      for (const auto& [path, contents] : files)
        if (!path.starts_with(log)) seen.set(path, contents);
      for (std::size_t i = 0; i < last; ++i) seen.set(segments[i], files.at(segments[i]));
      seen.set(segments[last], files.at(segments[last]).substr(0, cut));
      SimulatedLance lance(seen);
      const auto opened = open_view(seen, lance.format(), options_.folder);
      ASSERT_TRUE(opened.ok()) << cut << ": " << opened.error().message;
      const auto records = (*opened)->get(UINT64_MAX, 0);
      ASSERT_TRUE(records.ok()) << cut << ": " << records.error().message;
      ASSERT_GE(records->size(), last_size);
      last_size = records->size();
      ASSERT_LE(last_size, all.size());
      ASSERT_TRUE(std::ranges::equal(all_fields(*records), std::span(all).first(last_size)));
      ASSERT_TRUE(seen.untouched());
    }
  }
  EXPECT_EQ(last_size, all.size());
}

// A view takes as damage what the bucket's opening does, and shows as much as that where it takes none.
TEST_F(BucketViewTest, DamageIsWhatOpeningSaysItIs) {
  open();
  for (int i = 0; i < 3; ++i) put_some(2);
  reopen(true);
  for (int i = 0; i < 3; ++i) put_some(2);
  const auto files = disk_.files();
  const auto identity = read_identity(disk_, options_.folder);
  int damaged = 0;
  int torn = 0;
  for (const auto& [damaged_path, contents] : files) {
    if (!damaged_path.starts_with(options_.folder + "/wal/")) continue;
    for (std::size_t byte = 0; byte < contents.size(); byte += 7) {
      ReadOnlyFiles seen;
      for (const auto& [path, whole] : files) seen.set(path, whole);
      std::string changed = contents;
      changed[byte] = static_cast<char>(changed[byte] ^ 0x10);
      seen.set(damaged_path, std::move(changed));

      WalOptions wal;
      wal.folder = options_.folder + "/wal";
      wal.bucket_identity = (*identity)->id;
      DryRunFileSystem dry_run(seen);
      const auto recovered =
          wal::recover_log(dry_run, wal, 0, [](const ReplayedFrame&) { return ok_status(); });
      SimulatedLance lance(seen);
      const auto opened = open_view(seen, lance.format(), options_.folder);
      ASSERT_EQ(opened.ok(), recovered.ok()) << damaged_path << " " << byte;
      ASSERT_TRUE(seen.untouched());
      if (opened) {
        ++torn;
        ASSERT_EQ(*(*opened)->total_count(), recovered->report.next_offset);
        continue;
      }
      ++damaged;
      ASSERT_EQ(opened.error().component, Component::kWal);
      ASSERT_THAT(opened.error().message, HasSubstr(".wal: byte "));
    }
  }
  EXPECT_GT(damaged, 10);
  EXPECT_GT(torn, 2);
}

TEST_F(BucketViewTest, RecordsThatWereTakenBackAreGone) {
  open();
  put_some(3);
  view_ = view();
  put_some(2);
  ASSERT_EQ(*view_->total_count(), 5U);
  // As a failed sync leaves it.
  for (const auto& [path, contents] : disk_.files())
    if (path.ends_with(".wal"))
      disk_.set_file(path, contents.substr(0, testing::log_end(contents) - 9));
  EXPECT_EQ(*view_->total_count(), 3U);
}

TEST_F(BucketViewTest, DeadLettersAndArrow) {
  open();
  put({{{"id", 1}}, {{"id", "no number"}}});
  view_ = view();
  EXPECT_EQ(view_->dead_letters(10, 0)->size(), 1U);
  put({{{"id", "none either"}}});
  EXPECT_EQ(view_->dead_letters(10, 0)->size(), 2U);
  EXPECT_EQ(view_->stats()->dead_letters, 2U);
  const auto stream = view_->get_arrow(10, 0);
  ASSERT_TRUE(stream.ok());
}

TEST_F(BucketViewTest, WhatIsNoBucketIsRefused) {
  disk_.set_file("/topic/notes.txt", "no bucket");
  const auto opened = open_view(reads_, seen_lance_.format(), "/topic");
  ASSERT_FALSE(opened.ok());
  EXPECT_EQ(opened.error().code, ErrorCode::kInvalidArgument);
  EXPECT_THAT(opened.error().message, HasSubstr("/topic is no bucket"));
}

TEST_F(BucketViewTest, AClosedViewSaysSo) {
  open();
  view_ = view();
  EXPECT_EQ(view_->name().topic, "events");
  EXPECT_EQ(view_->name().bucket_id, 3U);
  view_->close();
  view_->close();
  EXPECT_EQ(view_->get(1, 0).error().code, ErrorCode::kClosed);
  EXPECT_EQ(view_->wait_beyond(0, std::nullopt).error().code, ErrorCode::kClosed);
}

}  // namespace
}  // namespace persisting
