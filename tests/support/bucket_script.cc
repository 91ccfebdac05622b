#include "support/bucket_script.h"

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <random>
#include <utility>

#include <gtest/gtest.h>

#include "schema/admission.h"
#include "schema/normalizer.h"
#include "support/records.h"

namespace persisting::testing {
namespace {

// Never full: no flush begins by itself.
constexpr std::uint64_t large_log = 1 << 20;
// Full after two puts or so.
constexpr std::uint64_t small_segments = 600;
constexpr int puts_during_a_flush = 5;

Struct make_record(std::mt19937_64& random, std::int64_t number, std::size_t batch) {
  Struct fields{{"number", number}};
  const auto some = [&random] { return random() % 3 != 0; };
  const std::size_t longest = random() % 8 == 0 ? 500 : 40;
  if (some()) fields.emplace_back("text", std::string(random() % longest, 'x'));
  if (batch > 10 && some()) fields.emplace_back("score", static_cast<std::int64_t>(random() % 9));
  if (batch > 40 && some()) {
    std::erase_if(fields, [](const auto& field) { return field.first == "score"; });
    fields.emplace_back("score", 0.25 * static_cast<double>(random() % 9));
  }
  if (batch > 20 && some()) fields.emplace_back("tags", List{"a", std::to_string(random() % 9)});
  if (batch > 30 && some()) {
    Struct inner{{"a", true}};
    if (batch > 50) inner.emplace_back("b", "grün");
    fields.emplace_back("inner", inner);
  }
  return fields;
}

RecordBatch normalized(const Schema& schema, const RecordBatch& records) {
  RecordBatch out;
  for (std::size_t i = 0; i < records.size(); ++i) normalize(schema, records[i], &out);
  return out;
}

}  // namespace

Script Script::make(std::uint64_t seed, std::size_t steps) {
  using Kind = ScriptStep::Kind;
  std::mt19937_64 random(seed);
  Script script;
  script.schemas.push_back(empty_schema());
  std::int64_t number = 0;
  const auto add_batches = [&](std::size_t count) {
    for (; count > 0; --count) {
      RecordBatch batch;
      for (std::uint64_t left = random() % 8 == 0 ? 3 : 1; left > 0; --left)
        batch.add(record(make_record(random, number++, script.batches.size())));
      Result<SchemaPtr> schema = admit(script.schemas.back(), batch, 0);
      EXPECT_TRUE(schema.ok());
      script.schemas.push_back(std::move(schema).value());
      script.batches.push_back(std::move(batch));
    }
  };
  while (script.steps.size() < steps) {
    ScriptStep step;
    const std::uint64_t choice = random() % 100;
    if (script.steps.size() % 120 == 100) {
      step.kind = Kind::kPutsDuringAFlush;
      add_batches(1 + puts_during_a_flush);
    } else if (choice < 80) {
      add_batches(1);
    } else if (choice < 84) {
      step.kind = Kind::kRefusedPut;
    } else if (choice < 93) {
      step.kind = Kind::kGet;
      step.limit = random() % 4;
      step.offset = random();
    } else if (choice < 98) {
      step.kind = Kind::kFlush;
    } else {
      step.kind = Kind::kReopen;
    }
    step.compression = static_cast<Compression>(random() % 4);
    script.steps.push_back(step);
  }
  add_batches(2);  // that are tried after a failure
  return script;
}

// Holds flushes where they append to the table.
class ScriptRun::Gate {
 public:
  void close() {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    passed_ = false;
  }
  void open() {
    const std::lock_guard lock(mutex_);
    closed_ = false;
    changed_.notify_all();
  }
  // Someone stands at the gate, or need not be waited for.
  void passed() {
    const std::lock_guard lock(mutex_);
    passed_ = true;
    changed_.notify_all();
  }
  void wait_for_someone() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return passed_; });
  }
  void stand() {
    std::unique_lock lock(mutex_);
    passed_ = true;
    changed_.notify_all();
    changed_.wait(lock, [this] { return !closed_; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool closed_ = false;
  bool passed_ = false;
};

ScriptRun::ScriptRun(const Script& script, std::string folder,
                     std::function<std::uint64_t()> count_hits)
    : script_(script), count_hits_(std::move(count_hits)), gate_(std::make_unique<Gate>()) {
  options_.backend = "persisting";
  options_.bucket_id = 3;
  options_.folder = std::move(folder);
  options_.has_table = true;
  options_.has_wal = true;
  options_.flush.interval = std::chrono::hours(10);
  options_.metrics = true;
  environment_.open_table = tables_.opener();
  environment_.now_us = [] { return std::int64_t{1000}; };
  tables_.on_append([this] { gate_->stand(); });
}

ScriptRun::~ScriptRun() { (void)drop(); }

void ScriptRun::run() {
  bool fine = open(large_log);
  for (std::size_t i = 0; fine && i < script_.steps.size(); ++i) fine = run_step(script_.steps[i]);
  if (!fine && engine_ != nullptr) {
    for (int left = 2; left > 0; --left) (void)put_next();
    (void)take(engine_->flush());
  }
  (void)drop();
}

bool ScriptRun::open(std::uint64_t max_wal_bytes) {
  options_.max_wal_bytes = max_wal_bytes;
  Result<std::shared_ptr<BucketEngine>> engine = BucketEngine::open(options_, environment_);
  if (!engine) return take(engine.error());
  engine_ = std::move(engine).value();
  return true;
}

bool ScriptRun::drop() {
  if (engine_ == nullptr) return true;
  const Result<std::vector<MetricFamily>> metrics = engine_->get_metrics();
  EXPECT_TRUE(metrics.ok());
  for (const MetricFamily& family : *metrics) {
    if (family.name == "persisting_flush_failures_total")
      flush_failures_ += static_cast<std::int64_t>(family.samples.front().value);
  }
  const Status status = engine_->shut_down();
  engine_.reset();
  return take(status);
}

bool ScriptRun::take(const Status& status) {
  if (!status) errors_.push_back(status.error());
  return status.ok();
}

bool ScriptRun::run_step(const ScriptStep& step) {
  using Kind = ScriptStep::Kind;
  switch (step.kind) {
    case Kind::kPut:
      return put_next();
    case Kind::kPutsDuringAFlush:
      return put_during_a_flush();
    case Kind::kRefusedPut:
      return put_refused();
    case Kind::kGet:
      return get(step.limit, step.offset);
    case Kind::kFlush:
      return take(engine_->flush());
    case Kind::kReopen:
      options_.compression = step.compression;
      return drop() && open(large_log);
  }
  return false;
}

bool ScriptRun::put_next() {
  const std::uint64_t hits = count_hits_();
  const Result<std::uint64_t> first = engine_->put_batch(script_.batches[submitted_]);
  const std::uint64_t expected = count_records(submitted_);
  ++submitted_;
  if (!first) return take(first.error());
  EXPECT_EQ(count_hits_(), hits) << "acknowledged though a call failed";
  EXPECT_EQ(*first, expected);
  EXPECT_EQ(acknowledged_, submitted_ - 1) << "acknowledged after a put that failed";
  acknowledged_ = submitted_;
  return true;
}

bool ScriptRun::put_during_a_flush() {
  // With so small a log opening may begin a flush.
  if (!drop() || !open(small_segments) || !take(engine_->flush())) return false;
  gate_->close();
  bool fine = put_next();
  engine_->flush_async([this](const Status&) { gate_->passed(); });
  gate_->wait_for_someone();
  for (int left = puts_during_a_flush; fine && left > 0; --left) fine = put_next();
  gate_->open();
  fine = take(engine_->flush()) && fine;
  return fine && drop() && open(large_log);
}

bool ScriptRun::put_refused() {
  if (submitted_ == 0) return true;
  // The first record fits and brings a field: nothing of it may stay.
  const auto refused =
      engine_->put_batch(batch({{{"number", 1}, {"not kept", 1}}, {{"number", "text"}}}));
  EXPECT_FALSE(refused.ok());
  if (!refused) {
    EXPECT_EQ(refused.error().code, ErrorCode::kSchema) << refused.error().message;
  }
  return true;
}

bool ScriptRun::get(std::uint64_t limit, std::uint64_t offset) {
  const std::uint64_t count = count_records(submitted_);
  offset %= count + 2;
  const Result<RecordBatch> records = engine_->get(limit, offset);
  if (!records) return take(records.error());
  RecordBatch expected;
  std::uint64_t first = 0;
  for (std::size_t b = 0; b < submitted_; first += script_.batches[b++].size()) {
    for (std::size_t i = 0; i < script_.batches[b].size(); ++i) {
      if (first + i < offset || first + i - offset >= limit) continue;
      normalize(*script_.schemas[submitted_], script_.batches[b][i], &expected);
    }
  }
  EXPECT_EQ(records->size(), expected.size());
  EXPECT_EQ(records->bytes(), expected.bytes());
  return true;
}

std::uint64_t ScriptRun::count_records(std::size_t batches) const {
  std::uint64_t count = 0;
  for (std::size_t b = 0; b < batches; ++b) count += script_.batches[b].size();
  return count;
}

void ScriptRun::read_all(RecordBatch* records) {
  Result<RecordBatch> read = engine_->get(UINT64_MAX, 0);
  ASSERT_TRUE(read.ok()) << read.error().message;
  EXPECT_EQ(engine_->total_count(), read->size());
  *records = std::move(read).value();
}

void ScriptRun::check_recovery() {
  ASSERT_TRUE(open(large_log)) << errors_.back().message;
  RecordBatch read;
  read_all(&read);
  std::size_t kept = acknowledged_;
  while (kept < submitted_ && count_records(kept) < read.size()) ++kept;
  ASSERT_EQ(read.size(), count_records(kept))
      << "of " << submitted_ << " batches, the first " << acknowledged_ << " acknowledged";
  RecordBatch records;
  for (std::size_t b = 0; b < kept; ++b) records.append(script_.batches[b]);
  ASSERT_EQ(read.bytes(), normalized(*script_.schemas[kept], records).bytes());

  // The bucket goes on.
  const RecordBatch more = batch({{{"number", 1'000'000}, {"text", "after"}}});
  const Result<std::uint64_t> offset = engine_->put_batch(more);
  ASSERT_TRUE(offset.ok()) << offset.error().message;
  ASSERT_EQ(*offset, records.size());
  records.append(more);
  const Status flushed = engine_->flush();
  ASSERT_TRUE(flushed.ok()) << flushed.error().message;
  ASSERT_TRUE(drop()) << errors_.back().message;
  ASSERT_TRUE(open(large_log)) << errors_.back().message;
  ASSERT_EQ(engine_->total_count(), records.size());
  // The end of it; what lies before was compared.
  const std::uint64_t first = records.size() > 10 ? records.size() - 10 : 0;
  const Result<RecordBatch> end = engine_->get(UINT64_MAX, first);
  ASSERT_TRUE(end.ok()) << end.error().message;
  RecordBatch expected;
  const Result<SchemaPtr> schema = admit(script_.schemas[kept], more, 0);
  for (std::size_t i = first; i < records.size(); ++i) normalize(**schema, records[i], &expected);
  ASSERT_EQ(end->bytes(), expected.bytes());
  ASSERT_TRUE(drop()) << errors_.back().message;
}

}  // namespace persisting::testing
