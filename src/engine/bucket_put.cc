// BucketEngine's puts: the path of small ones, and the general one with all that can become of a batch.
#include <algorithm>
#include <utility>

#include "base/clocks.h"
#include "base/fork_generation.h"
#include "engine/arrow_chunk.h"
#include "engine/bucket_engine.h"
#include "engine/bucket_engine_parts.h"
#include "engine/dead_letters.h"
#include "schema/record_fit.h"

namespace persisting {
namespace {

// That one frame of the log holds the records.
Status check_size(const RecordBatch& records, std::size_t encoded_bytes, std::size_t count) {
  if (encoded_bytes + records.size() * sizeof(std::uint32_t) <= max_batch_bytes) return ok_status();
  return make_error(ErrorCode::kInvalidArgument,
                    "a batch of " + std::to_string(count) + " records and " +
                        std::to_string(encoded_bytes) + " encoded bytes is too large (at most " +
                        std::to_string(max_batch_bytes) +
                        " with four bytes more a record); put it in parts");
}

}  // namespace

// The path of small puts: what put_batch() does, where nothing of it can block, fail, or call anybody.
std::optional<std::uint64_t> BucketEngine::try_put(std::string_view record) {
  if (fork_generation_ != fork_generation()) return std::nullopt;
  std::uint64_t offset = 0;
  {
    // A caller in Python keeps the interpreter's lock, for which whoever has this one may have to wait.
    const std::unique_lock lock(mutex_, std::try_to_lock);
    if (!lock || failure_ || closing_ || !pending_.empty() || must_stall_locked(record.size()) ||
        !record_fits(*schema_, record)) {
      return std::nullopt;
    }
    const bool is_timed = metered_->is_exported();
    if (is_timed) stopwatch_.begin();
    offset = tail_.next_offset();
    const std::int64_t now = environment_.now_us();
    if (wal_ != nullptr && !wal_->try_commit(offset, now, record)) return std::nullopt;
    tail_.append(record, now);
    note_unflushed_locked(record.size(), now);
    visible_end_ = offset + 1;
    count_put_locked(1, record.size(), is_timed ? std::optional(stopwatch_.end()) : std::nullopt);
    end_puts_locked();
  }
  subscribers_.notify();
  return offset;
}

Result<std::uint64_t> BucketEngine::put_batch(RecordBatch batch) {
  Waiter<Result<std::uint64_t>> waiter;
  const std::optional<std::uint64_t> end =
      submit({std::move(batch), {}, {}, {}, begin_of_put()}, waiter.callback());
  // A failed commit has told the waiter through the listener.
  if (end) (void)wal_->commit(*end);
  return waiter.wait();
}

void BucketEngine::put_batch_async(RecordBatch batch, PutCallback done) {
  if (submit({std::move(batch), {}, {}, {}, begin_of_put()}, std::move(done)))
    wal_->commit_in_background();
}

// A clock costs too much to be read for nothing.
std::uint64_t BucketEngine::begin_of_put() const {
  return metered_->is_exported() ? monotonic_ns() : 0;
}

// Takes the records in, or refuses them. Returns the offset that the caller must have committed, if any.
std::optional<std::uint64_t> BucketEngine::submit(Incoming incoming, PutCallback done) {
  Callbacks after;
  std::optional<std::uint64_t> end;
  if (fork_generation_ != fork_generation()) {
    done(forked_error());
    return end;
  }
  {
    const std::lock_guard lock(mutex_);
    if (must_stall_locked(incoming.byte_size())) {
      stalled_.push_back({std::move(incoming), std::move(done)});
      schedule_flush_locked();
    } else {
      end = submit_locked(std::move(incoming), std::move(done), &after);
    }
  }
  run(after);
  return end;
}

bool BucketEngine::must_stall_locked(std::size_t bytes) const {
  if (!options_.has_table || refusal_locked()) return false;
  if (!stalled_.empty() || !alterations_.empty() || is_altering_) return true;  // keep the order
  return is_full_locked(bytes);
}

bool BucketEngine::is_full_locked(std::size_t bytes) const {
  return unflushed_bytes_ > 0 && unflushed_bytes_ + bytes > options_.max_buffer_bytes;
}

void BucketEngine::release_stalled_locked(Callbacks* after) {
  bool must_commit = false;
  while (!stalled_.empty() && alterations_.empty() &&
         !is_full_locked(stalled_.front().incoming.byte_size())) {
    StalledPut put = std::move(stalled_.front());
    stalled_.pop_front();
    must_commit |= submit_locked(std::move(put.incoming), std::move(put.done), after).has_value();
  }
  if (must_commit) after->push_back([this] { wal_->commit_in_background(); });
}

std::optional<Error> BucketEngine::refusal_locked() const {
  if (failure_) return failure_;
  if (closing_) return closed_error();
  return std::nullopt;
}

// Rows whose single values decide whether they fit become records, which may be many times larger.
Result<Admission> BucketEngine::admit_locked(Incoming* incoming, std::uint64_t first_offset) const {
  if (incoming->rows != nullptr) {
    Result<SchemaPtr> admitted = admit_fields(schema_, *incoming->row_fields, first_offset);
    if (admitted) return Admission{std::move(admitted).value(), {}};
    PERSISTING_RETURN_IF_ERROR(
        incoming->rows->read(0, incoming->rows->size(), *incoming->row_fields, &incoming->records));
    incoming->rows = nullptr;
    incoming->encoded_rows = nullptr;
    PERSISTING_RETURN_IF_ERROR(
        check_size(incoming->records, incoming->byte_size(), incoming->size()));
  }
  return admit(schema_, incoming->records, first_offset, options_.admission);
}

Status BucketEngine::check_foreign_columns(const Schema& admitted) const {
  if (table_ == nullptr) return ok_status();
  for (const std::string& column : table_->foreign_columns()) {
    if (!admitted.find(column)) continue;
    return make_error(ErrorCode::kSchema,
                      "field '" + column +
                          "' has the name of a column that another program added to the "
                          "table, of a type that no record holds; rename the field");
  }
  return ok_status();
}

std::optional<std::uint64_t> BucketEngine::submit_locked(Incoming incoming, PutCallback done,
                                                         Callbacks* after) {
  const auto answer = [after, &done](Result<std::uint64_t> result) {
    after->push_back([done = std::move(done), result = std::move(result)]() mutable {
      done(std::move(result));
    });
    return std::optional<std::uint64_t>();
  };
  if (std::optional<Error> refusal = refusal_locked()) return answer(*std::move(refusal));
  if (incoming.size() == 0) return answer(visible_end_.load());
  if (Status fits = check_size(incoming.records, incoming.byte_size(), incoming.size()); !fits)
    return answer(std::move(fits).error());
  const std::uint64_t first = tail_.next_offset();
  Result<Admission> admission = admit_locked(&incoming, first);
  if (admission && admission->schema != schema_) {
    if (Status foreign = check_foreign_columns(*admission->schema); !foreign)
      admission = std::move(foreign).error();
  }
  if (!admission) {
    if (admission.error().code == ErrorCode::kSchema)
      metrics().rejected_records.add(incoming.size());
    return answer(std::move(admission).error());
  }
  if (!admission->refused.empty()) {
    done = set_refused_aside_locked(std::move(admission->refused), first, &incoming.records,
                                    std::move(done), after);
    if (incoming.records.empty()) return answer(visible_end_.load());
  }
  schema_ = std::move(admission->schema);

  const std::int64_t now = environment_.now_us();
  thread_local std::vector<std::uint32_t> lengths;
  lengths.clear();
  std::size_t begin = 0;
  for (const std::size_t record_end : incoming.records.ends()) {
    lengths.push_back(static_cast<std::uint32_t>(record_end - begin));
    begin = record_end;
  }
  const bool is_arrow = incoming.rows != nullptr;
  const auto count = static_cast<std::uint32_t>(incoming.size());
  const std::uint64_t begun_ns = incoming.begun_ns;
  const std::string_view bytes = append_to_tail_locked(std::move(incoming), now);
  const std::uint64_t end = tail_.next_offset();
  note_unflushed_locked(bytes.size(), now);
  PendingPut put{first, end, schema_, bytes.size(), begun_ns, std::move(done)};
  if (wal_ != nullptr) {
    pending_.push_back(std::move(put));
    publish_buffer_locked();
    wal_->enqueue(is_arrow ? WalFrame::arrow(first, now, count, bytes)
                           : WalFrame(first, now, lengths, bytes));
    return end;
  }
  visible_end_ = end;
  acknowledge_locked(std::move(put), begun_ns == 0 ? 0 : monotonic_ns(), after);
  end_puts_locked();
  after->push_back([this] { subscribers_.notify(); });
  return std::nullopt;
}

std::string_view BucketEngine::append_to_tail_locked(Incoming incoming, std::int64_t now_us) {
  if (incoming.rows == nullptr) return tail_.append(std::move(incoming.records), now_us);
  const std::string_view bytes = *incoming.encoded_rows;
  tail_.append(std::make_shared<ArrowChunk>(
      tail_.next_offset(), now_us, std::move(incoming.encoded_rows), std::move(incoming.rows)));
  return bytes;
}

// Takes the refused records out of `batch`, keeps them as the policy says, and returns the callback that the rest of the
// batch is to have.
PutCallback BucketEngine::set_refused_aside_locked(std::vector<Refusal> refused,
                                                   std::uint64_t first_offset, RecordBatch* batch,
                                                   PutCallback done, Callbacks* after) {
  metrics().rejected_records.add(refused.size());
  RecordBatch taken;
  RecordBatch letters;
  std::size_t next = 0;
  for (std::size_t i = 0; i < batch->size(); ++i) {
    if (next == refused.size() || refused[next].index != i) {
      taken.add_encoded((*batch)[i]);
      continue;
    }
    if (dead_letters_ != nullptr)
      letters.add(
          make_dead_letter(first_offset + i - next, refused[next].error.message, (*batch)[i]));
    ++next;
  }
  *batch = std::move(taken);
  if (options_.admission.on_conflict != ConflictPolicy::kDeadLetter)
    return refuse_after(std::move(refused), batch->size(), std::move(done));
  // Acknowledged once both are kept.
  const auto both = std::make_shared<PutOfTwo>(std::move(done));
  after->push_back([engine = dead_letters_, both, letters = std::move(letters)]() mutable {
    engine->put_batch_async(std::move(letters), [both](const Result<std::uint64_t>& result) {
      both->finish(result ? Result<std::uint64_t>(0) : result, false);
    });
  });
  return [both](Result<std::uint64_t> result) { both->finish(std::move(result), true); };
}

void BucketEngine::on_committed(std::uint64_t end_offset, const Status& status) {
  Callbacks after;
  {
    const std::lock_guard lock(mutex_);
    if (!status) {
      fail_puts_locked(status.error(), &after);
    } else {
      visible_end_ = std::max(visible_end_.load(), end_offset);
      const std::uint64_t now_ns = metered_->is_exported() ? monotonic_ns() : 0;
      while (!pending_.empty() && pending_.front().end_offset <= end_offset) {
        acknowledge_locked(std::move(pending_.front()), now_ns, &after);
        pending_.pop_front();
      }
      end_puts_locked();
    }
  }
  run(after);
  subscribers_.notify();
}

void BucketEngine::acknowledge_locked(PendingPut put, std::uint64_t now_ns, Callbacks* after) {
  // One of them is 0 where exporting began or ended meanwhile.
  const bool is_timed = put.begun_ns != 0 && now_ns != 0;
  count_put_locked(put.end_offset - put.first_offset, put.bytes,
                   is_timed ? std::optional(now_ns - put.begun_ns) : std::nullopt);
  show_schema_locked(std::move(put.schema), after);
  after->push_back([done = std::move(put.done), first = put.first_offset] { done(first); });
}

void BucketEngine::count_put_locked(std::uint64_t records, std::uint64_t bytes,
                                    std::optional<std::uint64_t> duration_ns) {
  BucketMetrics& cells = metrics();
  cells.records.add(records);
  cells.bytes.add(bytes);
  if (duration_ns) cells.put_duration.observe_nanoseconds(*duration_ns);
}

void BucketEngine::note_unflushed_locked(std::uint64_t bytes, std::int64_t now_us) {
  if (oldest_unflushed_us_ == 0) oldest_unflushed_us_ = now_us;
  unflushed_bytes_ += bytes;
}

// Once records have become visible.
void BucketEngine::end_puts_locked() {
  publish_buffer_locked();
  arm_flush_timer_locked();
  if (wants_flush_locked()) schedule_flush_locked();
}

// The log failed: nothing that waits will be acknowledged, and nothing later accepted.
void BucketEngine::fail_puts_locked(const Error& error, Callbacks* after) {
  if (!failure_) {
    failure_ = error;
    metrics().poisoned.set(1);
    after->push_back([this, message = error.message] {
      tell(LogLevel::kError, "poison", message, {{"reason", message}});
    });
  }
  schema_ = visible_schema_;
  for (PendingPut& put : pending_) {
    after->push_back([done = std::move(put.done), error] { done(error); });
  }
  pending_.clear();
  for (StalledPut& put : stalled_) {
    after->push_back([done = std::move(put.done), error] { done(error); });
  }
  stalled_.clear();
  fail_alterations_locked(error, after);
}

}  // namespace persisting
