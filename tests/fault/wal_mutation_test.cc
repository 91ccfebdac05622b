// Opening a log some of whose bytes are others than were written: every byte of a log of two segments and 64 KiB (8 KiB
// where it is compressed), and whole frames in the wrong place. PERSISTING_TEST_LONG=1 flips each bit; PERSISTING_TEST_SEED replays the masks.
#include <algorithm>
#include <cstdint>
#include <iostream>
#include <random>
#include <string>
#include <utility>

#include <gtest/gtest.h>

#include "support/damaged_log.h"
#include "support/seeds.h"

namespace persisting {
namespace {

using testing::DamagedLog;

DamagedLog::Recipe small(Compression compression) { return {compression, 600, 12, 3}; }
// Expanding takes a hundred times as long as reading.
DamagedLog::Recipe large(Compression compression) {
  constexpr std::uint64_t part = testing::sanitized ? 10 : 1;
  if (compression == Compression::kNone) return {compression, (38 << 10) / part, 700 / part, 4};
  return {compression, (11 << 9) / part, 300 / part, 2};
}

std::string with_flip(std::string bytes, std::size_t at, std::uint8_t mask) {
  bytes[at] = static_cast<char>(static_cast<std::uint8_t>(bytes[at]) ^ mask);
  return bytes;
}

std::string with_zeros(std::string bytes, std::size_t begin, std::size_t size) {
  const std::size_t count = std::min(size, bytes.size() - begin);
  return bytes.replace(begin, count, count, '\0');
}

class WalMutation : public ::testing::TestWithParam<Compression> {
 protected:
  // Calls `mutate` with each segment; says afterwards how many logs it tried.
  template <typename Mutate>
  void with_each_segment(DamagedLog& log, Mutate mutate) {
    for (std::size_t segment = 0; segment < DamagedLog::segment_count && !HasFailure(); ++segment)
      mutate(segment, log.segment(segment));
    std::cout << log.total_bytes() << " bytes, " << log.frames().size()
              << " frames: " << log.checked() << " logs, of which " << log.refused()
              << " refused\n";
  }
  void flip_every_bit(DamagedLog& log) {
    with_each_segment(log, [&](std::size_t segment, const std::string& bytes) {
      for (std::size_t bit = 0; bit < bytes.size() * 8 && !HasFailure(); ++bit) {
        SCOPED_TRACE("segment " + std::to_string(segment) + ", bit " + std::to_string(bit));
        log.check(segment, with_flip(bytes, bit / 8, static_cast<std::uint8_t>(1U << bit % 8)));
      }
    });
  }
};

TEST_P(WalMutation, EveryByteFlipped) {
  DamagedLog log(large(GetParam()));
  if (testing::number_of_environment("PERSISTING_TEST_LONG", 0) != 0) return flip_every_bit(log);
  const std::uint64_t seed =
      testing::number_of_environment("PERSISTING_TEST_SEED", std::random_device{}());
  std::cout << "PERSISTING_TEST_SEED=" << seed << "\n";
  std::mt19937_64 random(seed);
  with_each_segment(log, [&](std::size_t segment, const std::string& bytes) {
    for (std::size_t at = 0; at < bytes.size() && !HasFailure(); ++at) {
      const auto mask = static_cast<std::uint8_t>(1 + random() % 255);
      SCOPED_TRACE("segment " + std::to_string(segment) + ", byte " + std::to_string(at) +
                   ", mask " + std::to_string(mask));
      log.check(segment, with_flip(bytes, at, mask));
    }
  });
  if (testing::sanitized) return;
  EXPECT_GE(log.checked(), GetParam() == Compression::kNone ? 64U << 10 : 8U << 10);
}

TEST_P(WalMutation, EveryBitOfASmallLogFlipped) {
  DamagedLog log(small(GetParam()));
  flip_every_bit(log);
}

TEST_P(WalMutation, CutAtEveryByte) {
  for (const auto& recipe : {small(GetParam()), large(GetParam())}) {
    DamagedLog log(recipe);
    with_each_segment(log, [&](std::size_t segment, const std::string& bytes) {
      for (std::size_t size = 0; size < bytes.size() && !HasFailure(); ++size) {
        SCOPED_TRACE("segment " + std::to_string(segment) + ", cut at " + std::to_string(size));
        log.check(segment, bytes.substr(0, size));
      }
    });
  }
}

TEST_P(WalMutation, ZerosAnywhere) {
  for (const auto& recipe : {small(GetParam()), large(GetParam())}) {
    DamagedLog log(recipe);
    with_each_segment(log, [&](std::size_t segment, const std::string& bytes) {
      for (std::size_t at = 0; at < bytes.size() && !HasFailure(); at += 8) {
        SCOPED_TRACE("segment " + std::to_string(segment) + ", zeros at " + std::to_string(at));
        log.check(segment, with_zeros(bytes, at, 8));
        log.check(segment, with_zeros(bytes, at, 64));
        if (at % 512 == 0) log.check(segment, with_zeros(bytes, at, 512));
        log.check(segment, with_zeros(bytes, at, bytes.size()));
      }
    });
  }
}

TEST_P(WalMutation, AFrameOfTheSameLogElsewhere) {
  DamagedLog log(large(GetParam()));
  with_each_segment(log, [&](std::size_t segment, const std::string& bytes) {
    for (const DamagedLog::Frame& target : log.frames()) {
      if (target.segment != segment) continue;
      for (const DamagedLog::Frame& stale : log.frames()) {
        if (HasFailure() || target.begin + (stale.end - stale.begin) > bytes.size()) continue;
        SCOPED_TRACE("offset " + std::to_string(stale.first_offset) + " over " +
                     std::to_string(target.first_offset));
        std::string mutated = bytes;
        mutated.replace(target.begin, stale.end - stale.begin, log.bytes_of(stale));
        const bool is_later = stale.first_offset >= target.first_offset;
        log.check(segment, mutated, is_later ? stale.durable_up_to : 0);
      }
    }
  });
}

TEST_P(WalMutation, AFrameOfAnotherEpochOrBucket) {
  DamagedLog log(large(GetParam()));
  with_each_segment(log, [&](std::size_t segment, const std::string& bytes) {
    for (const DamagedLog::Frame& frame : log.frames()) {
      if (frame.segment != segment || HasFailure()) continue;
      SCOPED_TRACE("offset " + std::to_string(frame.first_offset));
      for (const auto& [identity, epoch] : {std::pair(log.identity(), log.epoch() + 1),
                                            std::pair(log.identity() + 1, log.epoch())}) {
        const std::string foreign = log.counterfeit(frame, identity, epoch);
        std::string mutated = bytes;
        mutated.replace(frame.begin, foreign.size(), foreign);
        log.check(segment, mutated.substr(0, bytes.size()));
        // As if it had just been written.
        if (frame.end == bytes.size()) log.check(segment, bytes.substr(0, frame.begin) + foreign);
      }
    }
  });
}

TEST_P(WalMutation, FramesSwapped) {
  DamagedLog log(large(GetParam()));
  with_each_segment(log, [&](std::size_t segment, const std::string& bytes) {
    for (std::size_t i = 0; i + 1 < log.frames().size() && !HasFailure(); ++i) {
      const DamagedLog::Frame& left = log.frames()[i];
      const DamagedLog::Frame& right = log.frames()[i + 1];
      if (left.segment != segment || right.segment != segment) continue;
      SCOPED_TRACE("offset " + std::to_string(left.first_offset));
      const std::string mutated = bytes.substr(0, left.begin) + std::string(log.bytes_of(right)) +
                                  std::string(log.bytes_of(left)) + bytes.substr(right.end);
      log.check(segment, mutated, std::max(left.durable_up_to, right.durable_up_to));
    }
  });
}

TEST_P(WalMutation, SomethingAppended) {
  DamagedLog log(large(GetParam()));
  std::mt19937_64 random(1);
  with_each_segment(log, [&](std::size_t segment, const std::string& bytes) {
    for (const DamagedLog::Frame& frame : log.frames()) {
      SCOPED_TRACE("offset " + std::to_string(frame.first_offset) + " again");
      log.check(segment, bytes + std::string(log.bytes_of(frame)));
    }
    for (std::size_t size = 1; size <= 1024 && !HasFailure(); ++size) {
      SCOPED_TRACE(std::to_string(size) + " bytes more");
      log.check(segment, bytes + std::string(size, '\0'));
      std::string garbage(size, '\0');
      for (char& byte : garbage) byte = static_cast<char>(random());
      log.check(segment, bytes + garbage);
    }
  });
}

INSTANTIATE_TEST_SUITE_P(Codecs, WalMutation,
                         ::testing::Values(Compression::kNone, Compression::kZstd),
                         [](const auto& codec) {
                           return codec.param == Compression::kNone ? "None" : "Zstd";
                         });

}  // namespace
}  // namespace persisting
