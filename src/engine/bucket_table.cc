#include "engine/bucket_table.h"

#include <algorithm>
#include <cassert>
#include <system_error>

#include <nanoarrow/nanoarrow.hpp>

#include "persisting/log.h"
#include "persisting/msgpack_writer.h"

#include "engine/slice_cursor.h"
#include "engine/table_rows.h"
#include "schema/admission.h"
#include "schema/arrow_convert.h"
#include "schema/normalizer.h"

namespace persisting {
namespace {

// Reads a table's rows and encodes them anew under another schema; the source of a rewrite's stream.
class RewriteCursor {
 public:
  static Result<std::shared_ptr<RewriteCursor>> make(std::shared_ptr<const TableSnapshot> snapshot,
                                                     SchemaPtr schema) {
    PERSISTING_ASSIGN_OR_RETURN(ArrowBatchBuilder builder, ArrowBatchBuilder::make(schema));
    std::shared_ptr<RewriteCursor> cursor(
        new RewriteCursor(std::move(snapshot), std::move(schema), std::move(builder)));
    PERSISTING_RETURN_IF_ERROR(
        cursor->snapshot_->scan(0, cursor->snapshot_->rows(), cursor->stream_.get()));
    ArrowArrayStream* stream = cursor->stream_.get();
    if (const int code = stream->get_schema(stream, cursor->arrow_schema_.get()); code != 0) {
      return stream_error(stream, code);
    }
    return cursor;
  }

  Result<bool> next(ArrowArray* out) {
    std::size_t bytes = 0;
    while (builder_.rows() < batch_rows && bytes < batch_bytes) {
      if (taken_ == page_.size()) {
        PERSISTING_ASSIGN_OR_RETURN(const bool more, load_page());
        if (!more) break;
      }
      PERSISTING_RETURN_IF_ERROR(
          builder_.append(row_ - page_.size() + taken_, timestamps_[taken_], page_[taken_]));
      bytes += page_[taken_].size();
      ++taken_;
    }
    if (builder_.rows() == 0) return false;
    PERSISTING_RETURN_IF_ERROR(builder_.finish(out));
    return true;
  }

 private:
  RewriteCursor(std::shared_ptr<const TableSnapshot> snapshot, SchemaPtr schema,
                ArrowBatchBuilder builder)
      : snapshot_(std::move(snapshot)), schema_(std::move(schema)), builder_(std::move(builder)) {}

  Result<bool> load_page() {
    page_ = RecordBatch();
    timestamps_.clear();
    taken_ = 0;
    while (page_.empty()) {
      nanoarrow::UniqueArray array;
      if (const int code = stream_->get_next(stream_.get(), array.get()); code != 0) {
        return stream_error(stream_.get(), code);
      }
      if (array->release == nullptr) return false;
      PERSISTING_RETURN_IF_ERROR(
          decode_rows(*arrow_schema_.get(), *array.get(), *schema_, row_, &page_, &timestamps_));
    }
    row_ += page_.size();
    return true;
  }

