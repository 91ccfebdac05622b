#include "support/bucket_lives.h"

#include <algorithm>
#include <string>

#include <gtest/gtest.h>

#include "support/arrow_tables.h"

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

// The default of a field of that name: the number at its end.
Value attempt_of(const std::string& name) {
  return static_cast<std::int64_t>(std::stoll(name.substr(name.rfind(' '))));
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
  if (below(8) == 0) {
    // Long lives, with a flush for each put: there is something for the maintenance to merge.
    scale_ = 6;
    options_.flush.bytes = 1;
  }
  options_.flush.interval = std::chrono::seconds(60);
  options_.maintenance.enabled = below(4) != 0;
  options_.maintenance.bytes_per_second = 0;
  options_.maintenance.versions_between = 1 + below(12);
  options_.maintenance.versions_kept = 1 + below(4);
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
  if (!disk_.stopped()) disk_.stop_at(below(110 * scale_));
  check();
  for (std::uint64_t steps = below(40 * scale_); steps > 0 && !disk_.stopped(); --steps) operate();
  if (::testing::Test::HasFailure()) return;
  if (!disk_.stopped() && below(4) == 0) close();
  die(false);
}

// False: the disk stopped meanwhile, the only thing that may keep a bucket from opening.
bool BucketLives::open() {
  options_.declaration.defaults.clear();
  if (below(6) == 0) {
    const std::string name = "default " + std::to_string(attempt_++);
    tried_defaults_.insert(name);
    options_.declaration.defaults = {{name, attempt_of(name)}};
  }
  auto engine = BucketEngine::open(options_, environment_);
  if (!engine) {
    EXPECT_TRUE(disk_.stopped()) << engine.error().message;
    return false;
  }
  engine_ = std::move(engine).value();
  const std::uint64_t found = engine_->total_count();
  EXPECT_GE(found, expected_);
  EXPECT_LE(found, submitted_.size());
  adopt_schema();
  // Readers see it from now on: it must stay.
  submitted_.resize(std::min<std::size_t>(found, submitted_.size()));
  expected_ = acknowledged_ = durable_ = submitted_.size();
  return true;
}

