// What the process has in memory, from /proc/self/status.
#pragma once

#include <cstdint>

struct ProcessMemory {
  std::uint64_t anonymous_bytes = 0;  // its own: neither mapped files nor the page cache
  std::uint64_t peak_bytes = 0;       // the most that was ever resident, mapped files included
};

// Ends the program where the kernel does not tell.
ProcessMemory process_memory();
