// Pairs the fields of a schema with Arrow columns, and writes cells as MessagePack in normalized form.
// Failure: kCorruption; the message names the column, and both types or the value.
// Threads: thread-compatible.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <nanoarrow/nanoarrow.hpp>

#include "persisting/record_page.h"
#include "persisting/result.h"

#include "schema/schema.h"

namespace persisting {

// Where the values of one field, member, element or map value come from.
struct ArrowColumn {
  std::string name;     // with the names of the structs around it, for messages
  std::string key;      // the encoded name in front of each value; empty for an element
  std::string missing;  // the value where there is no column: a default or nil
  FieldType target;     // elements and members left out
  const ArrowArrayView* view = nullptr;  // null: the column is missing, or has nothing but null
  std::vector<ArrowColumn> children;     // a list's element, a map's value, a struct's members
  // Where the column has another type than the field: the column as it is, whose values are converted.
  std::shared_ptr<ArrowColumn> stored;
};

// The columns for `fields`, found by name in `arrow` and `view`, which are a struct's. `prefix`
// stands before the names in messages.
Result<std::vector<ArrowColumn>> pair_columns(const ArrowSchema& arrow, const ArrowArrayView& view,
                                              const std::vector<SchemaField>& fields,
                                              const std::string& prefix = {});

// Appends the cells of one row, each behind its key. `row` counts from the start of the struct array
// whose children the columns are, that array's offset included.
Status write_cells(const std::vector<ArrowColumn>& columns, std::int64_t row, std::string& out);

// Gives the cells of one row, which write_cells() writes, to `sink`. `scratch` is overwritten.
Status give_cells(const std::vector<ArrowColumn>& columns, std::int64_t row, RecordSink& sink,
                  std::string& scratch);

}  // namespace persisting
