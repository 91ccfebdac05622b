// A bucket on a disk in memory, with Lance simulated on it and tasks that run when the test says so: for what only a
// real order of files and versions shows.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "persisting/log.h"

#include "engine/bucket_engine.h"
#include "support/faulty_file_system.h"
#include "support/manual_executor.h"
#include "support/power_cut_file_system.h"
#include "support/records.h"
#include "support/simulated_lance.h"

namespace persisting::testing {

// The answer of an asynchronous call, once there is one.
template <typename T>
class Answer {
 public:
  std::function<void(T)> callback() {
    return [value = value_](T given) {
      EXPECT_FALSE(value->has_value()) << "answered twice";
      value->emplace(std::move(given));
    };
  }
  bool arrived() const { return value_->has_value(); }
  const T& get() const { return value_->value(); }

 private:
  std::shared_ptr<std::optional<T>> value_ = std::make_shared<std::optional<T>>();
};

// One line a change: "3 dropped name string -> ".
inline std::vector<std::string> lines_of(const std::vector<SchemaChange>& history) {
  std::vector<std::string> lines;
  for (const SchemaChange& change : history) {
    lines.push_back(std::to_string(change.offset) + " " + std::string(name_of(change.kind)) + " " +
                    change.field + ": " + change.before + " -> " + change.after);
  }
  return lines;
}

class BucketOnDisk : public ::testing::Test {
 protected:
  void SetUp() override {
    set_log_sink({});
    options_.backend = "persisting";
    options_.bucket_id = 3;
    options_.folder = "/topic/bucket_3";
    options_.has_table = true;
    options_.has_wal = true;
    options_.flush.interval = std::chrono::hours(10);
  }
  void TearDown() override {
    if (engine_ != nullptr) {
      executors_.run_all();
      (void)engine_->shut_down();
    }
    executors_.clear();
  }

  virtual TableOpener opener() { return lance_.opener(); }
  Status try_open() {
    EngineEnvironment environment;
    environment.file_system = &files_;
    environment.executors = &executors_.executors;
    environment.open_table = opener();
    environment.now_us = [] { return std::int64_t{1000}; };
    auto engine = BucketEngine::open(options_, environment);
    if (!engine) return engine.error();
    engine_ = std::move(engine).value();
    return ok_status();
  }
  void open() {
    const Status opened = try_open();
    ASSERT_TRUE(opened.ok()) << opened.error().message;
  }
  // The process dies: nothing more reaches the disk, not even at the engine's own end.
  void kill() {
    disk_.stop_at(0);
    (void)disk_.create_folders("/end");
    executors_.clear();
    if (engine_ != nullptr) (void)engine_->shut_down();
    engine_.reset();
    disk_.restart();
  }
  void close() {
    executors_.run_all();
    ASSERT_TRUE(engine_->shut_down().ok());
    engine_.reset();
    executors_.clear();
  }
  void reopen(bool by_kill) {
    by_kill ? kill() : close();
    open();
  }

  Result<std::uint64_t> try_put(const std::vector<Struct>& rows) {
    Answer<Result<std::uint64_t>> answer;
    engine_->put_batch_async(batch(rows), answer.callback());
    executors_.run_all();
    return answer.get();
  }
  void put(const std::vector<Struct>& rows) {
    const auto offset = try_put(rows);
    ASSERT_TRUE(offset.ok()) << offset.error().message;
  }
  Status flush() {
    Answer<Status> answer;
    engine_->flush_async(answer.callback());
    executors_.run_all();
    return answer.get();
  }
  Status drop(const std::string& name) {
    Answer<Status> answer;
    engine_->drop_field_async(name, answer.callback());
    executors_.run_all();
    return answer.get();
  }
  Status rename(const std::string& from, const std::string& to) {
    Answer<Status> answer;
    engine_->rename_field_async(from, to, answer.callback());
    executors_.run_all();
    return answer.get();
  }
  std::vector<Struct> read() {
    const auto records = engine_->get(UINT64_MAX, 0);
    EXPECT_TRUE(records.ok()) << records.error().message;
    return records ? all_fields(*records) : std::vector<Struct>();
  }
  std::string schema() { return describe(**engine_->schema()); }
  std::vector<std::string> history() { return lines_of((*engine_->schema())->history()); }

  PowerCutFileSystem disk_;
  FaultyFileSystem files_{disk_};
  SimulatedLance lance_{disk_};
  ManualExecutors executors_;
  EngineOptions options_;
  std::shared_ptr<BucketEngine> engine_;
};

}  // namespace persisting::testing
