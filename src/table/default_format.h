// The process's table format. The Lance layer sets it when an engine is registered; the bucket engine asks for it, so
// that neither knows the other.
// Threads: thread-safe.
#pragma once

#include "table/table.h"
#include "table/table_inspection.h"

namespace persisting {

struct TableFormat {
  TableOpener open;
  TableInspector inspect;
};

// One without functions takes it away.
void set_table_format(TableFormat format);

// Without functions where none was set.
TableFormat table_format();

}  // namespace persisting
