// Which fragments the maintenance in the background merges next.
// Fragments are in tiers by their rows: 1 to 7, 8 to 63, 64 to 511 and so on. A merge takes neighbours that come to at least
// eight and reach a higher tier than any of them. So a row is written anew at most once for each tier, and of
// fragments of about one size at most seven stay in each tier.
// Threads: free functions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "lance/fragment_list.h"
#include "lance/merge_plan.h"

namespace persisting::lance {

struct TierRules {
  std::uint64_t fanout = 8;
  // A fragment with so many of either is full: it is never written anew.
  std::uint64_t full_rows = 1ULL << 20;
  std::uint64_t full_bytes = 512ULL << 20;
  // Neighbours that are not full of which more are merged whatever their sizes.
  std::uint64_t most_neighbours = 64;
};

// The next merge of these fragments; none: they are few enough. What it writes is below twice of what is full.
std::optional<Merge> plan_tier(const std::vector<FragmentSize>& fragments,
                               const TierRules& rules = {});

}  // namespace persisting::lance
