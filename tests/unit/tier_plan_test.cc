#include "lance/tier_plan.h"

#include <cmath>
#include <numeric>
#include <random>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/seeds.h"

namespace persisting::lance {
namespace {

std::vector<FragmentSize> fragments_of(const std::vector<std::uint64_t>& rows) {
  std::vector<FragmentSize> fragments;
  for (const std::uint64_t count : rows) fragments.push_back({count, 100 * count});
  return fragments;
}

std::optional<Merge> plan(const std::vector<std::uint64_t>& rows) {
  return plan_tier(fragments_of(rows));
}

TEST(TierPlan, FewFragmentsStay) {
  EXPECT_EQ(plan({}), std::nullopt);
  EXPECT_EQ(plan({5}), std::nullopt);
  EXPECT_EQ(plan({10, 10, 10, 10, 10, 10, 10}), std::nullopt);
}

TEST(TierPlan, EightOfATierBecomeOne) {
  EXPECT_EQ(plan({10, 10, 10, 10, 10, 10, 10, 10}), (Merge{0, 8}));
  EXPECT_EQ(plan({5000, 10, 10, 10, 10, 10, 10, 10, 10}), (Merge{1, 8}));
  EXPECT_EQ(plan({5000, 10, 10, 10, 10, 10, 10, 10, 10, 5000}), (Merge{1, 8}));
}

TEST(TierPlan, ALargeOneIsNotWrittenAnewForAFewRows) {
  EXPECT_EQ(plan({5000, 1, 1, 1, 1, 1, 1, 1}), std::nullopt);
  // In this order they have no neighbours of their own tier.
  EXPECT_EQ(plan({5000, 1, 5000, 1, 5000, 1, 5000, 1, 5000, 1}), std::nullopt);
  EXPECT_EQ(plan({5000, 1, 5000, 1, 5000, 1, 5000, 1, 5000, 1, 5000, 1, 5000}), (Merge{0, 13}));
}

TEST(TierPlan, WhatIsFullStays) {
  const std::uint64_t full = TierRules().full_rows;
  EXPECT_EQ(plan(std::vector<std::uint64_t>(20, full)), std::nullopt);
  EXPECT_EQ(plan_tier(std::vector<FragmentSize>(20, {3, TierRules().full_bytes})), std::nullopt);
  // As many as fill one; the others wait.
  EXPECT_EQ(plan(std::vector<std::uint64_t>(10, full / 3)), (Merge{0, 4}));
  EXPECT_EQ(plan_tier(std::vector<FragmentSize>(20, {9, TierRules().full_bytes / 8})),
            (Merge{0, 8}));
}

TEST(TierPlan, ManyOfAnySizeBecomeOne) {
  // Each is too large for those behind it.
  std::vector<std::uint64_t> rows;
  for (std::uint64_t tier = 1 << 15; tier > 0; tier /= 8)
    for (int i = 0; i < 7; ++i) rows.push_back(tier);
  rows.insert(rows.begin(), 40, 40'000);
  for (std::optional<Merge> merge; (merge = plan(rows));) {
    const auto first = rows.begin() + static_cast<std::ptrdiff_t>(merge->first);
    const auto end = first + static_cast<std::ptrdiff_t>(merge->count);
    *first = std::accumulate(first, end, std::uint64_t{0});
    rows.erase(first + 1, end);
  }
  EXPECT_LE(rows.size(), TierRules().most_neighbours);
}

// A table that gets flushes for a long time, and is maintained after each eighth, as the engine does.
class Growth {
 public:
  void flush(std::uint64_t rows) {
    fragments_.push_back({rows, first_ + rows, 0});
    first_ += rows;
    if (++flushes_ % 8 != 0) return;
    for (std::optional<Merge> merge; (merge = next());) apply(*merge);
  }
  void apply(const Merge& merge) {
    ASSERT_GE(merge.count, 2U);
    ASSERT_LE(merge.first + merge.count, fragments_.size());
    Fragment merged;
    for (std::size_t i = merge.first; i < merge.first + merge.count; ++i) {
      ASSERT_LT(fragments_[i].rows, TierRules().full_rows);
      merged.rows += fragments_[i].rows;
      merged.end = fragments_[i].end;
      merged.times_written = std::max(merged.times_written, fragments_[i].times_written + 1);
    }
    ASSERT_LT(merged.rows, 2 * TierRules().full_rows);
    written_ += merged.rows;
    const auto first = fragments_.begin() + static_cast<std::ptrdiff_t>(merge.first);
    fragments_.erase(first, first + static_cast<std::ptrdiff_t>(merge.count));
    fragments_.insert(fragments_.begin() + static_cast<std::ptrdiff_t>(merge.first), merged);
  }
  std::optional<Merge> next() const {
    std::vector<std::uint64_t> rows;
    for (const Fragment& fragment : fragments_) rows.push_back(fragment.rows);
    return plan(rows);
  }

  struct Fragment {
    std::uint64_t rows = 0;
    std::uint64_t end = 0;
    std::uint64_t times_written = 0;
  };
  std::vector<Fragment> fragments_;
  std::uint64_t first_ = 0;
  std::uint64_t flushes_ = 0;
  std::uint64_t written_ = 0;  // by merges, in rows
};

double log8(double value) { return std::log2(value) / 3; }

TEST(TierPlan, FragmentsAndWritesStayFewWhateverIsFlushed) {
  testing::with_seeds(60, [](std::mt19937_64& random) {
    Growth growth;
    const std::uint64_t largest = 1 + random() % (random() % 2 == 0 ? 20 : 3000);
    const std::uint64_t smallest = random() % 2 == 0 ? largest : 1 + largest / 4;
    while (growth.flushes_ < 4000) {
      growth.flush(smallest + random() % (largest - smallest + 1));
      if (::testing::Test::HasFatalFailure()) return;
      if (growth.flushes_ % 8 != 0) continue;
      const auto total = static_cast<double>(growth.first_);
      const double full = total / static_cast<double>(TierRules().full_rows);
      const double tiers = 1 + log8(total / static_cast<double>(smallest));
      ASSERT_LE(static_cast<double>(growth.fragments_.size()), full + 8 * tiers);
      ASSERT_LE(static_cast<double>(growth.written_), total * tiers);
    }
    // Each row is where it was: fragments are without a gap, in order.
    std::uint64_t next = 0;
    for (const Growth::Fragment& fragment : growth.fragments_) {
      next += fragment.rows;
      ASSERT_EQ(fragment.end, next);
      ASSERT_LE(fragment.times_written, 7U);
    }
    ASSERT_EQ(next, growth.first_);
  });
}

TEST(TierPlan, FragmentsStayFewForTheWorstOfFlushes) {
  testing::with_seeds(60, [](std::mt19937_64& random) {
    Growth growth;
    while (growth.flushes_ < 4000) {
      growth.flush(std::uint64_t{1} << (random() % (1 + random() % 20)));
      if (::testing::Test::HasFatalFailure()) return;
      if (growth.flushes_ % 8 != 0) continue;
      const std::uint64_t full = growth.first_ / TierRules().full_rows;
      ASSERT_LE(growth.fragments_.size(), full + (full + 1) * TierRules().most_neighbours);
      ASSERT_LE(growth.written_, 8 * growth.first_);
    }
  });
}

}  // namespace
}  // namespace persisting::lance
