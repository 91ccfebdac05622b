// A Lance engine that has no tables and makes none, for programs that measure the log and the buffer alone.
// A durable backend opens only with an engine; these programs set its limits so that nothing is ever flushed.
// Failure: every call into the table is an error, so that a flush which happens all the same is not missed.
#pragma once

#include "persisting/lance_engine.h"

// Lives as long as the program.
const persisting_lance_engine* no_table_engine();
