// A fixed sequence of operations on a bucket engine, and the model of what must come of it.
// Rule:    what a later opening reads is a prefix of the batches that were submitted, each whole, with the same bytes in the
//          same order, and holds every one that was acknowledged.
// Threads: none; each flush, the engine's own included, has ended before the next operation begins.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "engine/bucket_engine.h"
#include "support/memory_table.h"

namespace persisting::testing {

struct ScriptStep {
  enum class Kind : std::uint8_t {
    kPut,               // the next batch
    kPutsDuringAFlush,  // reopens with small segments; fills some while a flush stands at the table's append
    kRefusedPut,  // of a batch whose types conflict with the schema
    kGet,
    kFlush,
    kReopen,  // a close without a flush
  };
  Kind kind = Kind::kPut;
  std::uint64_t limit = 0;                       // of a get
  std::uint64_t offset = 0;                      // of a get, modulo the number of records
  Compression compression = Compression::kNone;  // of a reopening
};

struct Script {
  std::vector<ScriptStep> steps;
  std::vector<RecordBatch> batches;  // in order of submission
  std::vector<SchemaPtr> schemas;    // schemas[k] holds the first k batches

  // `steps` operations: fields come and widen, records are of 20 to some 500 bytes.
  static Script make(std::uint64_t seed, std::size_t steps);
};

// One life story of a bucket: the script up to the first operation that fails, and what follows.
class ScriptRun {
 public:
  // `count_hits` tells how many calls were made to fail so far: a put during which one did must not be acknowledged.
  ScriptRun(const Script& script, std::string folder, std::function<std::uint64_t()> count_hits);
  ~ScriptRun();
  ScriptRun(const ScriptRun&) = delete;
  ScriptRun& operator=(const ScriptRun&) = delete;

  // Runs the script, until an operation fails. After that two more puts and a flush are tried: a log that has failed must
  // take nothing more. Then the engine is dropped.
  void run();
  // Opens the bucket, reads it, puts, flushes, opens it again. Nothing of it may fail.
  void check_recovery();

  // The errors that operations reported, in order.
  const std::vector<Error>& errors() const { return errors_; }
  // Flushes that failed, also those that nobody waited for.
  std::int64_t flush_failures() const { return flush_failures_; }
  // Batches that were submitted and that were acknowledged; all of them, where nothing failed.
  std::size_t submitted() const { return submitted_; }
  std::size_t acknowledged() const { return acknowledged_; }

 private:
  class Gate;

  bool open(std::uint64_t max_wal_bytes);
  bool drop();
  bool take(const Status& status);
  bool run_step(const ScriptStep& step);
  bool put_next();
  bool put_during_a_flush();
  bool put_refused();
  bool get(std::uint64_t limit, std::uint64_t offset);
  void read_all(RecordBatch* records);
  std::uint64_t count_records(std::size_t batches) const;

  const Script& script_;
  const std::function<std::uint64_t()> count_hits_;
  std::unique_ptr<Gate> gate_;
  MemoryTables tables_;
  EngineOptions options_;
  EngineEnvironment environment_;
  std::shared_ptr<BucketEngine> engine_;
  std::size_t submitted_ = 0;
  std::size_t acknowledged_ = 0;
  std::vector<Error> errors_;
  std::int64_t flush_failures_ = 0;
};

}  // namespace persisting::testing
