// Pairs the fields of a schema with a table's columns, and writes cells as MessagePack.
// Failure: kCorruption; the message names the column, and both types or the value.
// Threads: thread-compatible.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <nanoarrow/nanoarrow.hpp>

#include "persisting/result.h"

#include "schema/schema.h"

namespace persisting {

// Where the values of one field, member or element come from.
struct ArrowColumn {
  std::string name;  // with the names of the structs around it, for messages
  std::string key;   // the encoded name in front of each value; empty for an element
  TypeKind target = TypeKind::kUndecided;
  TypeKind stored = TypeKind::kUndecided;  // missing, or nothing but null
  const ArrowArrayView* view = nullptr;    // null: the column is missing
  std::vector<ArrowColumn> children;       // a list's element; a struct's members
};

// The columns for `fields`, found by name in `arrow` and `view`, which are a struct's. `prefix`
// stands before the names in messages.
Result<std::vector<ArrowColumn>> pair_columns(const ArrowSchema& arrow, const ArrowArrayView& view,
                                              const std::vector<SchemaField>& fields,
                                              const std::string& prefix = {});

// Appends the cells of one row, each behind its key. `row` counts from the start of the struct array
// whose children the columns are, that array's offset included.
Status write_cells(const std::vector<ArrowColumn>& columns, std::int64_t row, std::string& out);

}  // namespace persisting
