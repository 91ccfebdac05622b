#include "schema/schema.h"

#include <cassert>
#include <unordered_set>
#include <utility>

#include "persisting/msgpack_reader.h"
#include "persisting/msgpack_writer.h"
#include "persisting/record.h"

namespace persisting {
namespace {

// A field is [name, kind, has_inexact_integers, children]; fields are a list of such.
constexpr std::uint32_t parts_of_field = 4;

void write_fields(std::string& out, const std::vector<SchemaField>& fields) {
  msgpack::write_array(out, static_cast<std::uint32_t>(fields.size()));
  for (const SchemaField& field : fields) {
    msgpack::write_array(out, parts_of_field);
    msgpack::write_string(out, field.name);
    msgpack::write_int(out, static_cast<std::int64_t>(field.type.kind));
    msgpack::write_bool(out, field.type.has_inexact_integers);
    write_fields(out, field.type.children);
  }
}

bool are_names_unique(const std::vector<SchemaField>& fields) {
  std::unordered_set<std::string_view> names;
  for (const SchemaField& field : fields) {
    if (!names.insert(field.name).second) return false;
  }
  return true;
}

// Whether a type of this kind may have these children and flags.
bool is_well_formed(const FieldType& type) {
  if (type.has_inexact_integers && type.kind != TypeKind::kInt64) return false;
  switch (type.kind) {
    case TypeKind::kList:
      return type.children.size() == 1 && type.children.front().name.empty();
    case TypeKind::kStruct:
      return are_names_unique(type.children);
    default:
      return type.children.empty();
  }
}

bool read_fields(msgpack::Reader& reader, int depth, std::vector<SchemaField>* fields);

bool read_field(msgpack::Reader& reader, int depth, SchemaField* field) {
  const msgpack::Item head = reader.next();
  if (head.kind != msgpack::Kind::kArray || head.size != parts_of_field) return false;
  const msgpack::Item name = reader.next();
  const msgpack::Item kind = reader.next();
  const msgpack::Item inexact = reader.next();
  if (name.kind != msgpack::Kind::kString || kind.kind != msgpack::Kind::kInt ||
      inexact.kind != msgpack::Kind::kBool) {
    return false;
  }
  if (kind.integer < 0 || kind.integer > static_cast<std::int64_t>(TypeKind::kStruct)) return false;
  field->name = name.text;
  field->type.kind = static_cast<TypeKind>(kind.integer);
  field->type.has_inexact_integers = inexact.boolean;
  return read_fields(reader, depth + 1, &field->type.children) && is_well_formed(field->type);
}

bool read_fields(msgpack::Reader& reader, int depth, std::vector<SchemaField>* fields) {
  // Depth 0 are the record's own fields; a scalar in the deepest list has an empty list of children.
  if (depth > Record::max_nesting + 1) return false;
  const msgpack::Item head = reader.next();
  if (head.kind != msgpack::Kind::kArray) return false;
  for (std::uint32_t i = 0; i < head.size; ++i) {
    if (!read_field(reader, depth, &fields->emplace_back())) return false;
  }
  return true;
}

}  // namespace

Schema::Schema(std::vector<SchemaField> fields) : fields_(std::move(fields)) {
  index_.reserve(fields_.size());
  for (std::size_t i = 0; i < fields_.size(); ++i) {
    [[maybe_unused]] const bool is_new = index_.emplace(fields_[i].name, i).second;
    assert(is_new);
  }
}

std::optional<std::size_t> Schema::find(std::string_view name) const {
  const auto found = index_.find(name);
  if (found == index_.end()) return std::nullopt;
  return found->second;
}

std::string Schema::serialize() const {
  std::string out;
  write_fields(out, fields_);
  return out;
}

Result<Schema> Schema::parse(std::string_view bytes) {
  msgpack::Reader reader(bytes);
  std::vector<SchemaField> fields;
  if (!read_fields(reader, 0, &fields) || !reader.at_end() || !are_names_unique(fields)) {
    return make_error(ErrorCode::kCorruption, "the stored schema is damaged at its byte " +
                                                  std::to_string(reader.position()));
  }
  return Schema(std::move(fields));
}

std::string describe(const FieldType& type) {
  switch (type.kind) {
    case TypeKind::kUndecided:
      return "undecided";
    case TypeKind::kBool:
      return "bool";
    case TypeKind::kInt64:
      return "int64";
    case TypeKind::kDouble:
      return "double";
    case TypeKind::kString:
      return "string";
    case TypeKind::kBytes:
      return "bytes";
    case TypeKind::kTimestampUtc:
      return "timestamp with zone";
    case TypeKind::kTimestampNaive:
      return "timestamp without zone";
    case TypeKind::kDate:
      return "date";
    case TypeKind::kList:
      return "list<" + describe(type.children.front().type) + ">";
    case TypeKind::kStruct:
      break;
  }
  std::string members;
  for (const SchemaField& member : type.children) {
    if (!members.empty()) members += ", ";
    members += member.name + ": " + describe(member.type);
  }
  return "struct<" + members + ">";
}

}  // namespace persisting
