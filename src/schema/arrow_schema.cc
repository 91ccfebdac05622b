#include <cassert>
#include <cstddef>
#include <unordered_set>
#include <utility>

#include "schema/arrow_convert.h"
#include "schema/arrow_type.h"

namespace persisting {
namespace {

constexpr const char* action = "making the table's schema";

// Makes `out` a struct with room for `system` columns in front and one column for each of `fields`.
ArrowErrorCode set_columns(const std::vector<const SchemaField*>& fields, std::size_t system,
                           ArrowSchema* out) {
  ArrowSchemaInit(out);
  NANOARROW_RETURN_NOT_OK(
      ArrowSchemaSetTypeStruct(out, static_cast<std::int64_t>(system + fields.size())));
  for (std::size_t i = 0; i < fields.size(); ++i) {
    ArrowSchema* column = out->children[system + i];
    NANOARROW_RETURN_NOT_OK(set_column_type(fields[i]->type, column));
    NANOARROW_RETURN_NOT_OK(ArrowSchemaSetName(column, fields[i]->name.c_str()));
  }
  return NANOARROW_OK;
}

ArrowErrorCode set_system_columns(ArrowSchema* out) {
  NANOARROW_RETURN_NOT_OK(ArrowSchemaSetType(out->children[0], NANOARROW_TYPE_UINT64));
  NANOARROW_RETURN_NOT_OK(ArrowSchemaSetName(out->children[0], offset_column));
  NANOARROW_RETURN_NOT_OK(ArrowSchemaSetTypeDateTime(out->children[1], NANOARROW_TYPE_TIMESTAMP,
                                                     NANOARROW_TIME_UNIT_MICRO, "UTC"));
  return ArrowSchemaSetName(out->children[1], timestamp_column);
}

std::vector<const SchemaField*> fields_with_columns(const Schema& schema) {
  std::vector<const SchemaField*> fields;
  for (const SchemaField& field : schema.fields()) {
    if (has_column(field.type)) fields.push_back(&field);
  }
  return fields;
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

Status to_arrow_fields(const Schema& schema, ArrowSchema* out) {
  std::vector<const SchemaField*> fields;
  for (const SchemaField& field : schema.fields()) fields.push_back(&field);
  nanoarrow::UniqueSchema made;
  PERSISTING_RETURN_IF_ERROR(nanoarrow_status(set_columns(fields, 0, made.get()), action));
  made.move(out);
  return ok_status();
}

Schema columns_of(const Schema& schema) {
  std::vector<SchemaField> fields;
  for (const SchemaField* field : fields_with_columns(schema)) fields.push_back(*field);
  return Schema(std::move(fields));
}

Result<Schema> from_arrow_schema(const ArrowSchema& arrow, std::vector<std::string>* ignored) {
  if (!is_struct_column(arrow)) {
    return make_error(ErrorCode::kCorruption,
                      "the table's schema is " + describe_column(arrow) + " instead of a struct");
  }
  std::vector<SchemaField> fields;
  std::unordered_set<std::string_view> names;
  for (std::int64_t i = 0; i < arrow.n_children; ++i) {
    const ArrowSchema& column = *arrow.children[i];
    const std::string_view name = column_name(column);
    if (is_system_column(name)) continue;
    SchemaField field{std::string(name), {}};
    if (check_field_name(name, true) &&
        read_column_type(column, Record::max_nesting, &field.type) && names.insert(name).second) {
      fields.push_back(std::move(field));
    } else if (ignored != nullptr) {
      ignored->emplace_back(name);
    }
  }
  return Schema(std::move(fields));
}

}  // namespace persisting
