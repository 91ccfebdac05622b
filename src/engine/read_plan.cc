#include "engine/read_plan.h"

#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include <nanoarrow/nanoarrow.hpp>

#include "engine/arrow_chunk.h"
#include "engine/table_rows.h"
#include "schema/arrow_convert.h"
#include "schema/arrow_share.h"

namespace persisting {
namespace {

// Gathers the arrays of one read, all of the same type.
class ArrowReply {
 public:
  static Result<ArrowReply> make(SchemaPtr schema) {
    ArrowReply reply;
    PERSISTING_RETURN_IF_ERROR(to_arrow_fields(*schema, reply.type_.get()));
    reply.schema_ = std::move(schema);
    return reply;
  }

  // Rows of the table: an array of its stream.
  Status add_table_rows(const ArrowSchema& type, ArrowArray& rows, std::uint64_t first_offset) {
    const auto places = find_shareable_columns(*type_.get(), type, *schema_);
    if (!places) return add_decoded(type, rows, first_offset);
    PERSISTING_RETURN_IF_ERROR(check_rows(type, rows, first_offset));
    // Shared with the arrays that are handed out.
    const auto owner = std::make_shared<nanoarrow::UniqueArray>(&rows);
    return share(*places, *owner->get(), 0, owner->get()->length, owner);
  }

  Status add_tail_rows(const TailSlice& slice) {
    if (slice.chunk->records() == nullptr) {
      const auto& chunk = static_cast<const ArrowChunk&>(*slice.chunk);
      const auto places = find_shareable_columns(*type_.get(), chunk.rows().schema(), *schema_);
      if (places && are_aligned(chunk.rows().schema(), chunk.rows().array())) {
        return share(*places, chunk.rows().array(), static_cast<std::int64_t>(slice.first),
                     static_cast<std::int64_t>(slice.count), slice.chunk);
      }
    }
    if (const RecordChunk* const records = slice.chunk->records()) return append(slice, *records);
    RecordBatch records;
    PERSISTING_RETURN_IF_ERROR(read_slice(slice, *schema_, &records));
    return add_records(records);
  }

  Result<ArrowStreamPtr> finish() {
    ArrowStreamPtr stream(new ArrowArrayStream{}, [](ArrowArrayStream* owned) {
      if (owned->release != nullptr) owned->release(owned);
      delete owned;
    });
    auto arrays = std::make_shared<std::vector<nanoarrow::UniqueArray>>(std::move(arrays_));
    make_stream(
        type_.get(),
        [arrays, next = std::size_t{0}](ArrowArray* out) mutable -> Result<bool> {
          if (next == arrays->size()) return false;
          (*arrays)[next++].move(out);
          return true;
        },
        stream.get());
    return stream;
  }

 private:
  Status share(const std::vector<std::int64_t>& places, const ArrowArray& rows, std::int64_t first,
               std::int64_t count, const std::shared_ptr<const void>& owner) {
    nanoarrow::UniqueArray shared;
    PERSISTING_RETURN_IF_ERROR(
        share_rows(*type_.get(), places, rows, first, count, owner, 0, shared.get()));
    arrays_.push_back(std::move(shared));
    return ok_status();
  }

  Status add_decoded(const ArrowSchema& type, const ArrowArray& rows, std::uint64_t first_offset) {
    RecordBatch records;
    PERSISTING_RETURN_IF_ERROR(decode_rows(type, rows, *schema_, first_offset, &records));
    return add_records(records);
  }

  Status append(const TailSlice& slice, const RecordChunk& records) {
    PERSISTING_ASSIGN_OR_RETURN(ArrowBatchBuilder builder,
                                ArrowBatchBuilder::make(schema_, SystemColumns::kWithout));
    PERSISTING_RETURN_IF_ERROR(builder.reserve(slice.count));
    for (std::size_t i = slice.first; i < slice.first + slice.count; ++i)
      PERSISTING_RETURN_IF_ERROR(builder.append_admitted(records.record(i)));
    return add(builder);
  }

  Status add_records(const RecordBatch& records) {
    PERSISTING_ASSIGN_OR_RETURN(ArrowBatchBuilder builder,
                                ArrowBatchBuilder::make(schema_, SystemColumns::kWithout));
    for (std::size_t i = 0; i < records.size(); ++i)
      PERSISTING_RETURN_IF_ERROR(builder.append(0, 0, records[i]));
    return add(builder);
  }

