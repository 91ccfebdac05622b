// Values as text: JSON fields in the table, and fields of mixed types (policy "stringify").
// Threads: free functions.
#pragma once

#include <string>
#include <string_view>

#include "persisting/msgpack_reader.h"
#include "persisting/result.h"

namespace persisting {

// Whether JSON has values of this kind: None, bool, int, finite float, text, lists and structs.
bool is_json_value(const msgpack::Item& item);

// Appends the next value, of such kinds throughout, as JSON (RFC 8259) from which parse_json makes the same value
// again: members in their order, a float always with a point or an exponent.
void append_json(msgpack::Reader& reader, std::string& out);

// Appends the MessagePack of one JSON text. kCorruption where it is none, holds an integer beyond 64 bits, names a
// member twice or as no record may, or nests deeper than Record::max_nesting.
Status parse_json(std::string_view text, std::string& out);

// Appends the next value, of any kind, as text. Depends on the value alone and not on its type, so that it is the same
// before and after a field was widened: text stays as it is, 5.0 is "5", decimals have no zeros at the end, members
// stand in the order of their names and are left out where they are None. Times are ISO 8601, bytes hexadecimal,
// lists, structs and arrays JSON.
void append_canonical_text(msgpack::Reader& reader, std::string& out);

}  // namespace persisting
