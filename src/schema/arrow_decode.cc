#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "persisting/msgpack_writer.h"

#include "schema/arrow_columns.h"
#include "schema/arrow_convert.h"
#include "schema/arrow_type.h"

namespace persisting {
namespace {

Error corruption(std::string message) {
  return make_error(ErrorCode::kCorruption, std::move(message));
}

// Looks at `rows` through `view`. The table's bytes may be damaged, so that every offset is checked
// before one is followed.
Status view_rows(const ArrowSchema& arrow, const ArrowArray& rows, ArrowArrayView* view) {
  ArrowError error;
  ArrowErrorInit(&error);
  if (!is_struct_column(arrow)) {
    return corruption("the table's rows are " + describe_column(arrow) + " instead of structs");
  }
  if (ArrowArrayViewInitFromSchema(view, &arrow, &error) != NANOARROW_OK ||
      ArrowArrayViewSetArray(view, &rows, &error) != NANOARROW_OK ||
      ArrowArrayViewValidate(view, NANOARROW_VALIDATION_LEVEL_FULL, &error) != NANOARROW_OK) {
    return corruption(std::string("the table's rows are malformed: ") + ArrowErrorMessage(&error));
  }
  return ok_status();
}

// A system column, checked to be of the Arrow type `type`.
Result<const ArrowArrayView*> system_column(const ArrowSchema& arrow, const ArrowArrayView& view,
                                            std::string_view name, ArrowType type) {
  const std::optional<std::int64_t> place = find_child(arrow, name);
  if (!place) return corruption("the table has no column '" + std::string(name) + "'");
  const ArrowSchema& column = *arrow.children[*place];
  ArrowSchemaView described;
  if (ArrowSchemaViewInit(&described, &column, nullptr) == NANOARROW_OK && described.type == type)
    return view.children[*place];
  return corruption("the table's column '" + std::string(name) + "' is " + describe_column(column));
}

Status check_offset(const ArrowArrayView& offsets, std::int64_t row, std::uint64_t expected) {
  if (!ArrowArrayViewIsNull(&offsets, row)) {
    const std::uint64_t found = ArrowArrayViewGetUIntUnsafe(&offsets, row);
    if (found == expected) return ok_status();
    return corruption("the table holds offset " + std::to_string(found) + " where offset " +
                      std::to_string(expected) + " belongs");
  }
  return corruption("the table holds a row without offset where offset " +
                    std::to_string(expected) + " belongs");
}

// Checks that all `count` offsets from `begin` on count up from `first`.
Status check_offsets(const ArrowArrayView& offsets, std::int64_t begin, std::int64_t count,
                     std::uint64_t first) {
  if (offsets.buffer_views[0].size_bytes == 0) {  // no null among them
    const std::uint64_t* values = offsets.buffer_views[1].data.as_uint64 + offsets.offset + begin;
    bool differ = false;  // without a way out of the loop the processor takes several at once
    for (std::int64_t i = 0; i < count; ++i)
      differ |= values[i] != first + static_cast<std::uint64_t>(i);
    if (!differ) return ok_status();
  }
  for (std::int64_t i = 0; i < count; ++i) {
    PERSISTING_RETURN_IF_ERROR(
        check_offset(offsets, begin + i, first + static_cast<std::uint64_t>(i)));
  }
  return ok_status();
}

Error at_offset(Error error, std::uint64_t offset) {
  return with_context(std::move(error), "offset " + std::to_string(offset));
}

}  // namespace

// A table's rows, checked as far as columns go and paired with the fields of a schema.
struct TableRows::Paired {
  nanoarrow::UniqueArrayView view;
  const ArrowArrayView* offsets = nullptr;
  const ArrowArrayView* times = nullptr;
  std::vector<ArrowColumn> columns;

  static Status make(const ArrowSchema& arrow, const ArrowArray& rows, const Schema& schema,
                     Paired* out) {
    PERSISTING_RETURN_IF_ERROR(view_rows(arrow, rows, out->view.get()));
    PERSISTING_ASSIGN_OR_RETURN(
        out->offsets, system_column(arrow, *out->view.get(), offset_column, NANOARROW_TYPE_UINT64));
    PERSISTING_ASSIGN_OR_RETURN(out->times, system_column(arrow, *out->view.get(), timestamp_column,
                                                          NANOARROW_TYPE_TIMESTAMP));
    PERSISTING_ASSIGN_OR_RETURN(out->columns,
                                pair_columns(arrow, *out->view.get(), schema.fields()));
    return ok_status();
  }
};

Status check_rows(const ArrowSchema& arrow, const ArrowArray& rows, std::uint64_t first_offset) {
  nanoarrow::UniqueArrayView view;
  PERSISTING_RETURN_IF_ERROR(view_rows(arrow, rows, view.get()));
  PERSISTING_ASSIGN_OR_RETURN(
      const ArrowArrayView* offsets,
      system_column(arrow, *view.get(), offset_column, NANOARROW_TYPE_UINT64));
  return check_offsets(*offsets, rows.offset, rows.length, first_offset);
}

Status decode_rows(const ArrowSchema& arrow, const ArrowArray& rows, const Schema& schema,
                   std::uint64_t first_offset, RecordBatch* out,
                   std::vector<std::int64_t>* timestamps) {
  TableRows::Paired paired;
  PERSISTING_RETURN_IF_ERROR(TableRows::Paired::make(arrow, rows, schema, &paired));
  for (std::int64_t i = 0; i < rows.length; ++i) {
    const std::int64_t row = rows.offset + i;
    const std::uint64_t offset = first_offset + static_cast<std::uint64_t>(i);
    PERSISTING_RETURN_IF_ERROR(check_offset(*paired.offsets, row, offset));
    const std::size_t start = out->bytes().size();
    msgpack::write_map(out->bytes(), static_cast<std::uint32_t>(paired.columns.size()));
    if (Status written = write_cells(paired.columns, row, out->bytes()); !written) {
      out->bytes().resize(start);
      return at_offset(std::move(written).error(), offset);
    }
    out->end_record();
    if (timestamps != nullptr) timestamps->push_back(ArrowArrayViewGetIntUnsafe(paired.times, row));
  }
  return ok_status();
}

TableRows::TableRows() : paired_(std::make_unique<Paired>()) {}
TableRows::~TableRows() = default;

Result<std::unique_ptr<const TableRows>> TableRows::make(const ArrowSchema& arrow, ArrowArray* rows,
                                                         const Schema& schema,
                                                         std::uint64_t first_offset) {
  std::unique_ptr<TableRows> made(new TableRows());
  made->first_offset_ = first_offset;
  made->rows_.reset(rows);
  const ArrowArray& array = *made->rows_.get();
  PERSISTING_RETURN_IF_ERROR(Paired::make(arrow, array, schema, made->paired_.get()));
  PERSISTING_RETURN_IF_ERROR(
      check_offsets(*made->paired_->offsets, array.offset, array.length, first_offset));
  return std::unique_ptr<const TableRows>(std::move(made));
}

Result<bool> TableRows::write_to(RecordSink& sink) const {
  std::string scratch;
  for (std::int64_t i = 0; i < rows_->length; ++i) {
    const std::int64_t row = rows_->offset + i;
    sink.begin_record();
    if (Status given = give_cells(paired_->columns, row, sink, scratch); !given)
      return at_offset(std::move(given).error(), first_offset_ + static_cast<std::uint64_t>(i));
    if (!sink.end_record()) return false;
  }
  return true;
}

}  // namespace persisting
