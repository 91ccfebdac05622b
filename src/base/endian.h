// Fixed-width little-endian integers, as every file of the library stores them.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <string>

namespace persisting {

static_assert(std::endian::native == std::endian::little,
              "the on-disk formats are written by memcpy on little-endian machines");

template <typename T>
void append_little_endian(std::string& out, T value) {
  char bytes[sizeof(T)];
  std::memcpy(bytes, &value, sizeof(T));
  out.append(bytes, sizeof(T));
}

template <typename T>
void store_little_endian(char* to, T value) {
  std::memcpy(to, &value, sizeof(T));
}

template <typename T>
T load_little_endian(const char* from) {
  T value;
  std::memcpy(&value, from, sizeof(T));
  return value;
}

}  // namespace persisting
