#include "support/bucket_lives.h"

#include <algorithm>
#include <string>

#include <gtest/gtest.h>

#include "support/records.h"

namespace persisting::testing {
namespace {

constexpr const char* folder = "/topic/bucket_3";

// Whether a reader's value is the one that was put: integers may have become doubles, absent fields read as None.
bool reads_as(const Value& put, const Value& read) {
  const auto* integer = put.get_if<std::int64_t>();
  const auto* real = read.get_if<double>();
  if (integer != nullptr && real != nullptr) return static_cast<double>(*integer) == *real;
  return put == read;
}

bool reads_as(const Struct& put, const Struct& read) {
  std::size_t found = 0;
  for (const auto& [name, value] : read) {
    const auto field = std::find_if(put.begin(), put.end(),
                                    [&name](const auto& each) { return each.first == name; });
    if (field == put.end()) {
      if (!value.is_null()) return false;
      continue;
    }
    ++found;
    if (!reads_as(field->second, value)) return false;
  }
  return found == put.size();
}

}  // namespace

BucketLives::BucketLives(std::mt19937_64& random, std::chrono::microseconds sync_interval,
                         Counts& counts)
    : random_(random), counts_(counts) {
  options_.backend = "persisting";
  options_.bucket_id = 3;
  options_.folder = folder;
  options_.has_table = true;
  options_.has_wal = true;
  options_.wal_sync_interval = sync_interval;
  options_.compression = static_cast<Compression>(below(4));
  options_.max_wal_bytes = 300 + below(6000);
  options_.flush.bytes = 1000 + below(20'000);
  options_.flush.interval = std::chrono::seconds(60);
  environment_.file_system = &disk_;
  environment_.executors = &executors_.executors;
  environment_.open_table = lance_.opener();
  environment_.now_us = [] { return std::int64_t{1000}; };
}

void BucketLives::run() {
  for (int life = 0; life < 5; ++life) {
    live();
    if (::testing::Test::HasFailure()) return;
  }
  ASSERT_TRUE(open());
  check();
  close();
  ASSERT_TRUE(open());
  check();
  close();
  for (const auto& [path, contents] : disk_.files())
    counts_.set_aside += path.find("/quarantine/") != std::string::npos ? 1U : 0U;
}

void BucketLives::live() {
  ++counts_.lives;
  if (below(2) == 0) disk_.stop_at(below(22));
  if (!open()) return die(true);
  if (!disk_.stopped()) disk_.stop_at(below(90));
  check();
  for (std::uint64_t steps = below(40); steps > 0 && !disk_.stopped(); --steps) operate();
  if (::testing::Test::HasFailure()) return;
  if (!disk_.stopped() && below(4) == 0) close();
  die(false);
}

// False: the disk stopped meanwhile, the only thing that may keep a bucket from opening.
bool BucketLives::open() {
  auto engine = BucketEngine::open(options_, environment_);
  if (!engine) {
    EXPECT_TRUE(disk_.stopped()) << engine.error().message;
    return false;
  }
  engine_ = std::move(engine).value();
  const std::uint64_t found = engine_->total_count();
  EXPECT_GE(found, expected_);
  EXPECT_LE(found, submitted_.size());
  // Readers see it from now on: it must stay.
  submitted_.resize(std::min<std::size_t>(found, submitted_.size()));
  expected_ = acknowledged_ = durable_ = submitted_.size();
  return true;
}

void BucketLives::operate() {
  switch (below(12)) {
    case 0:
      return flush();
    case 1:
      return check();
    case 2:
      return executors_.pass(std::chrono::seconds(below(100)));
    case 3:
      return below(4) == 0 ? compact() : check();
    case 4:
    case 5:
    case 6:
      for (std::uint64_t tasks = below(4); tasks > 0; --tasks) executors_.run_one(below(3));
      return;
    default:
      return put();
  }
}

Struct BucketLives::next_record() {
  const auto number = static_cast<std::int64_t>(submitted_.size());
  Struct record{{"number", number}, {"attempt", attempt_++}};
  // New fields come with time; one changes its type for good.
  for (std::uint64_t field = below(3); field > 0; --field)
    record.emplace_back(
        "field " + std::to_string(below(1 + submitted_.size() / 4)) + "." + std::to_string(field),
        std::string(below(200), 'x'));
  for (auto& [name, value] : record) std::replace(name.begin(), name.end(), '.', '-');
  std::sort(record.begin(), record.end(),
            [](const auto& a, const auto& b) { return a.first < b.first; });
  record.erase(std::unique(record.begin(), record.end(),
                           [](const auto& a, const auto& b) { return a.first == b.first; }),
               record.end());
  if (below(3) == 0) {
    widened_ = widened_ || below(20) == 0;
    record.emplace_back("wide",
                        widened_ ? Value(static_cast<double>(number) + 0.5) : Value(number));
  }
  return record;
}

void BucketLives::put() {
  const std::uint64_t first = submitted_.size();
  std::vector<Struct> rows;
  for (std::uint64_t count = below(3) == 0 ? 1 + below(5) : 1; count > 0; --count) {
    rows.push_back(next_record());
    submitted_.push_back(rows.back());
  }
  const std::uint64_t end = submitted_.size();
  engine_->put_batch_async(batch(rows), [this, first, end](const Result<std::uint64_t>& offset) {
    if (!offset) {
      EXPECT_EQ(offset.error().component, Component::kWal) << offset.error().message;
      EXPECT_TRUE(disk_.stopped()) << offset.error().message;
      return;
    }
    EXPECT_EQ(*offset, first);
    EXPECT_EQ(acknowledged_, first) << "acknowledgements come in order";
    counts_.records += end - first;
    acknowledged_ = end;
    if (options_.wal_sync_interval.count() == 0) durable_ = end;
  });
}

void BucketLives::flush() {
  const std::uint64_t end = acknowledged_;
  engine_->flush_async([this, end](const Status& status) {
    if (!status) {
      EXPECT_TRUE(disk_.stopped()) << status.error().message;
      return;
    }
    ++counts_.flushes;
    durable_ = std::max(durable_, end);
  });
}

void BucketLives::compact() {
  if (lance_.compact(std::string(folder) + "/data.lance")) ++counts_.compactions;
}

void BucketLives::close() {
  flush();
  executors_.run_all();
  if (engine_->shut_down()) durable_ = acknowledged_;
  engine_.reset();
  executors_.clear();
}

void BucketLives::die(bool in_recovery) {
  if (!disk_.stopped()) {
    disk_.stop_at(0);
    (void)disk_.create_folders("/end");  // nothing more happens, not even at the engine's own end
  }
  executors_.clear();
  if (engine_ != nullptr) (void)engine_->shut_down();
  engine_.reset();
  if (below(4) == 0) {
    disk_.restart();
    expected_ = acknowledged_;
    return;
  }
  disk_.cut(random_());
  ++counts_.power_cuts;
  if (in_recovery) ++counts_.power_cuts_in_recovery;
  expected_ = acknowledged_ = durable_;
}

// What every reader sees, at any time.
void BucketLives::check() {
  const auto records = engine_->get(UINT64_MAX, 0);
  if (!records && disk_.stopped()) return;
  ASSERT_TRUE(records.ok()) << records.error().message;
  ASSERT_GE(records->size(), std::max(expected_, acknowledged_));
  ASSERT_LE(records->size(), submitted_.size());
  for (std::size_t i = 0; i < records->size(); ++i) {
    ASSERT_TRUE(reads_as(submitted_[i], records->fields(i))) << "offset " << i;
  }
}

}  // namespace persisting::testing
