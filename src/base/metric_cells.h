// The cells that metrics are counted in: plain numbers in memory that other threads, and other processes that map it,
// read while they change.
// Cost:    a relaxed load and store each, no locked instruction, where one thread at a time writes.
// Threads: every cell may be read at any time. A reader of several cells may see them from different moments.
//          Writers: see each call.
// Layout:  all cells are 64 bit; all bits zero is the state of a new cell, so that they can live in fresh pages.
#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace persisting {

static_assert(std::atomic<std::uint64_t>::is_always_lock_free);

// Only goes up.
class Counter {
 public:
  // For one writer at a time (those of one lock).
  void add(std::uint64_t count) {
    value_.store(value_.load(std::memory_order_relaxed) + count, std::memory_order_relaxed);
  }
  std::uint64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> value_{0};
};

// Goes up and down. Any writers; the last one wins.
class Gauge {
 public:
  void set(std::uint64_t value) { value_.store(value, std::memory_order_relaxed); }
  std::uint64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> value_{0};
};

// A distribution over buckets that double: bucket i holds what is at most 2^i steps, the last one everything beyond.
class Histogram {
 public:
  static constexpr std::size_t bounded_buckets = 25;
  static constexpr std::uint64_t nanoseconds_per_step = 1000;  // of durations: 1 µs to 16.8 s

  // For one writer at a time.
  void observe(std::uint64_t value, std::uint64_t steps) {
    counts_[bucket_of(steps)].add(1);
    sum_.add(value);
  }
  void observe_nanoseconds(std::uint64_t nanoseconds) {
    observe(nanoseconds, (nanoseconds + nanoseconds_per_step - 1) / nanoseconds_per_step);
  }

  std::uint64_t sum() const { return sum_.value(); }
  std::uint64_t count(std::size_t bucket) const { return counts_[bucket].value(); }

  static std::size_t bucket_of(std::uint64_t steps) {
    if (steps <= 1) return 0;
    const auto bucket = static_cast<std::size_t>(std::bit_width(steps - 1));
    return bucket < bounded_buckets ? bucket : bounded_buckets;
  }

 private:
  std::array<Counter, bounded_buckets + 1> counts_;
  Counter sum_;
};

}  // namespace persisting
