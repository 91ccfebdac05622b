// The bucket engine against a model: a list of records, of which some are durable.
// Commands are drawn at random, and shrunk to the fewest that still fail. rapidcheck prints RC_PARAMS to run a failure again;
// PERSISTING_TEST_SEED=… runs the same commands again, failed or not.
#include <array>
#include <cstdint>
#include <iostream>
#include <memory>
#include <optional>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include "persisting/log.h"

#include "engine/bucket_engine.h"
#include "engine/bucket_engine_parts.h"
#include "schema/admission.h"
#include "schema/normalizer.h"
#include "support/engine_commands.h"
#include "support/memory_table.h"
#include "support/power_cut_file_system.h"
#include "support/records.h"
#include "support/seeds.h"

namespace persisting {
namespace {

using testing::any_command;
using testing::Command;
using testing::kind_count;
using testing::kind_names;
using testing::PowerCutFileSystem;

// What happened in all runs: a model that is never tried finds nothing.
struct Tally {
  std::array<std::uint64_t, kind_count> commands{};
  std::uint64_t refused_puts = 0;
  std::uint64_t failed_puts = 0;
  std::uint64_t kept_failed_puts = 0;  // whose records were there all the same
  std::uint64_t openings = 0;
  std::uint64_t records_read = 0;
};

class ModelRun {
 public:
  // The lowest bits of `setup` choose the kind of bucket.
  ModelRun(std::uint32_t setup, Tally& tally) : tally_(tally), flushes_itself_(setup % 4 == 1) {
    options_.backend = "persisting";
    options_.bucket_id = 3;
    options_.folder = "/topic/bucket_3";
    options_.has_table = setup % 16 != 15;
    options_.has_wal = options_.has_table && setup % 8 != 7;
    options_.compression = static_cast<Compression>(setup / 16 % 4);
    options_.flush.interval = std::chrono::hours(10);
    if (flushes_itself_) options_.flush.records = 1 + setup / 64 % 8;
    environment_.file_system = &disk_;
    environment_.open_table = tables_.opener();
    environment_.now_us = [] { return std::int64_t{1000}; };
    schemas_.push_back(testing::empty_schema());
    open(0);
  }
  ~ModelRun() {
    subscription_.reset();
    if (engine_ != nullptr) (void)engine_->shut_down();
  }
  ModelRun(const ModelRun&) = delete;
  ModelRun& operator=(const ModelRun&) = delete;

  void run(const Command& command) {
    using Kind = Command::Kind;
    ++tally_.commands[static_cast<std::size_t>(command.kind)];
    switch (command.kind) {
      case Kind::kPut:
        return put(1, command.a, command.b);
      case Kind::kPutBatch:
        return put(command.c % 6, command.a, command.b);
      case Kind::kGet:
        return get(command.a, command.b, command.c);
      case Kind::kFlush:
        return flush();
      case Kind::kStats:
        return check_stats();
      case Kind::kSubscribe:
        return subscribe(command.a);
      case Kind::kClose:
        return close(command.a, command.b);
      case Kind::kCrash:
        return crash(false, command.a, command.b);
      case Kind::kPowerCut:
        return crash(true, command.a, command.b);
      case Kind::kStopSoon:
        // With flushes on their own threads nobody could say which call it hits.
        if (options_.has_wal && !flushes_itself_ && !stop_) {
          disk_.stop_at(command.a % 16);
          stop_ = command;
        }
        return;
      case Kind::kCount:
        return;
    }
  }

  void finish() {
    disk_.stop_at(UINT32_MAX);  // never
    stop_.reset();
    get(UINT32_MAX, 0, 0);
    close(0, 1);
    check_stats();
    get(UINT32_MAX, 0, 1);
  }

 private:
  std::uint64_t count() const { return records_.size(); }
  const SchemaPtr& schema() const { return schemas_.back(); }

  // ---- commands ----

