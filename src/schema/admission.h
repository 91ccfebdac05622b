// Decides whether records fit a bucket's schema, before they reach the log: what is acknowledged
// can be flushed.
// Threads: free functions over immutable schemas.
#pragma once

#include <cstdint>

#include "persisting/record.h"

#include "schema/schema.h"

namespace persisting {

// Checks all records of `batch` in order. Returns `schema` itself where it holds them all, else the
// grown schema that does. Where one does not fit nothing of the batch may be kept: kSchema for a
// conflict of types, kInvalidArgument for bytes or names that are no record's. The message names the
// record's index in the batch and the offset it would have had, the field's path, both types and
// what to do.
//
// Rules: docs/schema-evolution.md. A missing field and None fit everywhere; an undecided type takes
// the first value's; int into double if exact; double into int turns the column into double if every
// stored value is exact; a new field or struct member grows the schema (its name is checked with
// check_field_name); anything else is refused.
Result<SchemaPtr> admit(const SchemaPtr& schema, const RecordBatch& batch,
                        std::uint64_t first_offset);

// The smallest schema that holds what both hold; kSchema names the field where there is none.
// Used when a table has columns that the checkpoint does not know.
Result<Schema> merge(const Schema& left, const Schema& right);

}  // namespace persisting
