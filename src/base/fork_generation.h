#pragma once

#include <cstdint>

namespace persisting {

// Counts forks: differs between a parent and its forked child. Objects that own threads or locks remember it and
// refuse calls in the child. Thread-safe.
std::uint64_t fork_generation();

}  // namespace persisting
