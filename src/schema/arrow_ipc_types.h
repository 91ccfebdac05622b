// What the two directions of arrow_ipc.h share: which types they take.
// Threads: free functions.
#pragma once

#include <nanoarrow/nanoarrow.hpp>

#include "persisting/record.h"
#include "persisting/result.h"

namespace persisting {

// How deep columns may nest. A record's limit, so that whatever a record holds can be stored, and
// well below what a stack and nanoarrow's verifier take.
inline constexpr int max_ipc_nesting = Record::max_nesting;

// Whether both directions take the children of `schema`, which is that of a table; else
// kUnsupported with the column and its type.
Status check_ipc_types(const ArrowSchema& schema);

}  // namespace persisting
