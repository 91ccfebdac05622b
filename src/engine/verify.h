// verify_bucket and repair_bucket over a file system and a table format of the caller's choice.
#pragma once

#include <string>

#include "persisting/verify.h"

#include "base/file_system.h"
#include "engine/engine_options.h"
#include "table/default_format.h"

namespace persisting {

Result<VerifyReport> verify_bucket(FileSystem& file_system, const TableFormat& format,
                                   const std::string& folder);
Result<RepairReport> repair_bucket(FileSystem& file_system, const TableFormat& format,
                                   const std::string& folder, const std::string& into);

}  // namespace persisting
