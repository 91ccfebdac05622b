#include "lance/merge_plan.h"

#include <numeric>
#include <random>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/seeds.h"

namespace persisting::lance {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(MergePlan, NothingToGainIsNothingToDo) {
  EXPECT_THAT(plan_merges({}, 100), IsEmpty());
  EXPECT_THAT(plan_merges({5}, 100), IsEmpty());
  EXPECT_THAT(plan_merges({100, 250}, 100), IsEmpty());
  EXPECT_THAT(plan_merges({100, 100, 5}, 100), IsEmpty());
}

TEST(MergePlan, SmallOnesBecomeAFewOfTheTarget) {
  EXPECT_THAT(plan_merges({5, 5, 5}, 100), ElementsAre(Merge{0, 3}));
  EXPECT_THAT(plan_merges({60, 60, 60, 60, 60, 60}, 100),
              ElementsAre(Merge{0, 2}, Merge{2, 2}, Merge{4, 2}));
  EXPECT_THAT(plan_merges({100, 200, 5, 5}, 100), ElementsAre(Merge{2, 2}));
}

TEST(MergePlan, WhatIsMergedReachesToTheEnd) {
  // A large one behind a small one, which would otherwise stand before what is merged.
  EXPECT_THAT(plan_merges({5, 200, 5}, 100), ElementsAre(Merge{0, 3}));
  EXPECT_THAT(plan_merges({5, 5, 200}, 100), ElementsAre(Merge{0, 3}));
}

TEST(MergePlan, EveryPlanIsWithoutGapsAndLeavesNothingToDo) {
  testing::with_seeds(2000, [](std::mt19937_64& random) {
    std::vector<std::uint64_t> rows(random() % 12);
    for (std::uint64_t& count : rows) count = 1 + random() % (random() % 4 == 0 ? 500 : 60);
    const std::vector<Merge> merges = plan_merges(rows, 100);
    if (merges.empty()) return;
    std::vector<std::uint64_t> after(rows.begin(),
                                     rows.begin() + static_cast<std::ptrdiff_t>(merges[0].first));
    std::size_t next = merges[0].first;
    for (const Merge& merge : merges) {
      ASSERT_EQ(merge.first, next);
      ASSERT_GE(merge.count, 2U);
      next += merge.count;
      const auto first = rows.begin() + static_cast<std::ptrdiff_t>(merge.first);
      after.push_back(std::accumulate(first, first + static_cast<std::ptrdiff_t>(merge.count),
                                      std::uint64_t{0}));
    }
    ASSERT_EQ(next, rows.size());
    ASSERT_THAT(plan_merges(after, 100), IsEmpty());
  });
}

}  // namespace
}  // namespace persisting::lance
