// The registry: from a backend's name to a factory that makes one.
// "memory", "lance" and "persisting" (and the class names) are there from the start.
// Threads: thread-safe.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "persisting/storage_backend.h"

namespace persisting {

using BackendFactory = std::function<Result<std::shared_ptr<StorageBackend>>(const BackendConfig&)>;

// Registers a factory under a name, replacing an earlier one. kInvalidArgument for an empty name or
// factory.
Status register_backend(std::string name, BackendFactory factory);

// Registers a class with a static `Result<std::shared_ptr<StorageBackend>> open(const BackendConfig&)`.
template <typename Backend>
Status register_backend(std::string name) {
  return register_backend(std::move(name), BackendFactory(&Backend::open));
}

// The factory of that name; kInvalidArgument names the known ones.
Result<BackendFactory> find_backend(std::string_view name);

// Registered names, sorted.
std::vector<std::string> list_backends();

}  // namespace persisting
