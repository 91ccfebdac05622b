// BucketStorage: one bucket of a topic and the backend behind it.
// Threads: thread-safe, as its backend is.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "persisting/storage_backend.h"

namespace persisting {

class BucketStorage {
 public:
  // `backend_name` is what messages call the backend.
  BucketStorage(std::uint32_t bucket_id, std::string backend_name,
                std::shared_ptr<StorageBackend> backend)
      : bucket_id_(bucket_id),
        backend_name_(std::move(backend_name)),
        backend_(std::move(backend)) {}

  std::uint32_t bucket_id() const { return bucket_id_; }
  const std::string& backend_name() const { return backend_name_; }
  const std::shared_ptr<StorageBackend>& backend() const { return backend_; }

 private:
  const std::uint32_t bucket_id_;
  const std::string backend_name_;
  const std::shared_ptr<StorageBackend> backend_;
};

}  // namespace persisting
