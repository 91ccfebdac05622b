#include "schema/declaration.h"

#include <algorithm>

#include "persisting/msgpack_reader.h"
#include "persisting/msgpack_writer.h"
#include "persisting/record.h"

#include "schema/json_text.h"
#include "schema/normalizer.h"
#include "schema/schema_growth.h"
#include "schema/schema_history.h"
#include "schema/type_text.h"

namespace persisting {
namespace {

// Its key in a declared schema stands for all fields that are not in it.
constexpr std::string_view any_field = "*";

Error unknown_field(const Schema& schema, std::string_view name) {
  std::string known;
  for (const SchemaField& field : schema.fields())
    known += (known.empty() ? "" : ", ") + field.name;
  return make_error(ErrorCode::kInvalidArgument, "the bucket has no field '" + std::string(name) +
                                                     "'; it has " +
                                                     (known.empty() ? "none" : known));
}

SchemaField* find(std::vector<SchemaField>& fields, std::string_view name) {
  const auto found = std::ranges::find(fields, name, &SchemaField::name);
  return found == fields.end() ? nullptr : &*found;
}

std::string text_of(std::string_view value) {
  if (value.empty()) return {};
  msgpack::Reader reader(value);
  std::string text;
  append_canonical_text(reader, text);
  return text;
}

Status declare_type(std::vector<SchemaField>& fields, const SchemaField& declared,
                    std::uint64_t offset, std::vector<SchemaChange>* changes) {
  SchemaField* const known = find(fields, declared.name);
  if (known == nullptr) {
    fields.push_back(declared);
    changes->push_back(
        {offset, SchemaChange::Kind::kDeclared, declared.name, {}, describe(declared.type)});
    return ok_status();
  }
  std::vector<SchemaField> merged = {declared};
  const Status holds = grow(&merged, {{declared.name, known->type}}, {});
  if (!holds) {
    return make_error(ErrorCode::kSchema,
                      "schema: field '" + declared.name + "' is declared " +
                          describe(declared.type) + ", but the bucket holds " +
                          describe(known->type) +
                          " there; declare a type that holds it, or drop the field first");
  }
  if (merged.front().type == known->type) return ok_status();
  changes->push_back({offset, SchemaChange::Kind::kDeclared, declared.name, describe(known->type),
                      describe(merged.front().type)});
  known->type = std::move(merged.front().type);
  return ok_status();
}

Status declare_default(std::vector<SchemaField>& fields, const std::string& name,
                       const Value& value, std::uint64_t offset,
                       std::vector<SchemaChange>* changes) {
  if (value.is_null()) {
    SchemaField* const known = find(fields, name);
    if (known == nullptr || known->default_value.empty()) return ok_status();
    changes->push_back(
        {offset, SchemaChange::Kind::kDefault, name, text_of(known->default_value), {}});
    known->default_value.clear();
    return ok_status();
  }
  const Result<Record> record = Record::make({{name, value}});
  if (!record) return with_context(record.error(), "defaults");
  const std::vector<SchemaField> before = fields;
  if (Status grown = grow(&fields, record->encoded(), {}); !grown)
    return with_context(std::move(grown).error(), "defaults");
  SchemaField& field = *find(fields, name);
  std::string encoded;
  msgpack::write_value(encoded, value);
  std::string normalized;
  msgpack::Reader reader(encoded);
  normalize_value(field.type, reader, normalized);
  for (SchemaChange& growth : growth_between(Schema(before), fields, offset))
    changes->push_back(std::move(growth));
  if (field.default_value == normalized) return ok_status();
  changes->push_back({offset, SchemaChange::Kind::kDefault, name, text_of(field.default_value),
                      text_of(normalized)});
  field.default_value = std::move(normalized);
  return ok_status();
}

}  // namespace

Result<SchemaDeclaration> parse_schema_option(const Struct& types) {
  SchemaDeclaration declaration;
  declaration.is_closed = true;
  for (const auto& [name, type] : types) {
    if (name == any_field) {
      const auto* text = type.get_if<std::string>();
      if (text == nullptr || *text != "any")
        return make_error(ErrorCode::kInvalidArgument, "schema: '*' can only be 'any'");
      declaration.is_closed = false;
      continue;
    }
    if (Status valid = check_field_name(name, true); !valid)
      return with_context(std::move(valid).error(), "schema");
    Result<FieldType> parsed = parse_declaration(type);
    if (!parsed) return with_context(std::move(parsed).error(), "schema: field '" + name + "'");
    declaration.fields.push_back({name, std::move(parsed).value()});
  }
  return declaration;
}

Result<SchemaPtr> declare(const SchemaPtr& schema, const SchemaDeclaration& declaration,
                          std::uint64_t offset) {
  std::vector<SchemaField> fields = schema->fields();
  std::vector<SchemaChange> changes;
  for (const SchemaField& declared : declaration.fields)
    PERSISTING_RETURN_IF_ERROR(declare_type(fields, declared, offset, &changes));
  for (const auto& [name, value] : declaration.defaults)
    PERSISTING_RETURN_IF_ERROR(declare_default(fields, name, value, offset, &changes));
  // Defaults are kept in the form of their field's type, which may just have changed.
  normalize_defaults(&fields);
  const bool is_closed = declaration.is_closed.value_or(schema->is_closed());
  if (changes.empty() && is_closed == schema->is_closed() && fields == schema->fields())
    return schema;
  const SchemaPtr made = make_schema(*schema, std::move(fields), std::move(changes));
  Schema::Extras extras = made->extras();
  extras.is_closed = is_closed;
  return SchemaPtr(std::make_shared<const Schema>(made->fields(), std::move(extras)));
}

Result<SchemaPtr> drop_field(const SchemaPtr& schema, std::string_view name, std::uint64_t offset) {
  const std::optional<std::size_t> index = schema->find(name);
  if (!index) return unknown_field(*schema, name);
  std::vector<SchemaField> fields = schema->fields();
  SchemaChange change{
      offset, SchemaChange::Kind::kDropped, std::string(name), describe(fields[*index].type), {}};
  fields.erase(fields.begin() + static_cast<std::ptrdiff_t>(*index));
  return make_schema(*schema, std::move(fields), {std::move(change)});
}

Result<SchemaPtr> rename_field(const SchemaPtr& schema, std::string_view from, std::string_view to,
                               std::uint64_t offset) {
  const std::optional<std::size_t> index = schema->find(from);
  if (!index) return unknown_field(*schema, from);
  PERSISTING_RETURN_IF_ERROR(check_field_name(to, true));
  if (schema->find(to)) {
    return make_error(ErrorCode::kInvalidArgument,
                      "the bucket has a field '" + std::string(to) +
                          "' already; drop it first, or choose another name");
  }
  std::vector<SchemaField> fields = schema->fields();
  fields[*index].name = to;
  return make_schema(*schema, std::move(fields),
                     {{offset, SchemaChange::Kind::kRenamed, std::string(from), std::string(from),
                       std::string(to)}});
}

}  // namespace persisting
