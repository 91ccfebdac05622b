// Threads: a free function.
#pragma once

#include <cstddef>
#include <string_view>

namespace persisting::testing {

// Where the last frame of a segment ends, whose records do not end in zeros: the room begins there.
inline std::size_t log_end(std::string_view segment) {
  constexpr std::size_t alignment = 8;
  return (segment.find_last_not_of('\0') + alignment) / alignment * alignment;
}

}  // namespace persisting::testing
