// A schema as callers of the public interface see it.
// Threads: free function.
#pragma once

#include <vector>

#include "persisting/storage_backend.h"

#include "schema/schema.h"

namespace persisting {

std::vector<FieldDescription> describe_fields(const Schema& schema);

}  // namespace persisting