  void put(std::uint32_t count_of_records, std::uint32_t shape, std::uint32_t value) {
    RecordBatch batch;
    for (std::uint32_t i = 0; i < count_of_records; ++i) {
      batch.add(testing::record(testing::make_record(shape + i * 37, value + i)));
    }
    Result<SchemaPtr> admitted = admit(schema(), batch, count());
    const std::uint64_t first = count();
    std::optional<std::uint64_t> at_once;
    if (batch.size() == 1) at_once = engine_->try_put(batch[0]);
    const Result<std::uint64_t> offset =
        at_once ? Result<std::uint64_t>(*at_once) : engine_->put_batch(batch);
    if (!admitted) {
      RC_ASSERT(!offset.ok());
      RC_ASSERT(offset.error().code == ErrorCode::kSchema);
      RC_ASSERT(offset.error().message == admitted.error().message);
      ++tally_.refused_puts;
    } else if (offset) {
      RC_ASSERT(*offset == first);
      take(batch, std::move(admitted).value());
      if (!batch.empty()) ++acknowledgements_;
    } else {
      RC_ASSERT(disk_.stopped());
      RC_ASSERT(offset.error().code == ErrorCode::kIo);
      ++tally_.failed_puts;
      pending_ = batch;
      pending_schema_ = std::move(admitted).value();
    }
    if (stopped()) return;
    RC_ASSERT(engine_->total_count() == count());
    if (subscription_ != nullptr) RC_ASSERT(notifications_ == acknowledgements_);
  }

  void take(const RecordBatch& batch, SchemaPtr schema) {
    for (std::size_t i = 0; i < batch.size(); ++i) {
      records_.emplace_back(batch[i]);
      schemas_.push_back(schema);
    }
  }

  void get(std::uint32_t limit_number, std::uint32_t offset_number, std::uint32_t way) {
    const std::uint64_t limit = limit_number >= 1000 ? UINT64_MAX : limit_number % 40;
    const std::uint64_t offset =
        offset_number >= 1020 ? UINT64_MAX - 1 : offset_number % (count() + 3);
    Waiter<Result<RecordBatch>> waiter;
    if (way % 2 == 1) engine_->get_async(limit, offset, waiter.callback());
    const Result<RecordBatch> read = way % 2 == 1 ? waiter.wait() : engine_->get(limit, offset);
    RC_ASSERT(read.ok());
    RecordBatch expected;
    for (std::uint64_t i = offset; i < count() && i - offset < limit; ++i)
      normalize(*schema(), records_[i], &expected);
    RC_ASSERT(read->size() == expected.size());
    RC_ASSERT(read->bytes() == expected.bytes());
    tally_.records_read += read->size();
  }

  void flush() {
    const Status status = engine_->flush();
    if (status) {
      if (options_.has_table) flushed_ = count();
    } else {
      RC_ASSERT(disk_.stopped());
      RC_ASSERT(status.error().code == ErrorCode::kIo);
    }
    (void)stopped();
  }

  void check_stats() {
    const Result<BackendStats> stats = engine_->stats();
    RC_ASSERT(stats.ok());
    RC_ASSERT(stats->total_count == count());
    RC_ASSERT(stats->buffer_count == count() - stats->persisted_count);
    RC_ASSERT(stats->persisted_count >= flushed_);
    if (!flushes_itself_) RC_ASSERT(stats->persisted_count == flushed_);
  }

  void subscribe(std::uint32_t a) {
    subscription_.reset();
    notifications_ = acknowledgements_ = 0;
    if (a % 3 == 0) return;
    subscription_ = engine_->subscribe([this] { ++notifications_; });
  }

  void close(std::uint32_t a, std::uint32_t b) {
    subscription_.reset();
    const Status closed = engine_->shut_down();
    RC_ASSERT(closed.ok() || disk_.stopped());
    RC_ASSERT(!engine_->get(1, 0).ok());
    if (disk_.stopped()) return lose_power(a);
    disk_.restart();
    stop_.reset();
    if (options_.has_table && !flushes_itself_ && a % 4 == 0) options_.has_wal = a % 8 == 0;
    options_.compression = static_cast<Compression>(b % 4);
    open(b);
  }

  void crash(bool power_cut, std::uint32_t a, std::uint32_t b) {
    disk_.stop_at(0);
    (void)disk_.create_folders("/end");
    stop_ = Command{power_cut ? Command::Kind::kPowerCut : Command::Kind::kCrash, a, b, 0};
    lose_power(b);
  }

  // ---- what a stopped disk leads to ----

  // Where the disk has stopped, goes on with the next opening.
  bool stopped() {
    if (!disk_.stopped()) return false;
    lose_power(stop_->b);
    return true;
  }

  void lose_power(std::uint32_t number) {
    const Command stop = *stop_;
    stop_.reset();
    subscription_.reset();
    (void)engine_->shut_down();
    const bool died = stop.kind == Command::Kind::kStopSoon ? stop.b % 3 == 0
                                                            : stop.kind == Command::Kind::kCrash;
    if (died) {
      disk_.restart();
    } else {
      disk_.cut(stop.b * 1024 + stop.c);
    }
    open(number);
  }

