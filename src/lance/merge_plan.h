// Which fragments a compaction merges.
// Lance puts new fragments behind those that stay, whatever rows they hold, and reads are by position. So what is merged always
// reaches to the last fragment: the order of rows stays.
// Threads: free functions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace persisting::lance {

// Neighbouring fragments that become one.
struct Merge {
  std::size_t first = 0;
  std::size_t count = 0;  // at least 2
  bool operator==(const Merge&) const = default;
};

// Merges of the fragments with these numbers of rows, in order and without a gap, from the first fragment on that has fewer
// than `target_rows`. Each makes one of at least that many rows, the last one perhaps of fewer. None: there is nothing to gain.
std::vector<Merge> plan_merges(const std::vector<std::uint64_t>& rows, std::uint64_t target_rows);

}  // namespace persisting::lance
