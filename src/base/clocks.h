// The two clocks of the machine. Thread-safe.
#pragma once

#include <chrono>
#include <cstdint>

namespace persisting {

// Nanoseconds of the monotonic clock; only differences mean anything.
inline std::uint64_t monotonic_ns() {
  return static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(
                                        std::chrono::steady_clock::now().time_since_epoch())
                                        .count());
}

// Microseconds since 1970, UTC.
inline std::int64_t wall_clock_us() {
  return std::chrono::duration_cast<std::chrono::microseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

}  // namespace persisting
