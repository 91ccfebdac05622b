// Small pieces shared by the sources of BucketEngine and its backends.
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "persisting/result.h"

#include "engine/bucket_engine.h"
#include "wal/wal.h"

namespace persisting {

// Encoded bytes of the largest batch: with its record lengths it fits a frame of the log.
inline constexpr std::size_t max_batch_bytes = Wal::max_frame_bytes / 2;

// Turns a callback into a blocking wait. The callback may outlive the wait's caller only until wait() returns.
template <typename T>
class Waiter {
 public:
  std::function<void(T)> callback() {
    return [this](T value) {
      const std::lock_guard lock(mutex_);
      value_.emplace(std::move(value));
      // Under the lock: the waiter may be gone as soon as it is released.
      arrived_.notify_one();
    };
  }
  T wait() {
    std::unique_lock lock(mutex_);
    arrived_.wait(lock, [this] { return value_.has_value(); });
    return *std::move(value_);
  }

 private:
  std::mutex mutex_;
  std::condition_variable arrived_;
  std::optional<T> value_;  // under mutex_
};

inline void run(const std::vector<std::function<void()>>& callbacks) {
  for (const auto& callback : callbacks) callback();
}

inline Error closed_error() {
  return make_error(ErrorCode::kClosed, "the bucket is closed; open it again");
}

inline Error forked_error() {
  return make_error(ErrorCode::kClosed,
                    "the bucket was opened before this process was forked; open it again in this "
                    "process, once the "
                    "parent has closed it");
}

inline std::string_view name_of(Compression compression) {
  switch (compression) {
    case Compression::kNone:
      return "none";
    case Compression::kZstd:
      return "zstd";
    case Compression::kLz4:
      return "lz4";
    case Compression::kSnappy:
      return "snappy";
  }
  return "none";
}

}  // namespace persisting