  const std::shared_ptr<const TableSnapshot> snapshot_;
  const SchemaPtr schema_;
  ArrowBatchBuilder builder_;
  nanoarrow::UniqueArrayStream stream_;
  nanoarrow::UniqueSchema arrow_schema_;
  RecordBatch page_;  // one array of the stream, decoded
  std::vector<std::int64_t> timestamps_;
  std::size_t taken_ = 0;  // of the page
  std::uint64_t row_ = 0;  // behind the page
};

template <typename Cursor>
Status make_cursor_stream(const Schema& schema, std::shared_ptr<Cursor> cursor,
                          ArrowArrayStream* out) {
  nanoarrow::UniqueSchema arrow;
  PERSISTING_RETURN_IF_ERROR(to_arrow_schema(schema, arrow.get()));
  make_stream(
      arrow.get(), [cursor = std::move(cursor)](ArrowArray* array) { return cursor->next(array); },
      out);
  return ok_status();
}

// Marks every integer column as one that may hold values without an exact double, and every decimal as one that may have
// all its digits: nothing is known of rows that no checkpoint has seen.
void assume_inexact(std::vector<SchemaField>& fields) {
  for (SchemaField& field : fields) {
    FieldType& type = field.type;
    const bool is_uint64 = type.kind == TypeKind::kNumber && type.number == NumberType::kUInt64;
    if (type.kind == TypeKind::kInt64 || is_uint64) type.has_inexact_integers = true;
    if (type.kind == TypeKind::kDecimal)
      type.whole_digits = static_cast<std::uint8_t>(msgpack::max_decimal_digits - type.scale);
    assume_inexact(type.children);
  }
}

}  // namespace

Result<std::unique_ptr<BucketTable>> BucketTable::open(FileSystem& file_system,
                                                       const std::string& folder,
                                                       const TableOpener& opener,
                                                       NewerVersions newer) {
  std::unique_ptr<BucketTable> bucket_table(new BucketTable(file_system, folder));
  PERSISTING_RETURN_IF_ERROR(bucket_table->recover(opener, newer));
  return bucket_table;
}

Status BucketTable::recover(const TableOpener& opener, NewerVersions newer) {
  PERSISTING_ASSIGN_OR_RETURN(std::optional<Checkpoint> checkpoint,
                              read_checkpoint(file_system_, folder_));
  if (checkpoint) checkpoint_ = *std::move(checkpoint);
  checkpointed_to_ = checkpoint_.flushed_to;
  PERSISTING_RETURN_IF_ERROR(open_version(opener, newer));
  const auto is_newer = [this] { return table_->version().version > checkpoint_.table.version; };
  // A manifest torn in the middle may read as one with less in it. (If the known version is gone, it was another program
  // that dropped it.)
  if (is_newer() && lacks_something() && !open_version(opener, NewerVersions::kSetAside))
    PERSISTING_RETURN_IF_ERROR(open_version(opener, newer));
  const std::shared_ptr<const TableSnapshot> snapshot = table_->snapshot();
  if (snapshot == nullptr) return ok_status();

  for (const std::string& column : foreign_columns_) {
    log(LogLevel::kWarning, folder_ + ": the table's column '" + column +
                                "' has a type that no record holds; readers do not see it");
  }
  PERSISTING_RETURN_IF_ERROR(check_has_flushed_rows(folder_, checkpoint_, *snapshot));
  checkpoint_.table = table_->version();
  checkpoint_.flushed_to = snapshot->rows();
  return ok_status();
}

Status BucketTable::open_version(const TableOpener& opener, NewerVersions newer) {
  table_schema_ = Schema();
  foreign_columns_.clear();
  PERSISTING_ASSIGN_OR_RETURN(table_, opener(folder_ + "/data.lance", checkpoint_.table, newer));
  const std::shared_ptr<const TableSnapshot> snapshot = table_->snapshot();
  if (snapshot == nullptr) return ok_status();
  nanoarrow::UniqueSchema arrow;
  PERSISTING_RETURN_IF_ERROR(snapshot->schema(arrow.get()));
  PERSISTING_ASSIGN_OR_RETURN(table_schema_, from_arrow_schema(*arrow.get(), &foreign_columns_));
  return ok_status();
}

// Whether the table has fewer rows than were flushed, or no column for one of their fields.
bool BucketTable::lacks_something() const {
  if (table_->snapshot()->rows() < checkpoint_.flushed_to) return true;
  const Schema wanted = columns_of(checkpoint_.schema);
  return std::any_of(wanted.fields().begin(), wanted.fields().end(),
                     [this](const SchemaField& field) { return !table_schema_.find(field.name); });
}

Result<SchemaPtr> BucketTable::complete_schema(const SchemaPtr& replayed, bool log_reaches_back) {
  Schema table = table_schema_;
  if (checkpoint_.flushed_to > checkpointed_to_ && !log_reaches_back) {
    std::vector<SchemaField> fields = table.fields();
    assume_inexact(fields);
    table = Schema(std::move(fields));
  }
  Result<Schema> merged = merge(*replayed, table);
  if (!merged) return with_context(std::move(merged).error(), folder_);
  checkpoint_.schema = *merged;
  return std::make_shared<const Schema>(std::move(merged).value());
}

Status BucketTable::begin_epoch(std::uint64_t epoch) {
  checkpoint_.epoch = epoch;
  return save_checkpoint();
}

Status BucketTable::save_checkpoint() {
  PERSISTING_RETURN_IF_ERROR(write_checkpoint(file_system_, folder_, checkpoint_));
  saved_version_ = checkpoint_.table.version;
  return ok_status();
}

Status BucketTable::flush(const std::vector<TailSlice>& slices, const SchemaPtr& schema) {
  if (broken_) return *broken_;
  if (!slices.empty()) PERSISTING_RETURN_IF_ERROR(append(slices, schema));
  return save_checkpoint();
}

Status BucketTable::append(const std::vector<TailSlice>& slices, const SchemaPtr& schema) {
  assert(slices.front().first_offset() == checkpoint_.flushed_to);
  PERSISTING_RETURN_IF_ERROR(evolve(schema));

  AppendSummary summary{checkpoint_.flushed_to, 0};
  for (const TailSlice& slice : slices) summary.rows += slice.count;
  PERSISTING_ASSIGN_OR_RETURN(auto cursor, SliceCursor::make(slices, schema));
  nanoarrow::UniqueArrayStream stream;
  PERSISTING_RETURN_IF_ERROR(make_cursor_stream(*schema, std::move(cursor), stream.get()));
  PERSISTING_RETURN_IF_ERROR(table_->append(stream.get(), summary));

  // From here on the table holds the rows: even if the checkpoint cannot be written they must not be appended again.
  table_schema_ = columns_of(*schema);
  checkpoint_.flushed_to = summary.first_offset + summary.rows;
  checkpoint_.table = table_->version();
  checkpoint_.schema = *schema;
  return ok_status();
}

Status BucketTable::evolve(const SchemaPtr& schema) {
  const std::shared_ptr<const TableSnapshot> snapshot = table_->snapshot();
  if (snapshot == nullptr) return ok_status();  // the first append makes the table
  const TableChange change = plan_change(table_schema_, *schema);
  if (change.kind == TableChange::Kind::kRewrite) return rewrite(schema);
  if (change.kind == TableChange::Kind::kNone) return ok_status();

  nanoarrow::UniqueSchema columns;
  PERSISTING_RETURN_IF_ERROR(to_arrow_columns(change.added, columns.get()));
  PERSISTING_RETURN_IF_ERROR(table_->add_columns(columns.get()));
  std::vector<SchemaField> fields = table_schema_.fields();
  fields.insert(fields.end(), change.added.fields().begin(), change.added.fields().end());
  table_schema_ = Schema(std::move(fields));
  return ok_status();
}

Status BucketTable::alter(const SchemaPtr& schema, const ColumnChange& change) {
  if (broken_) return *broken_;
  const std::uint64_t before = table_->version().version;
  Status altered = alter_columns(schema, change);
  if (altered) {
    Checkpoint changed = checkpoint_;
    changed.schema = *schema;
    changed.table = table_->version();
    altered = write_checkpoint(file_system_, folder_, changed);
    if (altered) {
      checkpoint_ = std::move(changed);
      saved_version_ = checkpoint_.table.version;
    }
  }
  if (!altered && table_->version().version != before) {
    broken_ = with_context(altered.error(),
                           "a change of the schema failed half-way; open the bucket again");
  }
  return altered;
}

Status BucketTable::alter_columns(const SchemaPtr& schema, const ColumnChange& change) {
  if (table_->snapshot() == nullptr) return ok_status();
  std::vector<SchemaField> columns = table_schema_.fields();
  const auto column = std::ranges::find(columns, change.name, &SchemaField::name);
  switch (change.kind) {
    case ColumnChange::Kind::kNone:
      return alter_known_columns(schema);
    case ColumnChange::Kind::kDrop:
      if (column == columns.end()) return ok_status();
      PERSISTING_RETURN_IF_ERROR(table_->drop_columns({change.name}));
      columns.erase(column);
      break;
    case ColumnChange::Kind::kRename:
      if (column == columns.end()) return ok_status();
      PERSISTING_RETURN_IF_ERROR(table_->rename_columns({{change.name, change.new_name}}));
      column->name = change.new_name;
      break;
  }
  table_schema_ = Schema(std::move(columns));
  return ok_status();
}

// Rows without a column for a field read its default: before that changes they get the column, with what they read so
// far.
Status BucketTable::alter_known_columns(const SchemaPtr& schema) {
  std::vector<SchemaField> known;
  for (const SchemaField& field : schema->fields()) {
    const std::optional<std::size_t> before = checkpoint_.schema.find(field.name);
    if (!before) continue;
    const std::string& old_default = checkpoint_.schema.fields()[*before].default_value;
    if (table_schema_.find(field.name) || field.default_value != old_default)
      known.push_back({field.name, field.type, old_default});
  }
  normalize_defaults(&known);
  return evolve(std::make_shared<const Schema>(std::move(known)));
}

// A flush may have changed columns and then failed: the checkpoint's schema does not go with that version.
Status BucketTable::check_settled() const {
  if (broken_) return *broken_;
  if (table_->version() == checkpoint_.table) return ok_status();
  return Error{ErrorCode::kIo, Component::kTable,
               folder_ + ": the last flush ended half-way; flush before compacting"};
}

Result<CompactedFragments> BucketTable::compact(const TableCompaction& compaction) {
  PERSISTING_RETURN_IF_ERROR(check_settled());
  PERSISTING_ASSIGN_OR_RETURN(const CompactedFragments figures, table_->compact(compaction));
  checkpoint_.table = table_->version();
  PERSISTING_RETURN_IF_ERROR(save_checkpoint());
  return figures;
}

std::unique_ptr<TableMerge> BucketTable::begin_merge() {
  return broken_ ? nullptr : table_->begin_merge();
}

Result<CompactedFragments> BucketTable::commit_merge(TableMerge& merge) {
  PERSISTING_RETURN_IF_ERROR(check_settled());
  Result<CompactedFragments> figures = table_->commit_merge(merge);
  // Also where it failed: another program's version may have been taken over first.
  checkpoint_.table = table_->version();
  if (!figures) return figures.error();
  PERSISTING_RETURN_IF_ERROR(save_checkpoint());
  return figures;
}

Result<RemovedVersions> BucketTable::remove_old_versions(std::uint64_t kept) {
  PERSISTING_RETURN_IF_ERROR(check_settled());
  if (saved_version_ != checkpoint_.table.version) PERSISTING_RETURN_IF_ERROR(save_checkpoint());
  return table_->remove_old_versions(kept);
}

Status BucketTable::rewrite(const SchemaPtr& schema) {
  PERSISTING_ASSIGN_OR_RETURN(auto cursor, RewriteCursor::make(table_->snapshot(), schema));
  nanoarrow::UniqueArrayStream stream;
  PERSISTING_RETURN_IF_ERROR(make_cursor_stream(*schema, std::move(cursor), stream.get()));
  PERSISTING_RETURN_IF_ERROR(table_->rewrite(stream.get()));
  table_schema_ = columns_of(*schema);
  return ok_status();
}

}  // namespace persisting
