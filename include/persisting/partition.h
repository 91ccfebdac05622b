// Which bucket a record belongs to: exactly Pulsing's rule, so that both find each other's records.
// Threads: free functions.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "persisting/result.h"
#include "persisting/value.h"

namespace persisting {

// The MD5 digest of `text` (UTF-8), read as a big-endian integer, modulo num_buckets (at least 1).
std::uint32_t bucket_of_text(std::string_view text, std::uint32_t num_buckets);

// The text that Python's str() gives for the value; "" for None. kWrongType for values other than None, bool, int, float
// and str: their text is not defined across languages.
Result<std::string> partition_text(const Value& value);

// The buckets of consumer `rank` of `world_size`, round robin: 4 buckets, 3 consumers: {0, 3}, {1}, {2}.
// kInvalidArgument where rank is not below world_size.
Result<std::vector<std::uint32_t>> assign_buckets(std::uint32_t num_buckets, std::uint32_t rank,
                                                  std::uint32_t world_size);

}  // namespace persisting
