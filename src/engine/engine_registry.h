// The open engines of this process, one for each bucket folder.
// Why: Pulsing stops a bucket's actor without closing its backend, and may open the bucket again in the same process. The
//      second opener must neither be refused because of the first nor write beside it: both get one engine.
// Guarantee: an engine is shut down once its last lease is gone. That happens on a pool thread, never in the thread that
//            drops the lease (it may hold Python's GIL, which a flush needs); who opens the bucket meanwhile waits.
// Fork:      a child has a registry of its own; leases that it got from its parent do nothing any more.
// Threads:   thread-safe.
#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "engine/bucket_engine.h"

namespace persisting {

// A share of an engine.
class EngineLease {
 public:
  EngineLease(std::shared_ptr<BucketEngine> engine, std::string key);
  ~EngineLease();
  EngineLease(const EngineLease&) = delete;
  EngineLease& operator=(const EngineLease&) = delete;

  const std::shared_ptr<BucketEngine>& engine() const { return *engine_; }

 private:
  std::unique_ptr<std::shared_ptr<BucketEngine>>
      engine_;             // on the heap, so that a child can leak it
  const std::string key_;  // empty: the engine is not shared
  const std::uint64_t fork_generation_;
};

class EngineRegistry {
 public:
  static EngineRegistry& instance();

  // Shares the folder's engine or opens one. kInvalidArgument where it is open with other options, naming the first that
  // differs.
  Result<std::shared_ptr<EngineLease>> open(const EngineOptions& options,
                                            const EngineEnvironment& environment);

  // Gives one lease back; with the last one the engine's shutdown begins. Called by EngineLease.
  void release(const std::string& key, const std::shared_ptr<BucketEngine>& engine);

  // Calls `done` once no engine of this folder is on its way out; at once where none is.
  void when_released(const std::string& folder, std::function<void()> done);

 private:
  enum class State : std::uint8_t { kOpening, kOpen, kClosing };
  struct Entry {
    State state = State::kOpening;
    std::shared_ptr<BucketEngine> engine;
    std::size_t leases = 0;
    std::vector<std::function<void()>> when_released;
  };

  std::mutex mutex_;
  std::condition_variable changed_;
  // Under mutex_.
  std::unordered_map<std::string, Entry> entries_;
};

}  // namespace persisting