  Status add(ArrowBatchBuilder& builder) {
    nanoarrow::UniqueArray built;
    PERSISTING_RETURN_IF_ERROR(builder.finish(built.get()));
    arrays_.push_back(std::move(built));
    return ok_status();
  }

  SchemaPtr schema_;
  nanoarrow::UniqueSchema type_;
  std::vector<nanoarrow::UniqueArray> arrays_;
};

// The records of one read: the table's as its arrays, the tail's as its slices.
class PlannedPage : public RecordPage {
 public:
  static Result<RecordPagePtr> read(ReadPlan plan) {
    std::shared_ptr<PlannedPage> page(new PlannedPage(plan.schema, std::move(plan.tail)));
    if (plan.table_count > 0) PERSISTING_RETURN_IF_ERROR(page->read_table(plan));
    return RecordPagePtr(std::move(page));
  }

  std::uint64_t size() const override {
    std::uint64_t records = 0;
    for (const auto& rows : table_) records += rows->size();
    for (const TailSlice& slice : tail_) records += slice.count;
    return records;
  }

  Status write_to(RecordSink& sink) const override {
    std::vector<std::string_view> names;
    names.reserve(schema_->fields().size());
    for (const SchemaField& field : schema_->fields()) names.emplace_back(field.name);
    sink.fields(names);
    for (const auto& rows : table_) {
      PERSISTING_ASSIGN_OR_RETURN(const bool goes_on, rows->write_to(sink));
      if (!goes_on) return ok_status();
    }
    for (const TailSlice& slice : tail_) {
      PERSISTING_ASSIGN_OR_RETURN(const bool goes_on, write_slice(slice, *schema_, sink));
      if (!goes_on) return ok_status();
    }
    return ok_status();
  }

 private:
  PlannedPage(SchemaPtr schema, std::vector<TailSlice> tail)
      : schema_(std::move(schema)), tail_(std::move(tail)) {}

  Status read_table(const ReadPlan& plan) {
    nanoarrow::UniqueArrayStream stream;
    PERSISTING_RETURN_IF_ERROR(plan.scan(stream.get()));
    std::uint64_t read = 0;
    PERSISTING_RETURN_IF_ERROR(
        for_each_array(stream.get(), [&](const ArrowSchema& type, ArrowArray& array) -> Status {
          PERSISTING_ASSIGN_OR_RETURN(
              auto rows, TableRows::make(type, &array, *schema_, plan.table_first + read));
          read += rows->size();
          table_.push_back(std::move(rows));
          return ok_status();
        }));
    return check_row_count(plan.table_first, plan.table_count, read);
  }

  const SchemaPtr schema_;
  std::vector<std::unique_ptr<const TableRows>> table_;
  const std::vector<TailSlice> tail_;
};

}  // namespace

Result<RecordPagePtr> run_page_read(ReadPlan plan) { return PlannedPage::read(std::move(plan)); }

Result<RecordBatch> run_read(const ReadPlan& plan) {
  RecordBatch records;
  if (plan.table_count > 0) {
    nanoarrow::UniqueArrayStream stream;
    PERSISTING_RETURN_IF_ERROR(plan.scan(stream.get()));
    PERSISTING_ASSIGN_OR_RETURN(
        records, decode_stream(stream.get(), plan.table_first, plan.table_count, *plan.schema));
  }
  for (const TailSlice& slice : plan.tail) {
    PERSISTING_RETURN_IF_ERROR(read_slice(slice, *plan.schema, &records));
  }
  return records;
}

Result<ArrowStreamPtr> run_arrow_read(const ReadPlan& plan) {
  PERSISTING_ASSIGN_OR_RETURN(ArrowReply reply, ArrowReply::make(plan.schema));
  if (plan.table_count > 0) {
    nanoarrow::UniqueArrayStream stream;
    PERSISTING_RETURN_IF_ERROR(plan.scan(stream.get()));
    std::uint64_t read = 0;
    PERSISTING_RETURN_IF_ERROR(
        for_each_array(stream.get(), [&](const ArrowSchema& type, ArrowArray& rows) {
          const std::uint64_t first = plan.table_first + read;
          read += static_cast<std::uint64_t>(rows.length);
          return reply.add_table_rows(type, rows, first);
        }));
    PERSISTING_RETURN_IF_ERROR(check_row_count(plan.table_first, plan.table_count, read));
  }
  for (const TailSlice& slice : plan.tail) PERSISTING_RETURN_IF_ERROR(reply.add_tail_rows(slice));
  return reply.finish();
}

}  // namespace persisting
