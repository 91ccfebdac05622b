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
  // `backend_name` is what messages call the backend; `config` is what it was made from.
  BucketStorage(BackendConfig config, std::string backend_name,
                std::shared_ptr<StorageBackend> backend)
      : config_(std::move(config)),
        backend_name_(std::move(backend_name)),
        backend_(std::move(backend)) {}

  const BackendConfig& config() const { return config_; }
  const std::string& backend_name() const { return backend_name_; }
  const std::shared_ptr<StorageBackend>& backend() const { return backend_; }

 private:
  const BackendConfig config_;
  const std::string backend_name_;
  const std::shared_ptr<StorageBackend> backend_;
};

}  // namespace persisting
