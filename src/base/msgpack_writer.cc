#include "persisting/msgpack_writer.h"

#include <bit>
#include <cassert>
#include <cstddef>
#include <cstring>
#include <limits>

namespace persisting::msgpack {
namespace {

// Appends what `store` stores.
template <typename Store>
void append_stored(std::string& out, Store store) {
  char bytes[largest_head];
  const std::size_t size = store(bytes);
  // Most heads are one byte, which is no call.
  if (size == 1) {
    out.push_back(bytes[0]);
  } else {
    out.append(bytes, size);
  }
}

template <typename T>
void append_head(std::string& out, std::uint8_t head, T value) {
  append_stored(out, [&](char* to) { return store_head(to, head, value); });
}

template <typename T>
void append_big_endian(std::string& out, T value) {
  for (std::size_t i = 0; i < sizeof(T); ++i) {
    out.push_back(static_cast<char>(value >> (8 * (sizeof(T) - 1 - i))));
  }
}

void write_length(std::string& out, std::uint8_t head16, std::size_t length) {
  assert(length <= std::numeric_limits<std::uint32_t>::max());
  append_stored(out, [&](char* to) { return store_length(to, head16, length); });
}

// Writes the head of an ext item, in its shortest form.
void write_ext(std::string& out, std::int8_t type, std::size_t length) {
  if (length <= 16 && std::has_single_bit(length)) {
    out.push_back(static_cast<char>(0xd4 + std::countr_zero(length)));
  } else if (length <= std::numeric_limits<std::uint8_t>::max()) {
    append_head(out, 0xc7, static_cast<std::uint8_t>(length));
  } else {
    write_length(out, 0xc8, length);
  }
  out.push_back(static_cast<char>(type));
}

struct ValueWriter {
  std::string& out;

  void operator()(Null) const { write_nil(out); }
  void operator()(bool value) const { write_bool(out, value); }
  void operator()(std::int64_t value) const { write_int(out, value); }
  void operator()(double value) const { write_double(out, value); }
  void operator()(const std::string& value) const { write_string(out, value); }
  void operator()(const Bytes& value) const { write_bytes(out, value.data); }
  void operator()(Timestamp value) const { write_timestamp(out, value); }
  void operator()(Date value) const { write_date(out, value); }
  void operator()(const Number& value) const { write_number(out, value); }
  void operator()(const Tensor& value) const { write_tensor(out, value); }
  void operator()(Decimal value) const { write_decimal(out, value); }
  void operator()(const Uuid& value) const { write_uuid(out, value); }
  void operator()(const List& values) const {
    write_array(out, static_cast<std::uint32_t>(values.size()));
    for (const Value& value : values) write_value(out, value);
  }
  void operator()(const Struct& members) const {
    write_map(out, static_cast<std::uint32_t>(members.size()));
    for (const auto& [name, value] : members) {
      write_string(out, name);
      write_value(out, value);
    }
  }
};

}  // namespace

void write_nil(std::string& out) { out.push_back('\xc0'); }

void write_bool(std::string& out, bool value) { out.push_back(value ? '\xc3' : '\xc2'); }

void write_int(std::string& out, std::int64_t value) {
  append_stored(out, [&](char* to) { return store_int(to, value); });
}

void write_double(std::string& out, double value) {
  append_stored(out, [&](char* to) { return store_double(to, value); });
}

void write_string(std::string& out, std::string_view text) {
  assert(text.size() <= std::numeric_limits<std::uint32_t>::max());
  append_stored(out, [&](char* to) { return store_string_head(to, text.size()); });
  out.append(text);
}

void write_bytes(std::string& out, std::string_view data) {
  if (data.size() <= std::numeric_limits<std::uint8_t>::max()) {
    append_head(out, 0xc4, static_cast<std::uint8_t>(data.size()));
  } else {
    write_length(out, 0xc5, data.size());
  }
  out.append(data);
}

void write_timestamp(std::string& out, Timestamp value) {
  const std::int8_t type = value.utc ? ext_timestamp_utc : ext_timestamp_naive;
  append_head(out, 0xd7, static_cast<std::uint8_t>(type));
  append_big_endian(out, static_cast<std::uint64_t>(value.microseconds));
}

void write_date(std::string& out, Date value) {
  append_head(out, 0xd6, static_cast<std::uint8_t>(ext_date));
  append_big_endian(out, static_cast<std::uint32_t>(value.days));
}

void write_number(std::string& out, const Number& value) {
  const std::size_t size = size_of(value.type);
  write_ext(out, ext_number, 1 + size);
  out.push_back(static_cast<char>(value.type));
  out.append(value.bytes.data(), size);
}

void write_decimal(std::string& out, Decimal value) {
  write_ext(out, ext_decimal, 1 + sizeof(value.coefficient));
  out.push_back(static_cast<char>(value.scale));
  char bytes[sizeof(value.coefficient)];
  std::memcpy(bytes, &value.coefficient, sizeof(bytes));
  out.append(bytes, sizeof(bytes));
}

void write_uuid(std::string& out, const Uuid& value) {
  write_ext(out, ext_uuid, value.bytes.size());
  out.append(value.bytes.data(), value.bytes.size());
}

void write_tensor_head(std::string& out, NumberType type, std::span<const std::uint32_t> shape) {
  assert(shape.size() <= max_dimensions);
  std::uint64_t data = size_of(type);
  for (const std::uint32_t extent : shape) data *= extent;
  write_ext(out, ext_tensor, 2 + 4 * shape.size() + data);
  out.push_back(static_cast<char>(type));
  out.push_back(static_cast<char>(shape.size()));
  for (const std::uint32_t extent : shape) {
    char bytes[sizeof(extent)];
    std::memcpy(bytes, &extent, sizeof(extent));
    out.append(bytes, sizeof(bytes));
  }
}

void write_tensor(std::string& out, const Tensor& value) {
  write_tensor_head(out, value.type, value.shape);
  out.append(value.data);
}

void write_array(std::string& out, std::uint32_t size) {
  if (size <= 15) {
    out.push_back(static_cast<char>(0x90 | size));
  } else {
    write_length(out, 0xdc, size);
  }
}

void write_map(std::string& out, std::uint32_t size) {
  append_stored(out, [&](char* to) { return store_map_head(to, size); });
}

void write_value(std::string& out, const Value& value) {
  std::visit(ValueWriter{out}, value.variant());
}

}  // namespace persisting::msgpack
