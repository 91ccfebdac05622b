// Appends MessagePack to a byte buffer: the encoder of records.
// Each number takes its shortest form, so that equal values have equal bytes.
// Source: the MessagePack specification, version 2013-08-11 with the ext types.
// Threads: none of its own; free functions over the caller's buffer.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "persisting/value.h"

namespace persisting::msgpack {

// The extension types of records.
inline constexpr std::int8_t ext_timestamp_utc = 1;
inline constexpr std::int8_t ext_timestamp_naive = 2;
inline constexpr std::int8_t ext_date = 3;

void write_nil(std::string& out);
void write_bool(std::string& out, bool value);
void write_int(std::string& out, std::int64_t value);
void write_double(std::string& out, double value);
// Trusts that `text` is UTF-8. Lengths up to 2^32 - 1.
void write_string(std::string& out, std::string_view text);
void write_bytes(std::string& out, std::string_view data);
void write_timestamp(std::string& out, Timestamp value);
void write_date(std::string& out, Date value);
// Heads; the elements follow.
void write_array(std::string& out, std::uint32_t size);
void write_map(std::string& out, std::uint32_t size);

void write_value(std::string& out, const Value& value);

}  // namespace persisting::msgpack
