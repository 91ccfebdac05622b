// The listeners of one bucket.
// Guarantee: once a Subscription's destructor has returned, its listener is not running and never runs again.
// Threads:   thread-safe; a listener must not subscribe or unsubscribe.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>

#include "persisting/storage_backend.h"

namespace persisting {

class Subscribers {
 public:
  Subscribers() : state_(std::make_shared<State>()) {}

  std::unique_ptr<Subscription> add(std::function<void()> listener);
  void notify() const;

 private:
  struct State {
    std::mutex mutex;
    std::map<std::uint64_t, std::function<void()>> listeners;  // under mutex
    std::uint64_t next_id = 0;                                 // under mutex
    std::atomic<std::size_t> count{0};                         // of listeners: spares puts the lock
  };
  class Entry;
  const std::shared_ptr<State>
      state_;  // shared with the subscriptions, which may outlive the bucket
};

}  // namespace persisting
