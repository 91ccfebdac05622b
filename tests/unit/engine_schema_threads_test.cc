// Changes of the schema while other threads put and read.
#include <algorithm>
#include <atomic>
#include <latch>
#include <thread>

#include <gtest/gtest.h>

#include "engine/bucket_engine_parts.h"
#include "support/arrow_tables.h"
#include "support/bucket_on_disk.h"
#include "support/seeds.h"

namespace persisting {
namespace {

// With the pools of a program.
class SchemaThreads : public testing::BucketOnDisk {
 protected:
  void SetUp() override {
    BucketOnDisk::SetUp();
    options_.flush.records = 40;
    open_on_pools();
  }
  void TearDown() override {
    (void)engine_->shut_down();
    engine_.reset();
  }
  void open_on_pools() {
    EngineEnvironment environment = default_environment();
    environment.file_system = &disk_;
    environment.open_table = lance_.opener();
    auto engine = BucketEngine::open(options_, environment);
    ASSERT_TRUE(engine.ok()) << engine.error().message;
    engine_ = std::move(engine).value();
  }

  void produce(std::int64_t thread);
  void read_pages();
  void change(std::uint64_t step);

  static constexpr std::int64_t producers = 4;
  static constexpr std::uint64_t changes = 100;
  std::atomic<bool> changing_ = true;
  std::atomic<std::uint64_t> put_ = 0;
  std::array<std::int64_t, producers> last_{};
};

void SchemaThreads::produce(std::int64_t thread) {
  std::int64_t number = 0;
  while (changing_) {
    const Struct record{
        {"thread", thread},
        {"number", number},
        {"v " + std::to_string(number / 20 % 6), number % 2 == 0 ? Value(number) : Value()}};
    Result<std::uint64_t> offset = 0;
    if (number % 5 == 0) {
      testing::Rows rows = testing::arrow_of({record});
      offset = engine_->put_arrow(rows.schema.get(), rows.array.get());
    } else {
      offset = engine_->put_batch(testing::batch({record}));
    }
    ASSERT_TRUE(offset.ok()) << offset.error().message;
    ++number;
    ++put_;
    if (number % 16 == 0) std::this_thread::yield();
  }
  last_[static_cast<std::size_t>(thread)] = number;
}

// Every record of a page has the same fields, and in each values of one kind.
void SchemaThreads::read_pages() {
  std::uint64_t page = 0;
  while (changing_) {
    const std::uint64_t count = engine_->total_count();
    const std::uint64_t first = count > 60 ? count - 60 : 0;
    if (page++ % 3 == 0) {
      const auto reply = engine_->get_arrow(80, first);
      ASSERT_TRUE(reply.ok()) << reply.error().message;
      nanoarrow::UniqueSchema type;
      ASSERT_EQ((*reply)->get_schema(reply->get(), type.get()), 0);
      std::uint64_t rows = 0;
      while (true) {
        nanoarrow::UniqueArray array;
        ASSERT_EQ((*reply)->get_next(reply->get(), array.get()), 0);
        if (array->release == nullptr) break;
        ASSERT_EQ(array->n_children, type->n_children);
        rows += static_cast<std::uint64_t>(array->length);
      }
      ASSERT_GE(rows, std::min<std::uint64_t>(count, 60));
      continue;
    }
    const auto records = engine_->get(80, first);
    ASSERT_TRUE(records.ok()) << records.error().message;
    ASSERT_GE(records->size(), std::min<std::uint64_t>(count, 60));
    Struct shape;
    for (std::size_t i = 0; i < records->size(); ++i) {
      const Struct fields = records->fields(i);
      if (i == 0) shape = fields;
      ASSERT_EQ(fields.size(), shape.size());
      for (std::size_t f = 0; f < fields.size(); ++f) {
        ASSERT_EQ(fields[f].first, shape[f].first);
        if (shape[f].second.is_null()) shape[f].second = fields[f].second;
        if (fields[f].second.is_null()) continue;
        ASSERT_EQ(fields[f].second.variant().index(), shape[f].second.variant().index())
            << fields[f].first;
      }
    }
  }
}

// Brings a field, widens it, renames it, drops it, in turns.
void SchemaThreads::change(std::uint64_t step) {
  const std::string field = "c " + std::to_string(step / 4);
  Waiter<Status> waiter;
  switch (step % 4) {
    case 0:
      ASSERT_TRUE(engine_->put_batch(testing::batch({{{field, 1}}})).ok());
      break;
    case 1:
      ASSERT_TRUE(engine_->put_batch(testing::batch({{{field, 0.5}}})).ok());
      break;
    case 2:
      engine_->rename_field_async(field, "renamed", waiter.callback());
      ASSERT_TRUE(waiter.wait().ok());
      return;
    default:
      engine_->drop_field_async("renamed", waiter.callback());
      ASSERT_TRUE(waiter.wait().ok());
      return;
  }
  ++put_;
}

TEST_F(SchemaThreads, NothingIsLostAndEveryPageIsUniform) {
  {
    std::vector<std::jthread> threads;
    for (std::int64_t t = 0; t < producers; ++t) threads.emplace_back([this, t] { produce(t); });
    for (int r = 0; r < 2; ++r) threads.emplace_back([this] { read_pages(); });
    for (std::uint64_t step = 0; step < changes && !HasFatalFailure(); ++step) change(step);
    changing_ = false;
  }
  ASSERT_FALSE(HasFailure());
  for (const bool reopened : {false, true}) {
    if (reopened) {
      ASSERT_TRUE(engine_->shut_down().ok());
      engine_.reset();
      open_on_pools();
    }
    std::array<std::int64_t, producers> next{};
    std::uint64_t others = 0;
    const std::vector<Struct> rows = read();
    EXPECT_EQ(rows.size(), put_);
    for (const Struct& row : rows) {
      std::int64_t thread = -1;
      std::int64_t number = -1;
      bool has_value = false;
      for (const auto& [name, value] : row) {
        if (value.is_null()) continue;
        if (name == "thread") thread = *value.get_if<std::int64_t>();
        if (name == "number") number = *value.get_if<std::int64_t>();
        if (name.starts_with("v ")) has_value = true;
      }
      if (thread < 0) {
        ++others;
        continue;
      }
      ASSERT_EQ(number, next[static_cast<std::size_t>(thread)]++);
      EXPECT_EQ(has_value, number % 2 == 0);
    }
    EXPECT_EQ(next, last_);
    EXPECT_EQ(others, changes / 2);
  }
}

}  // namespace
}  // namespace persisting
