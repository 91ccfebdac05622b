// The fast half of the schema check: whether a record fits a schema as it is. Nearly every record
// does, so this runs on every put; it allocates nothing (structs of up to 64 members).
// Threads: free functions over immutable schemas.
#pragma once

#include <string_view>

#include "schema/schema.h"

namespace persisting {

// True only if `record` is validly encoded and `schema` holds it without change. False says nothing
// about why: schema_growth.h finds out.
bool record_fits(const Schema& schema, std::string_view record);

}  // namespace persisting
