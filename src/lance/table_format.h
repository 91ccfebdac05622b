#pragma once

#include "persisting/lance_engine.h"

#include "base/file_system.h"
#include "table/default_format.h"

namespace persisting::lance {

// Lance tables on a file system, by an engine; both must outlive what it opens.
TableFormat make_table_format(FileSystem& file_system, const persisting_lance_engine& engine);

}  // namespace persisting::lance
