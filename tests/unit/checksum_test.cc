#include "base/checksum.h"

#include <array>
#include <cstring>
#include <new>
#include <string>

#include <gtest/gtest.h>

namespace persisting {
namespace {

// On the stack a checksum is made where another has been; what that left must not matter.
TEST(Checksum, DoesNotDependOnTheMemoryItIsMadeIn) {
  constexpr std::uint64_t seed = 0x1122334455667788;
  const std::string bytes(1000, 'x');
  alignas(Checksum) std::array<std::uint64_t, sizeof(Checksum) / sizeof(std::uint64_t)> memory;
  memory.fill(seed);  // so that the state's own seed looks as if it were set
  auto* const checksum = new (memory.data()) Checksum(seed);
  checksum->update(bytes);
  EXPECT_EQ(checksum->digest64(), XXH3_64bits_withSeed(bytes.data(), bytes.size(), seed));
  checksum->~Checksum();
}

TEST(Checksum, OfPiecesIsThatOfTheWhole) {
  Checksum pieces;
  pieces.update("ab");
  pieces.update("");
  pieces.update("c");
  EXPECT_EQ(pieces.digest64(), checksum64("abc"));
}

}  // namespace
}  // namespace persisting
