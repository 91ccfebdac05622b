// Files of a POSIX machine that are open for appending.
#pragma once

#include <memory>
#include <string>

#include <sys/types.h>

#include "base/file_system.h"

namespace persisting::posix {

// Creates the file where it is not there; its folder is not synced.
Result<std::unique_ptr<WritableFile>> open_writable_file(const std::string& path, mode_t mode);

}  // namespace persisting::posix
