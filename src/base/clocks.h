// The two clocks of the machine. Thread-safe but for the stopwatch.
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

// Durations of calls that take hardly longer than two looks at a clock: one call in sixteen is measured, and stands for
// those up to the next. Thread-compatible.
class SampledStopwatch {
 public:
  void begin() { begun_ns_ = calls_ % 16 == 0 ? monotonic_ns() : 0; }
  // Nanoseconds since begin(), or of the call that stands for this one.
  std::uint64_t end() {
    ++calls_;
    if (begun_ns_ != 0) last_ns_ = monotonic_ns() - begun_ns_;
    return last_ns_;
  }

 private:
  std::uint64_t calls_ = 0;
  std::uint64_t begun_ns_ = 0;
  std::uint64_t last_ns_ = 0;
};

}  // namespace persisting
