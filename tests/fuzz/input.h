// What every fuzz target needs: a way to take an input apart, and a way to say that a property does
// not hold.
// Elsewhere: how each target's input is laid out, in layout.h.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string_view>

namespace persisting::fuzz {

// Ends the program where a property does not hold: what a fuzzer takes for a find, and ctest for a
// failure.
inline void require(bool holds, const char* property) {
  if (holds) return;
  (void)std::fprintf(stderr, "property does not hold: %s\n", property);
  std::abort();
}

// Takes an input apart front to back. Of what is not there every byte is zero, so that each input
// means something.
class Input {
 public:
  Input(const std::uint8_t* data, std::size_t size)
      : rest_(reinterpret_cast<const char*>(data), size) {}

  template <typename T>
  T number() {
    const std::string_view bytes = take(sizeof(T));
    T value{};
    std::memcpy(&value, bytes.data(), bytes.size());
    return value;
  }
  std::string_view take(std::size_t bytes) {
    const std::string_view taken = rest_.substr(0, bytes);
    rest_.remove_prefix(taken.size());
    return taken;
  }
  std::string_view rest() const { return rest_; }

 private:
  std::string_view rest_;
};

}  // namespace persisting::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);
