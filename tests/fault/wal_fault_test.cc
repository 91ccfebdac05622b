// The log when calls fail and when its bytes are damaged.
#include <array>
#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "persisting/log.h"

#include "support/faulty_file_system.h"
#include "support/log_script.h"
#include "support/power_cut_file_system.h"
#include "wal/frame.h"

namespace persisting {
namespace {

using testing::FaultyFileSystem;
using ::testing::HasSubstr;
using testing::LogScript;
using testing::PowerCutFileSystem;

// Recoveries tell of every torn end.
class Quiet : public ::testing::Environment {
  void SetUp() override { set_log_sink({}); }
};
[[maybe_unused]] const auto* const quiet = ::testing::AddGlobalTestEnvironment(new Quiet);

WalOptions small_segments(std::chrono::microseconds sync_interval) {
  WalOptions options;
  options.segment_bytes = 400;
  options.sync_interval = sync_interval;
  return options;
}

// Every kind of call that a log makes, in two lives.
void run_script(LogScript& script, FileSystem& file_system) {
  for (int life = 0; life < 2; ++life) {
    if (!script.open(file_system, true)) continue;
    script.append(1, 2, 10);
    script.append(3, 1, 20);
    script.append(1, 1, 600);
    script.append(2, 2, 10);
    script.sync();
    script.retire();
    script.append(1, 3, 100);
    script.append(1, 3, 100);
    script.append(1, 1, 5);
    script.close();
  }
  script.open(file_system, true);
  if (script.is_open()) script.append(1, 1, 5);
  script.drop();
}

class FailedCall : public ::testing::TestWithParam<
                       std::tuple<bool, FaultyFileSystem::Fault, std::chrono::microseconds>> {};

TEST_P(FailedCall, LosesNothingAcknowledgedWhicheverItIs) {
  const auto [for_ever, fault, interval] = GetParam();
  std::uint64_t calls = 1;
  for (std::uint64_t n = 0; n < calls; ++n) {
    SCOPED_TRACE("call " + std::to_string(n));
    PowerCutFileSystem disk;
    FaultyFileSystem faulty(disk);
    faulty.fail(n, for_ever, fault);
    LogScript script(small_segments(interval));
    run_script(script, faulty);
    if (n == 0) {
      PowerCutFileSystem whole;
      FaultyFileSystem plain(whole);
      LogScript again(small_segments(interval));
      run_script(again, plain);
      calls = plain.calls();
      ASSERT_GT(calls, 50U);
    }
    script.process_died();
    ASSERT_TRUE(script.open(disk, false));
    ASSERT_TRUE(script.append(1, 2, 30));
    ASSERT_TRUE(script.close());
    disk.cut(n);
    script.power_cut();
    ASSERT_TRUE(script.open(disk, false));
    if (HasFailure()) return;
  }
}

INSTANTIATE_TEST_SUITE_P(All, FailedCall,
                         ::testing::Combine(::testing::Bool(),
                                            ::testing::Values(FaultyFileSystem::Fault::kError,
                                                              FaultyFileSystem::Fault::kShortWrite),
                                            ::testing::Values(std::chrono::microseconds(0),
                                                              std::chrono::hours(1))));

// ---- damaged bytes ----

struct Frame {
  std::size_t segment;
  std::size_t begin;
  std::size_t end;
  std::uint64_t first_offset;
  std::uint64_t end_offset;
  std::uint64_t durable_up_to;
};

class DamagedLog : public ::testing::TestWithParam<Compression> {
 protected:
  void SetUp() override {
    options_.folder = "/wal";
    options_.bucket_identity = 7;
    options_.segment_bytes = 200;
    options_.compression = GetParam();
    WalRecovery recovery;
    auto wal = Wal::open(
        disk_, Executors::instance().commit, options_, 0,
        [](const ReplayedFrame&) { return ok_status(); }, [](std::uint64_t, const Status&) {},
        &recovery);
    ASSERT_TRUE(wal.ok());
    records_.reserve(9);  // the log uses them in place
    for (std::uint64_t offset = 0; offset < 9; ++offset) {
      records_.push_back("record " + std::to_string(offset));
      const std::array lengths{static_cast<std::uint32_t>(records_.back().size())};
      (*wal)->enqueue({offset, 5, lengths, records_.back()});
      // The fourth and fifth go together.
      if (offset == 3) continue;
      ASSERT_TRUE((*wal)->commit(offset + 1).ok());
      if (disk_.files().size() == 2 && segment_records(1) == 3) break;
    }
    wal_ = std::move(wal).value();
    // As a crash leaves it: without the mark of a clean end.
    files_ = disk_.files();
    ASSERT_EQ(files_.size(), 2U);
    std::size_t segment = 0;
    for (const auto& [path, bytes] : files_) add_frames(segment++, bytes);
  }

  static std::uint64_t seed_of(const std::string& segment) {
    const wal::SegmentHeader header = wal::decode_segment_header(segment).value();
    return wal::frame_seed(header.bucket_identity, header.epoch);
  }

  std::size_t segment_records(std::size_t index) {
    const std::string bytes = std::next(disk_.files().begin(), static_cast<long>(index))->second;
    std::size_t count = 0;
    std::size_t position = wal::segment_header_bytes;
    wal::FrameDecoder decoder(seed_of(bytes));
    wal::DecodedFrame frame;
    for (; decoder.decode(bytes, position, &frame); position += frame.file_bytes) ++count;
    return count;
  }

  void add_frames(std::size_t segment, const std::string& bytes) {
    wal::FrameDecoder decoder(seed_of(bytes));
    wal::DecodedFrame frame;
    std::size_t position = wal::segment_header_bytes;
    for (; decoder.decode(bytes, position, &frame); position += frame.file_bytes) {
      frames_.push_back({segment, position, position + frame.file_bytes, frame.first_offset,
                         frame.first_offset + frame.record_bytes.size(), frame.durable_up_to});
    }
  }

