// TableInspection over the Lance format.
#pragma once

#include <memory>
#include <string>

#include "persisting/lance_engine.h"

#include "base/file_system.h"
#include "table/table_inspection.h"

namespace persisting::lance {

std::unique_ptr<TableInspection> inspect_table(FileSystem& file_system,
                                               const persisting_lance_engine& engine,
                                               std::string path);

}  // namespace persisting::lance
