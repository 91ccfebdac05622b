#include "base/utf8.h"

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace persisting {
namespace {

// Most text is ASCII: passes over it eight bytes at a time.
const unsigned char* skip_ascii(const unsigned char* at, const unsigned char* end) {
  constexpr std::uint64_t high_bits = 0x8080808080808080u;
  while (end - at >= 8) {
    std::uint64_t word;
    std::memcpy(&word, at, sizeof(word));
    if ((word & high_bits) != 0) break;
    at += 8;
  }
  while (at != end && *at < 0x80) ++at;
  return at;
}

// Length of the sequence of two to four bytes that starts at `at`; 0 where it is none.
std::ptrdiff_t sequence_length(const unsigned char* at, const unsigned char* end) {
  // The second byte's range is what rules out overlong forms, surrogates and too large code points.
  const unsigned char lead = at[0];
  std::ptrdiff_t length = 0;
  unsigned char low = 0x80;
  unsigned char high = 0xbf;
  if (lead >= 0xc2 && lead <= 0xdf) {
    length = 2;
  } else if (lead >= 0xe0 && lead <= 0xef) {
    length = 3;
    if (lead == 0xe0) low = 0xa0;
    if (lead == 0xed) high = 0x9f;
  } else if (lead >= 0xf0 && lead <= 0xf4) {
    length = 4;
    if (lead == 0xf0) low = 0x90;
    if (lead == 0xf4) high = 0x8f;
  } else {
    return 0;
  }
  if (end - at < length || at[1] < low || at[1] > high) return 0;
  for (std::ptrdiff_t i = 2; i < length; ++i) {
    if ((at[i] & 0xc0) != 0x80) return 0;
  }
  return length;
}

}  // namespace

bool is_utf8_beyond_ascii(std::string_view text) {
  const auto* at = reinterpret_cast<const unsigned char*>(text.data());
  const auto* end = at + text.size();
  for (at = skip_ascii(at, end); at != end; at = skip_ascii(at, end)) {
    const std::ptrdiff_t length = sequence_length(at, end);
    if (length == 0) return false;
    at += length;
  }
  return true;
}

}  // namespace persisting
