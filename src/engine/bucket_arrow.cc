// BucketEngine's Arrow side: rows in and out without a detour over single records where their types allow it.
#include <utility>

#include "engine/arrow_chunk.h"
#include "engine/bucket_engine.h"
#include "engine/bucket_engine_parts.h"
#include "schema/arrow_ipc.h"

namespace persisting {

// Everything that needs no lock: the copy that log and tail are to share, and what the rows bring. Rows that Arrow's
// IPC cannot carry become records.
Result<BucketEngine::Incoming> BucketEngine::prepare_rows(ArrowSchema* schema, ArrowArray* rows) {
  PERSISTING_ASSIGN_OR_RETURN(const ArrowRows given, ArrowRows::make(schema, rows));
  PERSISTING_ASSIGN_OR_RETURN(Schema fields, given.fields());
  Incoming incoming;
  if (given.size() == 0) return incoming;
  Result<std::string> encoded = encode_ipc(given.schema(), given.array());
  if (!encoded) {
    if (encoded.error().code != ErrorCode::kUnsupported) return std::move(encoded).error();
    PERSISTING_RETURN_IF_ERROR(given.read(0, given.size(), fields, &incoming.records));
    return incoming;
  }
  incoming.encoded_rows = std::make_shared<const std::string>(std::move(encoded).value());
  PERSISTING_ASSIGN_OR_RETURN(incoming.rows, ArrowChunk::decode(incoming.encoded_rows));
  incoming.row_fields = std::make_shared<const Schema>(std::move(fields));
  return incoming;
}

Result<std::uint64_t> BucketEngine::put_arrow(ArrowSchema* schema, ArrowArray* rows) {
  const std::uint64_t begun_ns = begin_of_put();
  PERSISTING_ASSIGN_OR_RETURN(Incoming incoming, prepare_rows(schema, rows));
  incoming.begun_ns = begun_ns;
  Waiter<Result<std::uint64_t>> waiter;
  const std::optional<std::uint64_t> end = submit(std::move(incoming), waiter.callback());
  if (end) (void)wal_->commit(*end);
  return waiter.wait();
}

void BucketEngine::put_arrow_async(ArrowSchema* schema, ArrowArray* rows, PutCallback done) {
  const std::uint64_t begun_ns = begin_of_put();
  Result<Incoming> incoming = prepare_rows(schema, rows);
  if (!incoming) return done(std::move(incoming).error());
  incoming->begun_ns = begun_ns;
  if (submit(std::move(incoming).value(), std::move(done))) wal_->commit_in_background();
}

Result<ArrowStreamPtr> BucketEngine::get_arrow(std::uint64_t limit, std::uint64_t offset) {
  PERSISTING_ASSIGN_OR_RETURN(const ReadPlan plan, plan_read(limit, offset));
  return run_arrow_read(plan);
}

void BucketEngine::get_arrow_async(std::uint64_t limit, std::uint64_t offset,
                                   GetArrowCallback done) {
  Result<ReadPlan> plan = plan_read(limit, offset);
  if (!plan) return done(std::move(plan).error());
  if (!plan->must_wait()) return done(run_arrow_read(*plan));
  environment_.executors->read.submit(
      [plan = std::move(plan).value(), done = std::move(done)] { done(run_arrow_read(plan)); });
}

}  // namespace persisting
