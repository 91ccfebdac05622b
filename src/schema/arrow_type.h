// What the conversions to and from Arrow share: the types of columns, and nanoarrow's errors.
// Threads: free functions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <nanoarrow/nanoarrow.hpp>

#include "persisting/result.h"

#include "schema/schema.h"

namespace persisting {

// Our type of a column, elements and members included; false where no record can hold its values. `containers`: how
// many lists and structs may stand around its values.
bool read_column_type(const ArrowSchema& column, int containers, FieldType* type);

// Fills `out`, which is initialized, with the Arrow type of `type`. nanoarrow makes every field nullable and
// names a list's child "item".
ArrowErrorCode set_column_type(const FieldType& type, ArrowSchema* out);

// How arrays of a kTensor field lie in Arrow.
enum class TensorStorage : std::uint8_t {
  kFixed,     // fixed-size lists of their elements
  kVariable,  // structs of data and shape: any shape, no dimension, or nothing in it
};
TensorStorage tensor_storage(const FieldType& type);

// How many numbers Arrow needs for one element (complex: two), and how many bytes each has.
struct ElementLayout {
  std::uint32_t numbers;
  std::uint32_t bytes;
};
ElementLayout element_layout(NumberType type);

// Elements of one array of fixed shape.
std::uint64_t element_count(const FieldType& type);

// Appends `count` nulls to an array that is being built. nanoarrow 0.9.0 makes too little room for the truth values inside
// fixed-size lists (its _ArrowArrayAppendBits counts one of n).
ArrowErrorCode append_nulls(ArrowArray* array, std::int64_t count);

bool is_struct_column(const ArrowSchema& column);

// Empty where it has none.
std::string_view column_name(const ArrowSchema& column);

// Where the child of that name stands.
std::optional<std::int64_t> find_child(const ArrowSchema& parent, std::string_view name);

// The column's type as a person reads it.
std::string describe_column(const ArrowSchema& column);

// Whether a record's own field of this type has a column in the table. One that has only been None
// has not: a column of type null could not take its first value without a rewrite of the table.
inline bool has_column(const FieldType& type) { return type.kind != TypeKind::kUndecided; }

inline bool is_system_column(std::string_view name) { return name == "_offset" || name == "_ts"; }

// Success, or the failure of a nanoarrow call that builds something: out of memory, or too large.
Status nanoarrow_status(int code, std::string_view action);

}  // namespace persisting
