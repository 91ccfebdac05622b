// One object for each process of a fork: what holds locks or threads cannot be shared with a child.
// Never destroyed: static objects that go at exit, and threads that run until then, may still use it.
#pragma once

#include <atomic>
#include <cstdint>

#include "base/fork_generation.h"

namespace persisting {

// T must be default-constructible, and constructing one that is thrown away must be harmless. Thread-safe.
template <typename T>
class PerProcess {
 public:
  T& instance() {
    Owned* owned = current_.load(std::memory_order_acquire);
    if (owned != nullptr && owned->generation == fork_generation()) return owned->object;
    auto* const made = new Owned{fork_generation(), {}};
    if (current_.compare_exchange_strong(owned, made, std::memory_order_acq_rel))
      return made->object;  // a parent's object, if there was one, is leaked
    delete made;
    return owned->object;
  }

 private:
  struct Owned {
    const std::uint64_t generation;
    T object;
  };
  std::atomic<Owned*> current_{nullptr};
};

}  // namespace persisting
