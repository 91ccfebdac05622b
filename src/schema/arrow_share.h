// Arrow arrays that share the values of others instead of copying them.
// Threads: free functions; what is shared is never written.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include <nanoarrow/nanoarrow.hpp>

#include "persisting/result.h"

#include "schema/schema.h"

namespace persisting {

// Whether arrays of the one type can be handed out as arrays of the other: the same layout and members, whatever their
// metadata and nullability.
bool has_same_layout(const ArrowSchema& left, const ArrowSchema& right);

// Whether all values lie as the libraries that take them over want it: decimals at multiples of 16 bytes, where IPC gives
// 8. (Arrow's Rust library, which is in Lance, panics otherwise.)
bool are_aligned(const ArrowSchema& type, const ArrowArray& array);

// Values [first, first + count) of `source`, which `owner` keeps alive.
void share_array(const ArrowArray& source, std::int64_t first, std::int64_t count,
                 const std::shared_ptr<const void>& owner, ArrowArray* out);

// Where the columns of a struct type stand among those of another; nothing where one has another layout.
// -1: it is missing there.
std::optional<std::vector<std::int64_t>> find_columns(const ArrowSchema& wanted,
                                                      const ArrowSchema& given);

// The same for rows that readers see under `schema`; nothing also where a missing column would read as a default.
std::optional<std::vector<std::int64_t>> find_shareable_columns(const ArrowSchema& wanted,
                                                                const ArrowSchema& given,
                                                                const Schema& schema);

// A struct array of type `wanted` over rows [first, first + count) of `rows`, whose columns stand as find_columns() says;
// missing ones are null. Its first `skipped` columns are left empty for the caller.
Status share_rows(const ArrowSchema& wanted, const std::vector<std::int64_t>& places,
                  const ArrowArray& rows, std::int64_t first, std::int64_t count,
                  const std::shared_ptr<const void>& owner, std::int64_t skipped, ArrowArray* out);

}  // namespace persisting
