// The process's way of opening tables. The Lance layer sets it when an engine is registered; the bucket engine
// asks for it, so that neither knows the other.
// Threads: thread-safe.
#pragma once

#include "table/table.h"

namespace persisting {

// An empty opener takes it away.
void set_table_opener(TableOpener opener);

// Empty where none was set.
TableOpener table_opener();

}  // namespace persisting
