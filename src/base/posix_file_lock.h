// The lock behind FileSystem::lock_file: flock(2) on an open file that also holds the owner's process id.
// Guarantee: held until the FileLock goes or its process ends, however that happens. A forked child neither
//            holds nor releases it; neither does a program that the process executes.
// Threads:   thread-safe.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include <sys/types.h>

#include "base/file_system.h"

namespace persisting::posix {

Result<std::unique_ptr<FileLock>> lock_file(const std::string& path, mode_t mode);

// The process that holds the lock; see FileSystem::lock_holder.
Result<std::optional<std::int64_t>> lock_holder(const std::string& path);

}  // namespace persisting::posix
