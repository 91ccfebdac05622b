// Drives a log through appends, retirements, crashes and openings, and knows what it must have kept.
// Rule:    what opening delivers is a prefix of what was enqueued, with the same bytes, and reaches at least to must_have():
//          all that was acknowledged, or with a sync interval all that a completed sync covers, once the power was cut.
// Threads: none; rounds run in the caller's thread, timers never.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "base/executor.h"
#include "wal/wal.h"

namespace persisting::testing {

class LogScript {
 public:
  LogScript(WalOptions options) : options_(std::move(options)) {
    options_.folder = "/bucket/wal";
    options_.bucket_identity = 42;
  }
  ~LogScript() { drop(); }
  LogScript(const LogScript&) = delete;
  LogScript& operator=(const LogScript&) = delete;

  // Opens the log and checks what it delivers. False: it failed (in a way that may_fail permits).
  bool open(FileSystem& file_system, bool may_fail) {
    if (is_open()) process_died();
    drop();
    options_.minimum_epoch = epoch_;
    std::uint64_t next = 0;
    WalRecovery recovery;
    auto opened = Wal::open(
        file_system, Executors::instance().commit, options_, flushed_to_,
        [&](const ReplayedFrame& frame) { return check(frame, &next); },
        [this](std::uint64_t end, const Status& status) {
          if (status) acknowledged_ = std::max(acknowledged_, end);
          if (!status) ++failures_;
        },
        &recovery);
    if (!opened) {
      EXPECT_TRUE(may_fail) << opened.error().message;
      if (may_fail) {
        EXPECT_EQ(opened.error().code, ErrorCode::kIo) << opened.error().message;
      }
      return false;
    }
    next = std::max(next, flushed_to_);
    EXPECT_EQ(recovery.next_offset, next);
    EXPECT_GE(next, expected_);
    EXPECT_LE(next, records_.size());
    // What was delivered is what a reader sees from now on: it must stay.
    records_.resize(next);
    acknowledged_ = must_have_ = next;
    wal_ = std::move(opened).value();
    EXPECT_GT(wal_->epoch(), epoch_);
    epoch_ = wal_->epoch();
    failures_ = 0;
    return true;
  }

  // Enqueues `frames` frames of `count` records of about `bytes` bytes, and commits them as one group. Some are Arrow
  // frames, which hold the same bytes: the log does not look inside.
  bool append(std::size_t frames, std::size_t count, std::size_t bytes) {
    if (frames == 1 && count == 1 && !is_arrow(records_.size()) && commit_at_once(bytes))
      return true;
    // The log uses the bytes in place.
    std::vector<std::string> bodies(frames);
    std::vector<std::vector<std::uint32_t>> lengths(frames);
    for (std::size_t f = 0; f < frames; ++f) {
      const std::uint64_t first = records_.size();
      for (std::size_t i = 0; i < count; ++i) {
        std::string record = next_record(bytes);
        lengths[f].push_back(static_cast<std::uint32_t>(record.size()));
        bodies[f] += record;
        records_.push_back(std::move(record));
      }
      wal_->enqueue(is_arrow(first)
                        ? WalFrame::arrow(first, 1000, static_cast<std::uint32_t>(count), bodies[f])
                        : WalFrame(first, 1000, lengths[f], bodies[f]));
    }
    const Status status = wal_->commit(records_.size());
    if (status) {
      EXPECT_EQ(acknowledged_, records_.size());
      if (options_.sync_interval.count() == 0) must_have_ = acknowledged_;
    } else {
      EXPECT_EQ(status.error().component, Component::kWal);
      EXPECT_GT(failures_, 0);
    }
    return status.ok();
  }

  bool sync() {
    const Status status = wal_->sync();
    if (status) must_have_ = acknowledged_;
    return status.ok();
  }

  // What a flush does with the log: everything is in the table, durably.
  bool retire() {
    if (!sync()) return false;
    flushed_to_ = acknowledged_;
    return wal_->retire(flushed_to_).ok();
  }

  bool close() {
    if (wal_ == nullptr) return false;
    const Status status = wal_->close();
    if (status) must_have_ = acknowledged_;
    return status.ok();
  }

  void drop() { wal_.reset(); }

  // The process dies, the kernel does not: everything acknowledged is there.
  void process_died() { expected_ = acknowledged_; }
  void power_cut() { expected_ = acknowledged_ = must_have_; }

  Wal& wal() { return *wal_; }
  bool is_open() const { return wal_ != nullptr; }
  std::uint64_t committed_at_once() const { return committed_at_once_; }
  std::uint64_t end() const { return records_.size(); }

 private:
  std::string next_record(std::size_t bytes) {
    std::string record = std::to_string(records_.size()) + "/" + std::to_string(attempt_++);
    record.resize(std::max(record.size(), bytes), 'x');
    return record;
  }
  bool commit_at_once(std::size_t bytes) {
    std::string record = next_record(bytes);
    if (!wal_->try_commit(records_.size(), 1000, record)) return false;
    EXPECT_GT(options_.sync_interval.count(), 0);
    EXPECT_EQ(acknowledged_, records_.size());
    records_.push_back(std::move(record));
    acknowledged_ = records_.size();
    ++committed_at_once_;
    return true;
  }

  static bool is_arrow(std::uint64_t first_offset) { return first_offset % 3 == 1; }

  Status check(const ReplayedFrame& frame, std::uint64_t* next) {
    if (frame.first_offset != *next) {
      // Only what the table holds may be missing.
      EXPECT_GT(frame.first_offset, *next);
      EXPECT_LE(frame.first_offset, flushed_to_);
    }
    EXPECT_EQ(frame.timestamp_us, 1000);
    EXPECT_EQ(frame.content == FrameContent::kArrow, is_arrow(frame.first_offset));
    *next = frame.first_offset + frame.count;
    EXPECT_LE(*next, records_.size());
    if (*next > records_.size()) return ok_status();
    std::vector<std::uint32_t> lengths;
    std::string records;
    for (std::uint64_t offset = frame.first_offset; offset < *next; ++offset) {
      lengths.push_back(static_cast<std::uint32_t>(records_[offset].size()));
      records += records_[offset];
    }
    if (is_arrow(frame.first_offset)) lengths.clear();
    EXPECT_TRUE(std::ranges::equal(frame.record_bytes, lengths));
    EXPECT_EQ(frame.records, records);
    return ok_status();
  }

  WalOptions options_;
  std::unique_ptr<Wal> wal_;
  std::vector<std::string> records_;  // by offset: the newest that was enqueued there
  std::uint64_t committed_at_once_ = 0;
  std::uint64_t attempt_ = 0;
  std::uint64_t acknowledged_ = 0;
  std::uint64_t must_have_ = 0;  // after a power cut
  std::uint64_t expected_ = 0;   // by the next opening
  std::uint64_t flushed_to_ = 0;
  std::uint64_t epoch_ = 0;
  int failures_ = 0;
};

}  // namespace persisting::testing
