#include "lance/tier_plan.h"

#include <algorithm>

namespace persisting::lance {
namespace {

// Looks for a merge among the fragments that are in `tier` or below it, by rows below `tier_end`.
class TierSearch {
 public:
  TierSearch(const TierRules& rules, std::uint64_t tier_end, bool is_last)
      : rules_(rules), tier_end_(tier_end), is_last_(is_last) {}

  // Takes in the next fragment. Returns whether what is gathered is to be merged.
  bool add(std::size_t index, const FragmentSize& fragment) {
    if (is_full(fragment) || fragment.rows >= tier_end_) {
      const bool complete = is_worth_it();
      if (!complete) run_ = {index + 1, 0};
      if (!complete) gathered_ = {};
      return complete;
    }
    run_.count += 1;
    gathered_.rows += fragment.rows;
    gathered_.bytes += fragment.bytes;
    return run_.count > 1 && is_full(gathered_);
  }
  bool is_worth_it() const {
    if (is_last_ && run_.count > rules_.most_neighbours) return true;
    return run_.count >= rules_.fanout && gathered_.rows >= tier_end_;
  }
  Merge run() const { return run_; }

 private:
  bool is_full(const FragmentSize& fragment) const {
    return fragment.rows >= rules_.full_rows || fragment.bytes >= rules_.full_bytes;
  }

  const TierRules& rules_;
  const std::uint64_t tier_end_;
  const bool is_last_;
  Merge run_;
  FragmentSize gathered_;
};

}  // namespace

std::optional<Merge> plan_tier(const std::vector<FragmentSize>& fragments, const TierRules& rules) {
  // The smallest first: they are many, and cheap to merge.
  std::uint64_t tier_end = 1;
  while (tier_end < rules.full_rows) {
    tier_end = std::min(tier_end * rules.fanout, rules.full_rows);
    TierSearch search(rules, tier_end, tier_end == rules.full_rows);
    for (std::size_t i = 0; i < fragments.size(); ++i)
      if (search.add(i, fragments[i])) return search.run();
    if (search.is_worth_it()) return search.run();
  }
  return std::nullopt;
}

}  // namespace persisting::lance
