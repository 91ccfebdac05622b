// What changed between two schemas, for schema_history().
// Threads: free functions.
#pragma once

#include <cstdint>
#include <vector>

#include "persisting/schema_change.h"

#include "schema/schema.h"

namespace persisting {

// The changes by which `grown` holds more than `before`, as records bring them. `offset`: the first record that needed
// them.
std::vector<SchemaChange> growth_between(const Schema& before,
                                         const std::vector<SchemaField>& grown,
                                         std::uint64_t offset);

// `fields` with the history of `before` and `changes` after it.
SchemaPtr make_schema(const Schema& before, std::vector<SchemaField> fields,
                      std::vector<SchemaChange> changes);

}  // namespace persisting
