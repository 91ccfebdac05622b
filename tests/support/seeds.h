// Seeds of random tests. PERSISTING_TEST_SEED replays one run; PERSISTING_TEST_SCALE multiplies the number of runs.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <random>
#include <string>

#include <gtest/gtest.h>

namespace persisting::testing {

inline std::uint64_t number_of_environment(const char* name, std::uint64_t fallback) {
  const char* const given = std::getenv(name);
  return given != nullptr ? std::strtoull(given, nullptr, 10) : fallback;
}

inline bool replays_one_seed() { return std::getenv("PERSISTING_TEST_SEED") != nullptr; }

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool sanitized = true;  // which takes ten times as long
#else
inline constexpr bool sanitized = false;
#endif

// How many runs a test that usually makes `runs` is to make.
inline std::uint64_t scaled(std::uint64_t runs) {
  return runs * number_of_environment("PERSISTING_TEST_SCALE", 1) / (sanitized ? 10 : 1);
}

// Runs `script` with seeds of its own, scaled(runs) times, or with the one of the environment.
template <typename Script>
void with_seeds(std::uint64_t runs, Script script) {
  std::uint64_t seed = number_of_environment("PERSISTING_TEST_SEED", std::random_device{}());
  std::cout << "PERSISTING_TEST_SEED=" << seed << std::endl;  // NOLINT: a crash must not lose it
  runs = replays_one_seed() ? 1 : scaled(runs);
  for (std::uint64_t run = 0; run < runs; ++run, ++seed) {
    SCOPED_TRACE("PERSISTING_TEST_SEED=" + std::to_string(seed));
    std::mt19937_64 random(seed);
    script(random);
    if (::testing::Test::HasFailure()) return;
  }
}

}  // namespace persisting::testing
