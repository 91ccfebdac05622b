// The slow half of the schema check: grows a schema so that it holds one more record, or says why
// none can.
// Failure: kSchema; the message names the field, both types and what to do. The schema may then be
//          half grown: the caller works on a copy and throws it away.
// Threads: free functions.
#pragma once

#include <string_view>
#include <vector>

#include "persisting/result.h"

#include "schema/schema.h"

namespace persisting {

struct GrowthRules {
  // A conflict of types, inside it too, turns a record's own field into text that takes anything, unless something of its type
  // was declared.
  bool stringify = false;
  // New fields of a record are a conflict.
  bool is_closed = false;
};

// Grows `fields` by `record`, which check_record must have passed.
Status grow(std::vector<SchemaField>* fields, std::string_view record, const GrowthRules& rules);

// Grows `fields` until they hold what `other` holds too.
Status grow(std::vector<SchemaField>* fields, const std::vector<SchemaField>& other,
            const GrowthRules& rules);

}  // namespace persisting
