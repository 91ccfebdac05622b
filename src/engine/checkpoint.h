// The CHECKPOINT file: which version of the table is durable, up to which offset, under which schema. Whatever is below
// `flushed_to` no longer needs the log.
// Guarantee: replaced whole and durably; after a crash it is the old one or the new one.
// Threads:   free functions; written by one thread at a time (opening, then the flush).
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/file_system.h"
#include "schema/schema.h"
#include "table/table.h"

namespace persisting {

struct Checkpoint {
  std::uint64_t epoch = 0;       // grows with every opening for writing
  std::uint64_t flushed_to = 0;  // the table holds every record below
  TableVersion table;
  Schema schema;  // of the records below flushed_to
};

// `folder` is the bucket's. Nothing: the bucket has no checkpoint yet.
Result<std::optional<Checkpoint>> read_checkpoint(FileSystem& file_system,
                                                  const std::string& folder);
Status write_checkpoint(FileSystem& file_system, const std::string& folder,
                        const Checkpoint& checkpoint);

// kCorruption where a version of the table lacks rows that the checkpoint says were flushed.
Status check_has_flushed_rows(const std::string& folder, const Checkpoint& checkpoint,
                              const TableSnapshot& table);

}  // namespace persisting