  // Opens the bucket, maybe after an opening that the disk did not survive, and adopts what is there.
  void open(std::uint32_t number) {
    engine_.reset();
    subscription_.reset();
    if (number % 5 == 4 && options_.has_wal) {
      disk_.stop_at(number % 23);
      Result<std::shared_ptr<BucketEngine>> short_lived =
          BucketEngine::open(options_, environment_);
      RC_ASSERT(short_lived.ok() || disk_.stopped());
      if (short_lived) (void)(*short_lived)->shut_down();
      disk_.cut(number);
    }
    Result<std::shared_ptr<BucketEngine>> engine = BucketEngine::open(options_, environment_);
    RC_ASSERT(engine.ok());
    engine_ = std::move(engine).value();
    ++tally_.openings;
    adopt(engine_->total_count());
  }

  // `total` records survived: all that were durable, and of the rest a prefix of whole batches.
  void adopt(std::uint64_t total) {
    if (pending_ && total > count()) {
      RC_ASSERT(total == count() + pending_->size());
      take(*pending_, pending_schema_);
      ++tally_.kept_failed_puts;
    }
    pending_.reset();
    RC_ASSERT(total <= count());
    RC_ASSERT(total >= (log_was_on_ ? count() : flushed_));
    if (!log_was_on_ && !flushes_itself_) RC_ASSERT(total == flushed_);
    records_.resize(total);
    schemas_.resize(total + 1);
    log_was_on_ = options_.has_wal;
    const Result<BackendStats> stats = engine_->stats();
    RC_ASSERT(stats.ok());
    RC_ASSERT(stats->persisted_count >= flushed_);
    // A flush that failed may have reached the table, and a log that is not wanted is emptied into it.
    flushed_ = stats->persisted_count;
    RC_ASSERT(options_.has_wal || flushed_ == total || !options_.has_table);
  }

  Tally& tally_;
  PowerCutFileSystem disk_;
  testing::MemoryTables tables_;
  EngineOptions options_;
  EngineEnvironment environment_;
  const bool flushes_itself_;
  std::shared_ptr<BucketEngine> engine_;
  std::unique_ptr<Subscription> subscription_;
  std::uint64_t notifications_ = 0;
  std::uint64_t acknowledgements_ = 0;  // since the subscription
  std::optional<Command> stop_;         // that the disk was told to stop by

  std::vector<std::string> records_;  // encoded, as they were put
  std::vector<SchemaPtr> schemas_;    // schemas_[n] is that of the first n records
  std::uint64_t flushed_ = 0;         // at least so many are in the table
  bool log_was_on_ = true;
  // A put that failed: its records may be there after the next opening, or not.
  std::optional<RecordBatch> pending_;
  SchemaPtr pending_schema_;
};

TEST(EngineModel, BehavesLikeAListOfRecords) {
  set_log_sink({});
  rc::detail::TestParams params = rc::detail::configuration().testParams;
  params.seed = testing::number_of_environment("PERSISTING_TEST_SEED", params.seed);
  params.maxSuccess = static_cast<int>(testing::scaled(3500));
  params.maxSize = 200;
  std::cout << "PERSISTING_TEST_SEED=" << params.seed << "\n";

  Tally tally;
  rc::detail::TestMetadata metadata;
  metadata.id = metadata.description = "EngineModel/BehavesLikeAListOfRecords";
  const auto result = rc::detail::checkTestable(
      [&tally] {
        const auto setup = *rc::gen::inRange<std::uint32_t>(0, 1024).as("setup");
        const auto commands =
            *rc::gen::container<std::vector<Command>>(any_command()).as("commands");
        ModelRun run(setup, tally);
        for (const Command& command : commands) run.run(command);
        run.finish();
      },
      metadata, params);
  std::ostringstream message;
  rc::detail::printResultMessage(result, message);
  ASSERT_TRUE(result.is<rc::detail::SuccessResult>()) << message.str();
  if (!rc::detail::configuration().reproduce.empty()) return;  // one run

  std::uint64_t commands = 0;
  for (std::size_t i = 0; i < kind_count; ++i) {
    commands += tally.commands[i];
    std::cout << kind_names[i] << " " << tally.commands[i] << ", ";
  }
  std::cout << "in total " << commands << " commands; puts refused " << tally.refused_puts
            << ", failed " << tally.failed_puts << " (kept " << tally.kept_failed_puts
            << "), openings " << tally.openings << ", records read " << tally.records_read << "\n";
  EXPECT_GE(commands, testing::scaled(100'000));
  EXPECT_GE(tally.refused_puts, testing::scaled(1'000));
  EXPECT_GE(tally.failed_puts, testing::scaled(50));
  EXPECT_GE(tally.kept_failed_puts, testing::scaled(10));
}

}  // namespace
}  // namespace persisting
