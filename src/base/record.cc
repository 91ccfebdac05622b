#include "persisting/record.h"

#include <cassert>
#include <utility>

#include "persisting/msgpack_reader.h"
#include "persisting/msgpack_writer.h"

#include "base/record_check.h"

namespace persisting {
namespace {

// What makes `value` impossible to encode, or null: checked before the encoder recurses into it and
// casts its sizes. `containers` is how many lists and structs may still open around each other.
const char* obstacle(const Value& value, int containers) {
  const auto* text = value.get_if<std::string>();
  const auto* bytes = value.get_if<Bytes>();
  const auto* list = value.get_if<List>();
  const auto* members = value.get_if<Struct>();
  const std::size_t size = text != nullptr      ? text->size()
                           : bytes != nullptr   ? bytes->data.size()
                           : list != nullptr    ? list->size()
                           : members != nullptr ? members->size()
                                                : 0;
  if (size > max_record_bytes) return "is larger than a record may be; split it";
  if (list == nullptr && members == nullptr) return nullptr;
  if (containers == 0) return "nests lists and structs too deeply; flatten it";
  if (list != nullptr) {
    for (const Value& element : *list) {
      if (const char* found = obstacle(element, containers - 1)) return found;
    }
    return nullptr;
  }
  for (const auto& member : *members) {
    if (const char* found = obstacle(member.second, containers - 1)) return found;
  }
  return nullptr;
}

// Decodes bytes that were checked when they came in.
Struct decode_fields(std::string_view encoded) {
  msgpack::Reader reader(encoded);
  Value value;
  [[maybe_unused]] const bool valid = msgpack::read_value(reader, &value);
  assert(valid && value.get_if<Struct>() != nullptr);
  const Struct* fields = value.get_if<Struct>();
  return fields == nullptr ? Struct{} : *fields;
}

}  // namespace

Result<Record> Record::make(const Struct& fields) {
  for (const auto& [name, value] : fields) {
    if (const char* found = obstacle(value, max_nesting)) {
      return make_error(ErrorCode::kInvalidArgument, "field '" + name + "' " + found);
    }
  }
  std::string bytes;
  msgpack::write_map(bytes, static_cast<std::uint32_t>(fields.size()));
  for (const auto& [name, value] : fields) {
    msgpack::write_string(bytes, name);
    msgpack::write_value(bytes, value);
  }
  return from_encoded(std::move(bytes));
}

Result<Record> Record::from_encoded(std::string bytes) {
  PERSISTING_RETURN_IF_ERROR(check_record(bytes));
  return Record(std::move(bytes));
}

Result<Value> Record::get(std::string_view field) const {
  msgpack::Reader reader(bytes_);
  const std::uint32_t size = reader.next().size;
  for (std::uint32_t i = 0; i < size; ++i) {
    if (reader.next().text != field) {
      reader.skip();
      continue;
    }
    Value value;
    msgpack::read_value(reader, &value);
    return value;
  }
  return make_error(ErrorCode::kInvalidArgument,
                    "the record has no field '" + std::string(field) + "'");
}

Struct Record::fields() const { return decode_fields(bytes_); }

Struct RecordBatch::fields(std::size_t index) const { return decode_fields((*this)[index]); }

void RecordBatch::append(const RecordBatch& other) {
  const std::size_t base = bytes_.size();
  const std::size_t count = other.ends_.size();  // fixed first: `other` may be this batch
  bytes_.append(other.bytes_);
  ends_.reserve(ends_.size() + count);
  for (std::size_t i = 0; i < count; ++i) ends_.push_back(base + other.ends_[i]);
}

void RecordBatch::reserve(std::size_t records, std::size_t bytes) {
  ends_.reserve(records);
  bytes_.reserve(bytes);
}

}  // namespace persisting
