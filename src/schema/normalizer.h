// A record as a reader sees it: every field of the schema, in its order, None where the record lacks
// it, integers of a double column as doubles, structs likewise inside. So it reads the same before
// and after its flush.
// Threads: free functions over immutable schemas.
#pragma once

#include <string_view>

#include "persisting/record.h"

#include "schema/schema.h"

namespace persisting {

// Appends the normalized form of `record`, which `schema` must have admitted, to `out`.
void normalize(const Schema& schema, std::string_view record, RecordBatch* out);

}  // namespace persisting
