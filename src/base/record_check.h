// Checks bytes that claim to be an encoded record, as they come from outside the library.
// Guarantee: what passes can be stored: one map, unique names that check_field_name allows, UTF-8
//            text, nesting within Record::max_nesting, at most max_record_bytes, nothing behind the
//            map.
// Failure:   kInvalidArgument; the message names the field or the byte.
// Threads:   free functions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <string_view>

#include "persisting/result.h"

namespace persisting {

// Arrow's 32-bit offsets hold every text and list of a record of this size.
inline constexpr std::size_t max_record_bytes = std::numeric_limits<std::int32_t>::max();

// An array, or a complex number, counts like so many lists around its place: so deep does a table nest it.
inline constexpr int array_nesting = 2;

// The member that stands for a struct without members in the table; no record may use the name.
inline constexpr std::string_view empty_struct_name = "__empty_struct";

Status check_record(std::string_view encoded);

}  // namespace persisting
