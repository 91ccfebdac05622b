#include "lance/merge_plan.h"

#include <algorithm>

namespace persisting::lance {

std::vector<Merge> plan_merges(const std::vector<std::uint64_t>& rows, std::uint64_t target_rows) {
  const auto small = std::find_if(
      rows.begin(), rows.end(), [target_rows](std::uint64_t count) { return count < target_rows; });
  std::vector<Merge> merges;
  std::uint64_t merged_rows = 0;
  for (auto fragment = small; fragment != rows.end(); ++fragment) {
    const bool full = merges.empty() || (merged_rows >= target_rows && merges.back().count > 1);
    if (full) {
      merges.push_back({static_cast<std::size_t>(fragment - rows.begin()), 0});
      merged_rows = 0;
    }
    merges.back().count += 1;
    merged_rows += *fragment;
  }
  if (merges.empty() || merges.back().count > 1) return merges;
  // A fragment by itself is none to write anew; but it cannot stay behind others that are.
  merges.pop_back();
  if (!merges.empty()) merges.back().count += 1;
  return merges;
}

}  // namespace persisting::lance