  // Opens the log with `bytes` as its segment; everything outside [begin, end) of it is as it was.
  void check(std::size_t segment, const std::string& bytes, std::size_t begin, std::size_t end) {
    const std::string path = std::next(files_.begin(), static_cast<long>(segment))->first;
    PowerCutFileSystem disk;
    for (const auto& [name, contents] : files_) disk.set_file(name, contents);
    disk.set_file(path, bytes);
    std::uint64_t next = 0;
    WalRecovery recovery;
    const auto opened = Wal::open(
        disk, Executors::instance().commit, options_, 0,
        [&](const ReplayedFrame& frame) {
          EXPECT_EQ(frame.first_offset, next);
          EXPECT_EQ(frame.timestamp_us, 5);
          EXPECT_EQ(frame.record_bytes.size(), 1U);
          EXPECT_LT(next, records_.size());
          EXPECT_EQ(frame.records, records_[next]);
          next += frame.record_bytes.size();
          return ok_status();
        },
        [](std::uint64_t, const Status&) {}, &recovery);
    if (!opened) {
      EXPECT_EQ(opened.error().code, ErrorCode::kCorruption) << opened.error().message;
      EXPECT_EQ(opened.error().component, Component::kWal);
      EXPECT_THAT(opened.error().message, HasSubstr(path + ": byte "));
      EXPECT_EQ(disk.files().at(path), bytes) << "damage must not be touched";
      return;
    }
    std::uint64_t proven = 0;
    for (const Frame& frame : frames_) {
      const bool untouched = frame.segment != segment || frame.end <= begin || frame.begin >= end;
      if (!untouched) continue;
      proven = std::max(proven, frame.durable_up_to);
      // What lies before the damage is read.
      const bool before =
          frame.segment < segment || (frame.segment == segment && frame.end <= begin);
      if (before) proven = std::max(proven, frame.end_offset);
    }
    EXPECT_GE(next, proven);
  }

  PowerCutFileSystem disk_;
  WalOptions options_;
  std::vector<std::string> records_;
  std::unique_ptr<Wal> wal_;
  std::map<std::string, std::string> files_;
  std::vector<Frame> frames_;
};

TEST_P(DamagedLog, EveryBitFlipped) {
  std::size_t segment = 0;
  for (const auto& [path, contents] : files_) {
    for (std::size_t bit = 0; bit < contents.size() * 8; ++bit) {
      SCOPED_TRACE(path + " bit " + std::to_string(bit));
      std::string bytes = contents;
      bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ (1 << (bit % 8)));
      check(segment, bytes, bit / 8, bit / 8 + 1);
      if (HasFailure()) return;
    }
    ++segment;
  }
}

TEST_P(DamagedLog, CutAtEveryByte) {
  std::size_t segment = 0;
  for (const auto& [path, contents] : files_) {
    for (std::size_t size = 0; size < contents.size(); ++size) {
      SCOPED_TRACE(path + " cut at " + std::to_string(size));
      check(segment, contents.substr(0, size), size, contents.size());
      if (HasFailure()) return;
    }
    ++segment;
  }
}

TEST_P(DamagedLog, EveryEightBytesZeroed) {
  std::size_t segment = 0;
  for (const auto& [path, contents] : files_) {
    for (std::size_t at = 0; at + 8 <= contents.size(); at += 8) {
      for (const std::size_t size : {std::size_t{8}, std::size_t{64}, contents.size()}) {
        SCOPED_TRACE(path + " zeros at " + std::to_string(at));
        std::string bytes = contents;
        const std::size_t end = std::min(at + size, bytes.size());
        bytes.replace(at, end - at, end - at, '\0');
        check(segment, bytes, at, end);
        if (HasFailure()) return;
      }
    }
    ++segment;
  }
}

TEST_P(DamagedLog, AReadErrorIsAnErrorAndTouchesNothing) {
  FaultyFileSystem faulty(disk_);
  faulty.fail_reads(true);
  WalRecovery recovery;
  const auto opened = Wal::open(
      faulty, Executors::instance().commit, options_, 0,
      [](const ReplayedFrame&) { return ok_status(); }, [](std::uint64_t, const Status&) {},
      &recovery);
  ASSERT_FALSE(opened.ok());
  EXPECT_EQ(opened.error().code, ErrorCode::kIo);
  EXPECT_EQ(opened.error().component, Component::kWal);
  EXPECT_EQ(disk_.files(), files_);
}

// A later library's segment must not be taken for an unfinished one.
TEST_P(DamagedLog, ALaterFormatVersionIsRefusedAndLeftAlone) {
  const std::string path = "/wal/" + wal::segment_name(0, 1);
  wal::SegmentHeader header{options_.bucket_identity, 1, 0, {}};
  const std::string bytes = wal::encode_segment_header(header, wal::format_version + 1);
  PowerCutFileSystem disk;
  disk.set_file(path, bytes);
  WalRecovery recovery;
  const auto opened = Wal::open(
      disk, Executors::instance().commit, options_, 0,
      [](const ReplayedFrame&) { return ok_status(); }, [](std::uint64_t, const Status&) {},
      &recovery);
  ASSERT_FALSE(opened.ok());
  EXPECT_EQ(opened.error().code, ErrorCode::kUnsupported);
  EXPECT_EQ(disk.files().at(path), bytes);
}

INSTANTIATE_TEST_SUITE_P(Codecs, DamagedLog,
                         ::testing::Values(Compression::kNone, Compression::kZstd));

}  // namespace
}  // namespace persisting
