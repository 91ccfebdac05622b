#include "engine/slice_cursor.h"

#include <algorithm>
#include <utility>

#include "schema/arrow_share.h"
#include "schema/arrow_type.h"

namespace persisting {
namespace {

// Records that are brought to the table's form at a time: their bytes stay in the processor's cache.
constexpr std::size_t page_records = 64;
constexpr std::int64_t system_columns = 2;

// Fills _offset and _ts of `count` rows that were put at one time.
ArrowErrorCode fill_system_columns(const ArrowSchema& type, std::uint64_t first_offset,
                                   std::int64_t timestamp_us, std::int64_t count,
                                   ArrowArray* rows) {
  for (std::int64_t column = 0; column < system_columns; ++column) {
    nanoarrow::UniqueArray values;
    NANOARROW_RETURN_NOT_OK(ArrowArrayInitFromSchema(values.get(), type.children[column], nullptr));
    NANOARROW_RETURN_NOT_OK(ArrowArrayStartAppending(values.get()));
    NANOARROW_RETURN_NOT_OK(ArrowArrayReserve(values.get(), count));
    for (std::int64_t i = 0; i < count; ++i) {
      NANOARROW_RETURN_NOT_OK(
          column == 0
              ? ArrowArrayAppendUInt(values.get(), first_offset + static_cast<std::uint64_t>(i))
              : ArrowArrayAppendInt(values.get(), timestamp_us));
    }
    NANOARROW_RETURN_NOT_OK(ArrowArrayFinishBuildingDefault(values.get(), nullptr));
    values.move(rows->children[column]);
  }
  return NANOARROW_OK;
}

}  // namespace

Result<std::shared_ptr<SliceCursor>> SliceCursor::make(std::vector<TailSlice> slices,
                                                       SchemaPtr schema) {
  PERSISTING_ASSIGN_OR_RETURN(ArrowBatchBuilder builder, ArrowBatchBuilder::make(schema));
  std::shared_ptr<SliceCursor> cursor(
      new SliceCursor(std::move(slices), std::move(schema), std::move(builder)));
  PERSISTING_RETURN_IF_ERROR(to_arrow_schema(*cursor->schema_, cursor->type_.get()));
  return cursor;
}

Result<bool> SliceCursor::next(ArrowArray* out) {
  std::size_t bytes = 0;
  while (slice_ < slices_.size() && builder_.rows() < batch_rows && bytes < batch_bytes) {
    const TailSlice& slice = slices_[slice_];
    if (slice.chunk->records() == nullptr && record_ == 0) {
      if (builder_.rows() > 0) break;  // first what came before
      PERSISTING_ASSIGN_OR_RETURN(const bool done, hand_on(slice, out));
      if (done) {
        ++slice_;
        return true;
      }
    }
    PERSISTING_RETURN_IF_ERROR(append_page(slice));
    bytes += page_.byte_size();
    if (record_ == slice.count) {
      ++slice_;
      record_ = 0;
    }
  }
  if (builder_.rows() == 0) return false;
  PERSISTING_RETURN_IF_ERROR(builder_.finish(out));
  return true;
}

Status SliceCursor::append_page(const TailSlice& slice) {
  const std::size_t taken = std::min<std::size_t>(slice.count - record_, page_records);
  const TailSlice page{slice.chunk, slice.first + record_, taken};
  page_ = RecordBatch();
  PERSISTING_RETURN_IF_ERROR(read_slice(page, *schema_, &page_));
  for (std::size_t i = 0; i < taken; ++i) {
    PERSISTING_RETURN_IF_ERROR(builder_.append(
        page.first_offset() + i, slice.chunk->timestamp_us(page.first + i), page_[i]));
  }
  record_ += taken;
  return ok_status();
}

// Gives the rows of a slice in Arrow as they are; false where their columns are not the table's.
Result<bool> SliceCursor::hand_on(const TailSlice& slice, ArrowArray* out) const {
  const auto& chunk = static_cast<const ArrowChunk&>(*slice.chunk);
  const auto places = find_shareable_columns(*type_.get(), chunk.rows().schema(), *schema_);
  if (!places || !are_aligned(chunk.rows().schema(), chunk.rows().array())) return false;
  nanoarrow::UniqueArray rows;
  const auto count = static_cast<std::int64_t>(slice.count);
  PERSISTING_RETURN_IF_ERROR(share_rows(*type_.get(), *places, chunk.rows().array(),
                                        static_cast<std::int64_t>(slice.first), count, slice.chunk,
                                        system_columns, rows.get()));
  PERSISTING_RETURN_IF_ERROR(
      nanoarrow_status(fill_system_columns(*type_.get(), slice.first_offset(),
                                           chunk.timestamp_us(0), count, rows.get()),
                       "building rows for the table"));
  rows.move(out);
  return true;
}

}  // namespace persisting
