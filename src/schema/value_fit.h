// Whether a single value fits a type as it is: the rules that the check of a put and the growth of a schema share.
// Threads: free functions.
#pragma once

#include <cstdint>
#include <vector>

#include "persisting/msgpack_reader.h"

#include "schema/schema.h"

namespace persisting {

// Any value but None, lists and structs.
bool scalar_fits(const FieldType& type, const msgpack::Item& item);

// Whether the list just begun with `item` is an array of `type`, which is a declared kTensor. Reads its elements.
bool list_fits_tensor(const FieldType& type, const msgpack::Item& item, msgpack::Reader& reader);

// An integer (kInt, or a kNumber of an integer type) as a decimal.
Decimal integer_as_decimal(const msgpack::Item& item);

// The extents of the array that a list of `size` elements stands for: those of its first elements.
std::vector<std::uint32_t> extents_of_list(std::uint32_t size, msgpack::Reader elements);

// Passes over the next value; false where it is invalid: text that is not UTF-8, a name given twice or not allowed, more
// than `containers` lists and structs inside each other. `only_json`: also where JSON has no such value.
bool skip_valid(msgpack::Reader& reader, int containers, bool only_json);

}  // namespace persisting
