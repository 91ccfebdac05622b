#include "tail/tail.h"

#include <random>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "support/seeds.h"

namespace persisting {
namespace {

struct Kept {
  std::string bytes;
  std::int64_t timestamp_us = 0;
};

void expect_holds(const Tail& tail, const std::vector<Kept>& all, std::uint64_t begin) {
  ASSERT_EQ(tail.next_offset(), all.size());
  std::uint64_t offset = begin;
  for (const TailSlice& slice : tail.slice(begin, all.size())) {
    ASSERT_EQ(slice.first_offset(), offset);
    ASSERT_GT(slice.count, 0U);
    std::size_t bytes = 0;
    for (std::size_t i = slice.first; i < slice.first + slice.count; ++i, ++offset) {
      ASSERT_EQ(slice.chunk->records()->record(i), all[offset].bytes);
      ASSERT_EQ(slice.chunk->timestamp_us(i), all[offset].timestamp_us);
      bytes += all[offset].bytes.size();
    }
    ASSERT_EQ(slice.byte_size(), bytes);
  }
  ASSERT_EQ(offset, all.size());
}

TEST(Tail, GivesBackWhatItGotAndWhen) {
  testing::with_seeds(30, [](std::mt19937_64& random) {
    Tail tail(0);
    std::vector<Kept> all;
    std::int64_t now_us = 1'700'000'000'000'000;
    for (int put = 0; put < 60; ++put) {
      // A clock may stand, go back, or be set to another day.
      const std::int64_t day_us = 86'400'000'000;
      now_us += std::vector<std::int64_t>{0, 1, 1000, -500, day_us, -day_us}[random() % 6];
      const auto record = [&](std::size_t most) {
        return std::string(1 + random() % most, static_cast<char>('a' + random() % 26));
      };
      if (random() % 2 == 0) {
        all.push_back({record(2000), now_us});
        tail.append(all.back().bytes, now_us);
      } else {
        // Now and then so many that the batch is taken over as it is.
        RecordBatch batch;
        const std::size_t count = 1 + random() % 300;
        for (std::size_t i = 0; i < count; ++i) {
          all.push_back({record(3000), now_us});
          batch.add_encoded(all.back().bytes);
        }
        const std::string expected = batch.bytes();
        ASSERT_EQ(tail.append(std::move(batch), now_us), expected);
      }
    }
    expect_holds(tail, all, 0);
    const std::uint64_t kept_from = random() % all.size();
    tail.drop_below(kept_from);
    expect_holds(tail, all, kept_from);
  });
}

}  // namespace
}  // namespace persisting
