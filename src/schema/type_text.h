// Types as text: what messages, the history and declarations use.
//
//   bool int64 double string bytes date uuid json        int8 … float32 complex128, as numpy names them
//   timestamp with zone, timestamp without zone          decimal<scale>
//   list<T>  map<string, T>  struct<name: T, …>          vector<number, length>
//   tensor<number, extent, …>, of any shape tensor<number>
//
// Threads: free functions.
#pragma once

#include <string>
#include <string_view>

#include "persisting/result.h"
#include "persisting/value.h"

#include "schema/schema.h"

namespace persisting {

std::string describe(const FieldType& type);

// The type of that name, declared. Also takes usual other names: int, float64, float, str, binary,
// timestamp[us, UTC], timestamp[us], … kInvalidArgument says what is wrong.
Result<FieldType> parse_type(std::string_view text);

// A declared type: its text, or a list of one (a list's element), or a struct of named types.
Result<FieldType> parse_declaration(const Value& declaration);

}  // namespace persisting
