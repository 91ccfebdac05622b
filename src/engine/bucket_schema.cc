// BucketEngine's explicit changes of the schema: fields declared when it was opened, dropped or renamed later.
// A change waits until every record before it is in the table, and puts wait for the change: so neither the tail nor
// the log ever holds records of an older form.
#include <utility>

#include "persisting/msgpack_reader.h"
#include "persisting/msgpack_writer.h"

#include "base/fork_generation.h"
#include "engine/arrow_chunk.h"
#include "engine/bucket_engine.h"
#include "engine/bucket_engine_parts.h"

namespace persisting {
namespace {

// Appends a normalized record without the field, or under its new name.
void change_record(std::string_view record, const ColumnChange& change, RecordBatch* out) {
  msgpack::Reader reader(record);
  const std::uint32_t size = reader.next().size;
  const bool drops = change.kind == ColumnChange::Kind::kDrop;
  msgpack::write_map(out->bytes(), drops ? size - 1 : size);
  for (std::uint32_t i = 0; i < size; ++i) {
    const std::string_view name = reader.next().text;
    const std::string_view from = reader.remaining();
    reader.skip();
    const bool is_it = change.kind != ColumnChange::Kind::kNone && name == change.name;
    if (is_it && drops) continue;
    msgpack::write_string(out->bytes(), is_it ? change.new_name : name);
    out->bytes().append(from.substr(0, from.size() - reader.remaining().size()));
  }
  out->end_record();
}

}  // namespace

void BucketEngine::drop_field_async(std::string name, StatusCallback done) {
  ColumnChange columns{ColumnChange::Kind::kDrop, name, {}};
  alter_async({[name = std::move(name)](const SchemaPtr& schema, std::uint64_t offset) {
                 return drop_field(schema, name, offset);
               },
               std::move(columns), std::move(done)});
}

void BucketEngine::rename_field_async(std::string from, std::string to, StatusCallback done) {
  ColumnChange columns{ColumnChange::Kind::kRename, from, to};
  alter_async(
      {[from = std::move(from), to = std::move(to)](const SchemaPtr& schema, std::uint64_t offset) {
         return rename_field(schema, from, to, offset);
       },
       std::move(columns), std::move(done)});
}

Result<SchemaPtr> BucketEngine::schema() const {
  if (fork_generation_ != fork_generation()) return forked_error();
  const std::lock_guard lock(mutex_);
  if (closing_) return closed_error();
  return visible_schema_;
}

void BucketEngine::alter_async(Alteration alteration) {
  if (fork_generation_ != fork_generation()) return alteration.done(forked_error());
  Status answer = ok_status();
  Callbacks after;
  {
    const std::lock_guard lock(mutex_);
    if (std::optional<Error> refusal = refusal_locked()) {
      answer = *std::move(refusal);
    } else if (options_.has_table) {
      alterations_.push_back(std::move(alteration));
      if (wants_flush_locked()) schedule_flush_locked();
      return;  // or the commits under way will schedule it
    } else {
      answer = alter_in_memory_locked(alteration, &after);
    }
  }
  run(after);
  alteration.done(std::move(answer));
}

// Without a table all records are in the tail: it is made anew.
Status BucketEngine::alter_in_memory_locked(const Alteration& alteration, Callbacks* after) {
  PERSISTING_ASSIGN_OR_RETURN(SchemaPtr changed, alteration.change(schema_, tail_.next_offset()));
  if (changed == schema_) return ok_status();
  Tail rewritten(0);
  for (const TailSlice& slice : tail_.slice(0, tail_.next_offset())) {
    RecordBatch before;
    PERSISTING_RETURN_IF_ERROR(read_slice(slice, *schema_, &before));
    for (std::size_t i = 0; i < before.size();) {
      const std::int64_t timestamp = slice.chunk->timestamp_us(slice.first + i);
      RecordBatch changed_records;
      for (; i < before.size() && slice.chunk->timestamp_us(slice.first + i) == timestamp; ++i)
        change_record(before[i], alteration.columns, &changed_records);
      rewritten.append(std::move(changed_records), timestamp);
    }
  }
  tail_ = std::move(rewritten);
  schema_ = std::move(changed);
  show_schema_locked(schema_, after);
  return ok_status();
}

// Whether everything that was put is visible, so that a flush leaves nothing behind.
bool BucketEngine::can_alter_locked() const {
  return !alterations_.empty() && visible_end_ == tail_.next_offset();
}

// Applies what waits. The flush has nothing left to do, and no put gets in before this is done.
void BucketEngine::run_alterations(std::unique_lock<std::mutex>& lock) {
  Callbacks after;
  while (!alterations_.empty() && !closing_ && !failure_) {
    // Taken out: while it is at the table, whoever ends the bucket answers those that are left.
    Alteration alteration = std::move(alterations_.front());
    alterations_.pop_front();
    Status status = alter_table(alteration, lock, &after);
    after.push_back([done = std::move(alteration.done), status] { done(status); });
  }
  release_stalled_locked(&after);
  lock.unlock();
  run(after);
  after.clear();
  lock.lock();
}

// Lets go of the lock for as long as the table takes.
Status BucketEngine::alter_table(const Alteration& alteration, std::unique_lock<std::mutex>& lock,
                                 Callbacks* after) {
  PERSISTING_ASSIGN_OR_RETURN(SchemaPtr changed, alteration.change(schema_, tail_.next_offset()));
  if (changed == schema_) return ok_status();
  PERSISTING_RETURN_IF_ERROR(check_foreign_columns(*changed));
  is_altering_ = true;
  lock.unlock();
  Status altered = table_->alter(changed, alteration.columns);
  if (altered) publish_table();
  lock.lock();
  is_altering_ = false;
  if (!altered) return altered;
  schema_ = std::move(changed);
  show_schema_locked(schema_, after);
  after->push_back([snapshot = std::exchange(snapshot_, table_->snapshot())] {});
  return altered;
}

void BucketEngine::fail_alterations_locked(const Error& error, Callbacks* after) {
  for (Alteration& alteration : alterations_)
    after->push_back([done = std::move(alteration.done), error] { done(error); });
  alterations_.clear();
}

// What the options declare, once what a crash left has been taken back.
Status BucketEngine::apply_declaration() {
  PERSISTING_ASSIGN_OR_RETURN(const SchemaPtr declared,
                              declare(schema_, options_.declaration, tail_.next_offset()));
  if (declared == schema_) return ok_status();
  PERSISTING_RETURN_IF_ERROR(check_foreign_columns(*declared));
  if (table_ != nullptr) {
    PERSISTING_RETURN_IF_ERROR(flush_while_opening());
    PERSISTING_RETURN_IF_ERROR(table_->alter(declared, {}));
  }
  Callbacks after;
  {
    const std::lock_guard lock(mutex_);
    schema_ = declared;
    show_schema_locked(schema_, &after);
    if (table_ != nullptr) snapshot_ = table_->snapshot();
  }
  run(after);
  return ok_status();
}

}  // namespace persisting
