// Checks that text is UTF-8, before it becomes Arrow's utf8, which everybody downstream trusts.
// Threads: free functions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace persisting {

// Whether all bytes are below 0x80; most text is.
inline bool is_ascii(std::string_view text) {
  constexpr std::uint64_t high_bits = 0x8080808080808080u;
  std::uint64_t found = 0;
  const auto look_at = [&](std::size_t at, std::size_t bytes) {
    std::uint64_t word = 0;
    std::memcpy(&word, text.data() + at, bytes);
    found |= word;
  };
  if (text.size() < 8) {
    // Of a fixed size each, these are no calls.
    if (text.size() >= 4) {
      look_at(0, 4);
      look_at(text.size() - 4, 4);
    } else {
      for (const char each : text) found |= static_cast<unsigned char>(each);
    }
  } else {
    for (std::size_t at = 0; at + 8 < text.size(); at += 8) look_at(at, 8);
    look_at(text.size() - 8, 8);
  }
  return (found & high_bits) == 0;
}

bool is_utf8_beyond_ascii(std::string_view text);

// Refuses what the standard does: overlong forms, surrogates, code points above U+10FFFF, cut ends.
inline bool is_utf8(std::string_view text) { return is_ascii(text) || is_utf8_beyond_ascii(text); }

}  // namespace persisting
