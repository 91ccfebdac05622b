// The three backends that come with the library, one engine in three compositions.
//
//   MemoryBackend      tail only             gone when the process ends
//   LanceBackend       tail + Lance table    a put is durable once flush() returned
//   PersistingBackend  log + tail + table    a put is durable once it returned (wal_sync_interval = 0)
//
// Options of all three:
//   schema         dict   none      declared fields: names and types (docs/schema-evolution.md); closes the schema, unless
//                                   "*": "any" is in it
//   defaults       dict   none      field: value of records that lack it; None takes one away
//   on_conflict    str    reject    reject, dead_letter, stringify: what becomes of a record whose types do not fit
//   refuse         str    batch     batch, record: what is refused where one record of a batch does not fit
//
// Each `open` checks its options: a wrong type or value is kWrongType or kInvalidArgument, an unknown
// name is logged as a warning that names the nearest known one. Two backends opened on one bucket in one
// process share one engine; another process is refused with kBusy and the holder's pid.
// Threads: thread-safe.
#pragma once

#include <memory>

#include "persisting/storage_backend.h"

namespace persisting {

class MemoryBackend {
 public:
  static Result<std::shared_ptr<StorageBackend>> open(const BackendConfig& config);
};

// Options (name, type, default):
//   flush_threshold    int    1000     records in the buffer that start a flush in the background
//   flush_interval     float  60.0     seconds after which unflushed records are flushed
//   max_buffer_bytes   int    256 MiB  unflushed bytes at which puts wait for the flush
//   maintenance        bool   true     merge small fragments and remove old versions of the table in the background
//   maintenance_bytes_per_second  int  64 MiB  that merges write, on average; 0: no limit
//   allow_network_storage  bool  false  open a bucket on NFS and the like all the same (docs/durability.md)
//   topic, num_buckets, bucket_column  what the bucket is a part of; kept with it and compared on open
class LanceBackend {
 public:
  static Result<std::shared_ptr<StorageBackend>> open(const BackendConfig& config);
};

// Options of LanceBackend (flush_threshold: no default, flushes go by size and time), and:
//   enable_wal         bool   true     without it: LanceBackend with other defaults
//   wal_sync_interval  float  0.0      seconds; 0: a put returns after fdatasync; more: a put returns once the
//                                      kernel has the bytes (they survive kill -9, not a power cut)
//   max_wal_size       int    100 MB   bytes of log that force a flush and a new segment
//   compression        str    none     none, zstd, lz4, snappy: of the log's frames
//   flush_bytes        int    32 MiB   bytes in the tail that start a flush in the background
//   enable_metrics     bool   false    adds counters to stats()
class PersistingBackend {
 public:
  static Result<std::shared_ptr<StorageBackend>> open(const BackendConfig& config);
};

}  // namespace persisting
