// open_view over a file system and a table format of the caller's choice.
#pragma once

#include <memory>
#include <string>

#include "persisting/bucket_view.h"

#include "base/file_system.h"
#include "table/default_format.h"

namespace persisting {

Result<std::shared_ptr<BucketView>> open_view(FileSystem& file_system, const TableFormat& format,
                                              const std::string& folder);

}  // namespace persisting
