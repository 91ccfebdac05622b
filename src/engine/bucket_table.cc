#include "engine/bucket_table.h"

#include <algorithm>
#include <cassert>
#include <system_error>

#include <nanoarrow/nanoarrow.hpp>

#include "persisting/log.h"

#include "engine/table_rows.h"
#include "schema/admission.h"
#include "schema/arrow_convert.h"

namespace persisting {
namespace {

// Rows that cross into the table at a time: large enough for full pages, small enough to bound the copy.
constexpr std::size_t batch_rows = 65'536;
constexpr std::size_t batch_bytes = 16 << 20;

// Walks slices and gives Arrow batches of bounded size; the source of a flush's stream.
class SliceCursor {
 public:
  SliceCursor(std::vector<TailSlice> slices, ArrowBatchBuilder builder)
      : slices_(std::move(slices)), builder_(std::move(builder)) {}

  Result<bool> next(ArrowArray* out) {
    std::size_t bytes = 0;
    while (slice_ < slices_.size() && builder_.rows() < batch_rows && bytes < batch_bytes) {
      const TailSlice& slice = slices_[slice_];
      const std::size_t index = slice.first + record_;
      const std::string_view record = slice.chunk->record(index);
      PERSISTING_RETURN_IF_ERROR(builder_.append(slice.chunk->first_offset() + index,
                                                 slice.chunk->timestamp_us(index), record));
      bytes += record.size();
      if (++record_ == slice.count) {
        ++slice_;
        record_ = 0;
      }
    }
    if (builder_.rows() == 0) return false;
    PERSISTING_RETURN_IF_ERROR(builder_.finish(out));
    return true;
  }

 private:
  const std::vector<TailSlice> slices_;
  ArrowBatchBuilder builder_;
  std::size_t slice_ = 0;
  std::size_t record_ = 0;
};

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

// Marks every integer column as one that may hold values without an exact double: nothing is known of rows that no
// checkpoint has seen.
void assume_inexact(std::vector<SchemaField>& fields) {
  for (SchemaField& field : fields) {
    if (field.type.kind == TypeKind::kInt64) field.type.has_inexact_integers = true;
    assume_inexact(field.type.children);
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
  if (snapshot->rows() < checkpoint_.flushed_to) {
    return Error{ErrorCode::kCorruption, Component::kTable,
                 folder_ + ": version " + std::to_string(snapshot->version()) +
                     " of the table holds " + std::to_string(snapshot->rows()) +
                     " rows, but the checkpoint says that " +
                     std::to_string(checkpoint_.flushed_to) + " were flushed"};
  }
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
  return write_checkpoint(file_system_, folder_, checkpoint_);
}

Status BucketTable::flush(const std::vector<TailSlice>& slices, const SchemaPtr& schema) {
  if (!slices.empty()) PERSISTING_RETURN_IF_ERROR(append(slices, schema));
  return write_checkpoint(file_system_, folder_, checkpoint_);
}

Status BucketTable::append(const std::vector<TailSlice>& slices, const SchemaPtr& schema) {
  assert(slices.front().first_offset() == checkpoint_.flushed_to);
  PERSISTING_RETURN_IF_ERROR(evolve(schema));

  AppendSummary summary{checkpoint_.flushed_to, 0};
  for (const TailSlice& slice : slices) summary.rows += slice.count;
  PERSISTING_ASSIGN_OR_RETURN(ArrowBatchBuilder builder, ArrowBatchBuilder::make(schema));
  nanoarrow::UniqueArrayStream stream;
  PERSISTING_RETURN_IF_ERROR(make_cursor_stream(
      *schema, std::make_shared<SliceCursor>(slices, std::move(builder)), stream.get()));
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

Status BucketTable::rewrite(const SchemaPtr& schema) {
  PERSISTING_ASSIGN_OR_RETURN(auto cursor, RewriteCursor::make(table_->snapshot(), schema));
  nanoarrow::UniqueArrayStream stream;
  PERSISTING_RETURN_IF_ERROR(make_cursor_stream(*schema, std::move(cursor), stream.get()));
  PERSISTING_RETURN_IF_ERROR(table_->rewrite(stream.get()));
  table_schema_ = columns_of(*schema);
  return ok_status();
}

}  // namespace persisting