void BucketLives::operate() {
  switch (below(13)) {
    case 0:
      return flush();
    case 12:
      return alter();
    case 1:
      return check();
    case 2:
      return executors_.pass(std::chrono::seconds(below(100)));
    case 3:
      if (below(scale_) != 0) return check();
      return below(4) == 0 ? compact_by_another() : below(2) == 0 ? compact() : check();
    case 4:
    case 5:
    case 6:
      for (std::uint64_t tasks = below(4); tasks > 0; --tasks) executors_.run_one(below(4));
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
  const auto done = [this, first, end](const Result<std::uint64_t>& offset) {
    if (!offset) {
      // It may have waited for a change of the schema until the end.
      EXPECT_TRUE(offset.error().component == Component::kWal ||
                  offset.error().code == ErrorCode::kClosed)
          << offset.error().message;
      EXPECT_TRUE(disk_.stopped()) << offset.error().message;
      return;
    }
    EXPECT_EQ(*offset, first);
    EXPECT_EQ(acknowledged_, first) << "acknowledgements come in order";
    counts_.records += end - first;
    acknowledged_ = end;
    if (options_.wal_sync_interval.count() == 0) durable_ = end;
  };
  if (below(4) == 0) return put_arrow(rows, done);
  RecordBatch records = batch(rows);
  if (rows.size() == 1) {
    if (const auto offset = engine_->try_put(records[0])) return done(*offset);
  }
  engine_->put_batch_async(std::move(records), done);
}

void BucketLives::put_arrow(const std::vector<Struct>& rows, const PutCallback& done) {
  Rows arrow = arrow_of(rows);
  engine_->put_arrow_async(arrow.schema.get(), arrow.array.get(), done);
}

// Drops or renames a field that some record has; one at a time, so that what a crash leaves of it can be told.
void BucketLives::alter() {
  if (unanswered_ || submitted_.empty()) return;
  std::vector<std::string> names;
  for (const auto& [name, value] : submitted_[below(submitted_.size())])
    if (name != "number" && name != "attempt") names.push_back(name);
  if (names.empty()) return;
  const std::string name = names[below(names.size())];
  unanswered_ = {name, {}, submitted_.size()};
  if (below(2) == 0) unanswered_->to = "renamed " + std::to_string(attempt_++);
  const auto done = [this](const Status& status) {
    if (!status) {
      EXPECT_TRUE(disk_.stopped()) << status.error().message;
      return;
    }
    EXPECT_GE(acknowledged_, unanswered_->at);
    durable_ = std::max(durable_, unanswered_->at);
    ++counts_.alterations;
    alter_model();
  };
  if (unanswered_->to.empty()) {
    engine_->drop_field_async(name, done);
  } else {
    engine_->rename_field_async(name, unanswered_->to, done);
  }
}

void BucketLives::alter_model() {
  for (std::size_t i = 0; i < std::min<std::size_t>(unanswered_->at, submitted_.size()); ++i) {
    if (unanswered_->to.empty()) {
      std::erase_if(submitted_[i],
                    [this](const auto& field) { return field.first == unanswered_->from; });
    }
    for (auto& [name, value] : submitted_[i])
      if (name == unanswered_->from) name = unanswered_->to;
  }
  unanswered_.reset();
  ++alterations_;
}

// What opening says of the changes that nobody heard of.
void BucketLives::adopt_schema() {
  const SchemaPtr schema = engine_->schema().value();
  const auto done = static_cast<std::uint64_t>(
      std::count_if(schema->history().begin(), schema->history().end(), [](const auto& change) {
        return change.kind == SchemaChange::Kind::kDropped ||
               change.kind == SchemaChange::Kind::kRenamed;
      }));
  if (unanswered_ && done > alterations_) {
    EXPECT_GE(engine_->total_count(), unanswered_->at);
    ++counts_.kept_alterations;
    alter_model();
  }
  unanswered_.reset();
  EXPECT_EQ(done, alterations_);
  for (const auto& [name, value] : options_.declaration.defaults) EXPECT_TRUE(schema->find(name));
  for (const std::string& name : tried_defaults_) {
    if (!schema->find(name)) continue;
    ++counts_.defaults;
    defaults_[name] = attempt_of(name);
  }
  tried_defaults_.clear();
}

void BucketLives::check_record(const Struct& put, const Struct& read) const {
  std::size_t found = 0;
  for (const auto& [name, value] : read) {
    const auto is_it = [&name](const auto& each) { return each.first == name; };
    const auto field = std::find_if(put.begin(), put.end(), is_it);
    if (field != put.end()) {
      ++found;
      ASSERT_TRUE(reads_as(field->second, value)) << name;
    } else if (const auto held = defaults_.find(name); held != defaults_.end()) {
      ++found;
      ASSERT_TRUE(held->second == value) << name;
    } else {
      ASSERT_TRUE(value.is_null()) << name;
    }
  }
  ASSERT_EQ(found, put.size() + defaults_.size());
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
  const std::uint64_t end = acknowledged_;
  CompactionOptions options;
  options.target_rows_per_fragment = 1 + below(20);
  engine_->compact_async(options, [this, end](const Result<CompactionReport>& report) {
    // Another program's version may be in the way.
    if (!report) return;
    ++counts_.compactions;
    durable_ = std::max(durable_, end);
  });
}

void BucketLives::compact_by_another() {
  if (lance_.compact(std::string(folder) + "/data.lance")) ++counts_.foreign_compactions;
}

void BucketLives::close() {
  flush();
  executors_.run_all();
  count_maintenance();
  if (engine_->shut_down()) durable_ = acknowledged_;
  engine_.reset();
  executors_.clear();
}

void BucketLives::count_maintenance() {
  if (engine_ == nullptr) return;
  const auto families = engine_->get_metrics();
  for (const MetricFamily& family : *families) {
    if (family.name == "persisting_maintenance_bytes_total" && family.samples.front().value > 0)
      ++counts_.maintained;
  }
}

void BucketLives::die(bool in_recovery) {
  if (!disk_.stopped()) {
    disk_.stop_at(0);
    (void)disk_.create_folders("/end");  // nothing more happens, not even at the engine's own end
  }
  executors_.clear();
  count_maintenance();
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
    check_record(submitted_[i], records->fields(i));
    ASSERT_FALSE(::testing::Test::HasFatalFailure()) << "offset " << i;
  }
}

}  // namespace persisting::testing
