#include <cassert>
#include <cstddef>
#include <unordered_set>
#include <utility>

#include "schema/arrow_convert.h"
#include "schema/arrow_type.h"

namespace persisting {
namespace {

constexpr const char* action = "making the table's schema";

ArrowType arrow_type(TypeKind kind) {
  switch (kind) {
    case TypeKind::kUndecided:
      return NANOARROW_TYPE_NA;
    case TypeKind::kBool:
      return NANOARROW_TYPE_BOOL;
    case TypeKind::kInt64:
      return NANOARROW_TYPE_INT64;
    case TypeKind::kDouble:
      return NANOARROW_TYPE_DOUBLE;
    case TypeKind::kString:
      return NANOARROW_TYPE_STRING;
    case TypeKind::kBytes:
      return NANOARROW_TYPE_BINARY;
    case TypeKind::kTimestampUtc:
    case TypeKind::kTimestampNaive:
      return NANOARROW_TYPE_TIMESTAMP;
    case TypeKind::kDate:
      return NANOARROW_TYPE_DATE32;
    case TypeKind::kList:
      return NANOARROW_TYPE_LIST;
    case TypeKind::kStruct:
      return NANOARROW_TYPE_STRUCT;
  }
  return NANOARROW_TYPE_UNINITIALIZED;
}

// Fills `out`, which is initialized. nanoarrow makes every field nullable and names a list's child
// "item".
ArrowErrorCode set_type(const FieldType& type, ArrowSchema* out);

ArrowErrorCode set_timestamp(bool utc, ArrowSchema* out) {
  return ArrowSchemaSetTypeDateTime(out, NANOARROW_TYPE_TIMESTAMP, NANOARROW_TIME_UNIT_MICRO,
                                    utc ? "UTC" : nullptr);
}

ArrowErrorCode set_struct(const std::vector<SchemaField>& members, ArrowSchema* out) {
  if (members.empty()) {
    NANOARROW_RETURN_NOT_OK(ArrowSchemaSetTypeStruct(out, 1));
    NANOARROW_RETURN_NOT_OK(ArrowSchemaSetType(out->children[0], NANOARROW_TYPE_NA));
    return ArrowSchemaSetName(out->children[0], empty_struct_member);
  }
  NANOARROW_RETURN_NOT_OK(ArrowSchemaSetTypeStruct(out, static_cast<std::int64_t>(members.size())));
  for (std::size_t i = 0; i < members.size(); ++i) {
    NANOARROW_RETURN_NOT_OK(set_type(members[i].type, out->children[i]));
    NANOARROW_RETURN_NOT_OK(ArrowSchemaSetName(out->children[i], members[i].name.c_str()));
  }
  return NANOARROW_OK;
}

ArrowErrorCode set_type(const FieldType& type, ArrowSchema* out) {
  switch (type.kind) {
    case TypeKind::kTimestampUtc:
    case TypeKind::kTimestampNaive:
      return set_timestamp(type.kind == TypeKind::kTimestampUtc, out);
    case TypeKind::kList:
      NANOARROW_RETURN_NOT_OK(ArrowSchemaSetType(out, NANOARROW_TYPE_LIST));
      return set_type(type.children.front().type, out->children[0]);
    case TypeKind::kStruct:
      return set_struct(type.children, out);
    default:
      return ArrowSchemaSetType(out, arrow_type(type.kind));
  }
}

// Makes `out` a struct with room for `system` columns in front and one column for each of `fields`.
ArrowErrorCode set_columns(const std::vector<const SchemaField*>& fields, std::size_t system,
                           ArrowSchema* out) {
  ArrowSchemaInit(out);
  NANOARROW_RETURN_NOT_OK(
      ArrowSchemaSetTypeStruct(out, static_cast<std::int64_t>(system + fields.size())));
  for (std::size_t i = 0; i < fields.size(); ++i) {
    ArrowSchema* column = out->children[system + i];
    NANOARROW_RETURN_NOT_OK(set_type(fields[i]->type, column));
    NANOARROW_RETURN_NOT_OK(ArrowSchemaSetName(column, fields[i]->name.c_str()));
  }
  return NANOARROW_OK;
}

ArrowErrorCode set_system_columns(ArrowSchema* out) {
  NANOARROW_RETURN_NOT_OK(ArrowSchemaSetType(out->children[0], NANOARROW_TYPE_UINT64));
  NANOARROW_RETURN_NOT_OK(ArrowSchemaSetName(out->children[0], offset_column));
  NANOARROW_RETURN_NOT_OK(set_timestamp(true, out->children[1]));
  return ArrowSchemaSetName(out->children[1], timestamp_column);
}

std::vector<const SchemaField*> fields_with_columns(const Schema& schema) {
  std::vector<const SchemaField*> fields;
  for (const SchemaField& field : schema.fields()) {
    if (has_column(field.type)) fields.push_back(&field);
  }
  return fields;
}

std::string_view name_of(const ArrowSchema& column) {
  return column.name == nullptr ? std::string_view{} : std::string_view(column.name);
}

// Our type of a column; false where no record can hold its values.
bool read_type(const ArrowSchema& column, int containers, FieldType* type) {
  const std::optional<TypeKind> kind = kind_of_column(column);
  if (!kind) return false;
  type->kind = *kind;
  if (*kind != TypeKind::kList && *kind != TypeKind::kStruct) return true;
  if (containers == 0) return false;
  std::unordered_set<std::string_view> names;
  for (std::int64_t i = 0; i < column.n_children; ++i) {
    const ArrowSchema& child = *column.children[i];
    const std::string_view name = *kind == TypeKind::kList ? std::string_view{} : name_of(child);
    if (*kind == TypeKind::kStruct && name == empty_struct_member) continue;
    if (!names.insert(name).second) return false;
    SchemaField& member = type->children.emplace_back(SchemaField{std::string(name), {}});
    if (!read_type(child, containers - 1, &member.type)) return false;
  }
  return true;
}

}  // namespace

Status to_arrow_schema(const Schema& schema, ArrowSchema* out) {
  nanoarrow::UniqueSchema made;
  PERSISTING_RETURN_IF_ERROR(
      nanoarrow_status(set_columns(fields_with_columns(schema), 2, made.get()), action));
  PERSISTING_RETURN_IF_ERROR(nanoarrow_status(set_system_columns(made.get()), action));
  made.move(out);
  return ok_status();
}

Status to_arrow_columns(const Schema& schema, ArrowSchema* out) {
  nanoarrow::UniqueSchema made;
  PERSISTING_RETURN_IF_ERROR(
      nanoarrow_status(set_columns(fields_with_columns(schema), 0, made.get()), action));
  made.move(out);
  return ok_status();
}

Schema columns_of(const Schema& schema) {
  std::vector<SchemaField> fields;
  for (const SchemaField* field : fields_with_columns(schema)) fields.push_back(*field);
  return Schema(std::move(fields));
}

Result<Schema> from_arrow_schema(const ArrowSchema& arrow, std::vector<std::string>* ignored) {
  if (kind_of_column(arrow) != TypeKind::kStruct) {
    return make_error(ErrorCode::kCorruption,
                      "the table's schema is " + describe_column(arrow) + " instead of a struct");
  }
  std::vector<SchemaField> fields;
  std::unordered_set<std::string_view> names;
  for (std::int64_t i = 0; i < arrow.n_children; ++i) {
    const ArrowSchema& column = *arrow.children[i];
    const std::string_view name = name_of(column);
    if (is_system_column(name)) continue;
    SchemaField field{std::string(name), {}};
    if (check_field_name(name, true) && read_type(column, Record::max_nesting, &field.type) &&
        names.insert(name).second) {
      fields.push_back(std::move(field));
    } else if (ignored != nullptr) {
      ignored->emplace_back(name);
    }
  }
  return Schema(std::move(fields));
}

}  // namespace persisting
