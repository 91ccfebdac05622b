// Explicit changes of a schema: what was declared when a bucket was opened, and fields that are dropped or renamed.
// Guarantee: a change concerns the records from its offset on and, where the field is new, those before: they read its
//            default. Its caller sees to it that no older record is left in another form than the old schema's
//            normalized one.
// Failure:   kInvalidArgument for what no schema can have, kSchema for a conflict with what the bucket holds.
// Threads:   free functions over immutable schemas.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "persisting/result.h"
#include "persisting/value.h"

#include "schema/schema.h"

namespace persisting {

struct SchemaDeclaration {
  std::vector<SchemaField> fields;
  std::optional<bool> is_closed;  // nothing: as it is
  // By name. None takes a default away.
  std::vector<std::pair<std::string, Value>> defaults;

  bool operator==(const SchemaDeclaration&) const = default;
};

// From a dict of names and types (see parse_declaration()). It closes the schema, unless "*": "any" is in it.
Result<SchemaDeclaration> parse_schema_option(const Struct& types);

// `schema` with the declared types, which must hold all that it holds, and defaults. The same pointer where nothing
// changes.
Result<SchemaPtr> declare(const SchemaPtr& schema, const SchemaDeclaration& declaration,
                          std::uint64_t offset);

Result<SchemaPtr> drop_field(const SchemaPtr& schema, std::string_view name, std::uint64_t offset);
Result<SchemaPtr> rename_field(const SchemaPtr& schema, std::string_view from, std::string_view to,
                               std::uint64_t offset);

}  // namespace persisting
