// What the conversions to and from Arrow share: the kinds of columns, and nanoarrow's errors.
// Threads: free functions.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include <nanoarrow/nanoarrow.hpp>

#include "persisting/result.h"

#include "schema/schema.h"

namespace persisting {

// The kind of values a column holds; nothing where no record can hold such. Looks at the column
// itself, not at its children.
std::optional<TypeKind> kind_of_column(const ArrowSchema& column);

// The column's type as a person reads it.
std::string describe_column(const ArrowSchema& column);

// Whether a record's own field of this type has a column in the table. One that has only been None
// has not: a column of type null could not take its first value without a rewrite of the table.
inline bool has_column(const FieldType& type) { return type.kind != TypeKind::kUndecided; }

inline bool is_system_column(std::string_view name) { return name == "_offset" || name == "_ts"; }

// Success, or the failure of a nanoarrow call that builds something: out of memory, or too large.
Status nanoarrow_status(int code, std::string_view action);

}  // namespace persisting
