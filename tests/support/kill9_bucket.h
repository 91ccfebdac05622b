// What the program that is killed and the test that kills it agree on.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "persisting/value.h"

#include "engine/bucket_engine.h"
#include "support/simulated_lance.h"

namespace persisting::testing {

// The record with this number of this producer; its text has up to 300 bytes, so that frames have many sizes.
inline Struct kill9_record(int producer, std::int64_t number) {
  const auto size = static_cast<std::size_t>((number * 7919 + producer) % 300);
  return {{"producer", producer}, {"number", number}, {"text", std::string(size, 'x')}};
}

// Small, so that flushes and new segments are under way when the kill comes.
inline EngineOptions kill9_options(const std::string& folder) {
  EngineOptions options;
  options.backend = "persisting";
  options.folder = folder;
  options.has_table = true;
  options.has_wal = true;
  options.max_wal_bytes = 8'000;
  options.flush.bytes = 3'000;
  return options;
}

inline EngineEnvironment kill9_environment(SimulatedLance& lance) {
  EngineEnvironment environment = default_environment();
  environment.open_table = lance.opener();
  return environment;
}

}  // namespace persisting::testing
