// Which integers a double column can hold.
#pragma once

#include <cstdint>

namespace persisting {

// Up to here every integer has a double of its own; beyond, two integers may share one.
inline constexpr std::int64_t max_exact_integer = std::int64_t{1} << 53;

inline constexpr bool is_exact_double(std::int64_t value) {
  return value >= -max_exact_integer && value <= max_exact_integer;
}

}  // namespace persisting
