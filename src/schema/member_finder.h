// Finds the members of a struct by name, in the order a record gives them: usually the schema's.
// Threads: thread-compatible; looks into a schema that must outlive it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "schema/schema.h"

namespace persisting {

class MemberFinder {
 public:
  static constexpr std::size_t not_found = static_cast<std::size_t>(-1);

  // A struct's members. A scan finds them where the order differs: structs are small.
  explicit MemberFinder(const std::vector<SchemaField>& members) : members_(members) {}
  // A record's fields. The schema's index finds them where the order differs.
  explicit MemberFinder(const Schema& schema) : members_(schema.fields()), schema_(&schema) {}

  // The index of the member `name`, or not_found.
  std::size_t find(std::string_view name) {
    if (next_ < members_.size() && members_[next_].name == name) return next_++;
    return search(name);
  }

 private:
  std::size_t search(std::string_view name) {
    std::size_t index = not_found;
    if (schema_ != nullptr) {
      index = schema_->find(name).value_or(not_found);
    } else {
      for (std::size_t i = 0; i < members_.size() && index == not_found; ++i) {
        if (members_[i].name == name) index = i;
      }
    }
    if (index != not_found) next_ = index + 1;
    return index;
  }

  const std::vector<SchemaField>& members_;
  const Schema* schema_ = nullptr;
  std::size_t next_ = 0;
};

// The members of one struct that were met so far. Allocates only beyond 64 members.
class MemberSet {
 public:
  // False where the member is in already.
  bool insert(std::size_t index) {
    if (index < 64) return set_bit(first_, index);
    const std::size_t word = index / 64 - 1;
    if (word >= rest_.size()) rest_.resize(word + 1);
    return set_bit(rest_[word], index % 64);
  }

 private:
  static bool set_bit(std::uint64_t& word, std::size_t bit) {
    const std::uint64_t mask = std::uint64_t{1} << bit;
    if ((word & mask) != 0) return false;
    word |= mask;
    return true;
  }

  std::uint64_t first_ = 0;
  std::vector<std::uint64_t> rest_;
};

}  // namespace persisting
