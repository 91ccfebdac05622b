// StorageManager: owns the open buckets of a process, so that every queue on a topic uses the same ones.
// Threads: thread-safe.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "persisting/backend_registry.h"
#include "persisting/bucket_storage.h"

namespace persisting {

class StorageManager {
 public:
  // The manager of this process.
  static const std::shared_ptr<StorageManager>& process();

  // The bucket with this config's id and storage path: the open one, or a new one made by `factory`.
  // kInvalidArgument where it is open with another backend; the message has both names.
  Result<std::shared_ptr<BucketStorage>> open_bucket(const BackendConfig& config,
                                                     const std::string& backend_name,
                                                     const BackendFactory& factory);

  // Number of open buckets.
  std::size_t bucket_count() const;

 private:
  using Key = std::pair<std::string, std::uint32_t>;  // storage path, bucket id

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  // Under mutex_. A bucket lives as long as somebody uses it. An entry whose bucket is null is being opened.
  struct Entry {
    bool opening = true;
    std::weak_ptr<BucketStorage> bucket;
  };
  std::map<Key, Entry> buckets_;
};

}  // namespace persisting
