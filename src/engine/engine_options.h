// What an engine is opened with. Plain structs; checked where they are made (backend_options.cc).
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>

#include "base/executor.h"
#include "base/file_system.h"
#include "engine/bucket_identity.h"
#include "schema/admission.h"
#include "schema/declaration.h"
#include "table/table.h"
#include "wal/wal.h"

namespace persisting {

// When records move from the tail into the table, in the background.
struct FlushPolicy {
  std::uint64_t records = 0;                   // as soon as so many wait; 0: no such limit
  std::uint64_t bytes = 32ULL << 20;           // as soon as so many encoded bytes wait
  std::chrono::milliseconds interval{60'000};  // at least so often while any wait
};

// How the table is kept small in the background; see bucket_maintenance.cc.
struct MaintenancePolicy {
  bool enabled = false;
  std::uint64_t bytes_per_second = 64ULL << 20;  // that merges write, on average; 0: no limit
  std::uint64_t fragments_between = 8;           // new fragments after which a merge is looked for
  std::uint64_t versions_between = 100;          // new versions after which old ones are removed
  std::uint64_t versions_kept = 10;              // of the newest; tagged ones stay, too
};

struct EngineOptions {
  std::string backend;  // the class's name in stats()
  std::uint32_t bucket_id = 0;
  std::string folder;  // empty with neither log nor table
  TopicSettings topic;

  bool has_table = false;
  bool has_wal = false;
  std::chrono::microseconds wal_sync_interval{0};
  std::uint64_t max_wal_bytes = 100'000'000;
  Compression compression = Compression::kNone;

  FlushPolicy flush;
  MaintenancePolicy maintenance;
  // Bytes in the tail beyond which puts wait for a flush; bounds the memory of a bucket.
  std::uint64_t max_buffer_bytes = 256ULL << 20;
  // Whether collect_metrics() tells of this bucket, whatever the process-wide switch says.
  bool metrics = false;
  // Belongs to another bucket, which is the one that metrics tell of.
  bool is_part_of_bucket = false;
  // A flush that takes longer is a warning in the log.
  std::chrono::milliseconds slow_flush{5'000};
  // Which records are taken, and what the schema is to be beside what they bring.
  AdmissionRules admission;
  SchemaDeclaration declaration;
  // What a bucket begins with that has neither checkpoint nor log nor table; null: nothing.
  SchemaPtr initial_schema;
  // Network file systems are refused otherwise: their locks and syncs cannot be relied on.
  bool allow_network_storage = false;
};

// What an engine runs on; tests put their own here.
struct EngineEnvironment {
  FileSystem* file_system = &FileSystem::posix();
  Executors* executors = &Executors::instance();
  TableOpener open_table;
  std::function<std::int64_t()> now_us;  // wall clock, microseconds UTC; from any thread
};

// The environment of a running program: the machine's file system, pools and clock, and the registered table opener.
EngineEnvironment default_environment();

}  // namespace persisting
