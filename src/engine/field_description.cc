#include "engine/field_description.h"

#include "persisting/msgpack_reader.h"

#include "schema/type_text.h"

namespace persisting {

std::vector<FieldDescription> describe_fields(const Schema& schema) {
  std::vector<FieldDescription> fields;
  for (const SchemaField& field : schema.fields()) {
    FieldDescription& described = fields.emplace_back();
    described.name = field.name;
    described.type = describe(field.type);
    msgpack::Reader reader(field.default_value);
    if (!field.default_value.empty()) msgpack::read_value(reader, &described.default_value);
  }
  return fields;
}

}  // namespace persisting
