// Checksums of everything the library stores: XXH3-64 (xxHash specification 0.8), of which frames keep the low
// 32 bits.
#pragma once

#include <cstdint>
#include <string_view>

#ifndef XXH_INLINE_ALL
#define XXH_INLINE_ALL
#endif
#include <xxhash.h>

namespace persisting {

inline std::uint64_t checksum64(std::string_view bytes) {
  return XXH3_64bits(bytes.data(), bytes.size());
}

inline std::uint64_t checksum64(std::string_view bytes, std::uint64_t seed) {
  return XXH3_64bits_withSeed(bytes.data(), bytes.size(), seed);
}

// Checksum of several pieces as if they were one.
class Checksum {
 public:
  explicit Checksum(std::uint64_t seed = 0) {
    // A state that happens to hold the seed already keeps the secret it has: garbage, on the stack.
    XXH3_INITSTATE(&state_);
    XXH3_64bits_reset_withSeed(&state_, seed);
  }
  void update(std::string_view bytes) { XXH3_64bits_update(&state_, bytes.data(), bytes.size()); }
  std::uint64_t digest64() const { return XXH3_64bits_digest(&state_); }
  std::uint32_t digest32() const { return static_cast<std::uint32_t>(digest64()); }

 private:
  XXH3_state_t state_;
};

}  // namespace persisting
