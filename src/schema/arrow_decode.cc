#include <string>

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
  if (kind_of_column(arrow) != TypeKind::kStruct) {
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
  for (std::int64_t i = 0; i < arrow.n_children; ++i) {
    const ArrowSchema& column = *arrow.children[i];
    if (column.name == nullptr || name != column.name) continue;
    ArrowSchemaView described;
    if (ArrowSchemaViewInit(&described, &column, nullptr) == NANOARROW_OK &&
        described.type == type) {
      return view.children[i];
    }
    return corruption("the table's column '" + std::string(name) + "' is " +
                      describe_column(column));
  }
  return corruption("the table has no column '" + std::string(name) + "'");
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

}  // namespace

Status decode_rows(const ArrowSchema& arrow, const ArrowArray& rows, const Schema& schema,
                   std::uint64_t first_offset, RecordBatch* out,
                   std::vector<std::int64_t>* timestamps) {
  nanoarrow::UniqueArrayView view;
  PERSISTING_RETURN_IF_ERROR(view_rows(arrow, rows, view.get()));
  PERSISTING_ASSIGN_OR_RETURN(
      const ArrowArrayView* offsets,
      system_column(arrow, *view.get(), offset_column, NANOARROW_TYPE_UINT64));
  PERSISTING_ASSIGN_OR_RETURN(
      const ArrowArrayView* times,
      system_column(arrow, *view.get(), timestamp_column, NANOARROW_TYPE_TIMESTAMP));
  PERSISTING_ASSIGN_OR_RETURN(const std::vector<ArrowColumn> columns,
                              pair_columns(arrow, *view.get(), schema.fields()));

  for (std::int64_t i = 0; i < rows.length; ++i) {
    const std::int64_t row = rows.offset + i;
    const std::uint64_t offset = first_offset + static_cast<std::uint64_t>(i);
    PERSISTING_RETURN_IF_ERROR(check_offset(*offsets, row, offset));
    const std::size_t start = out->bytes().size();
    msgpack::write_map(out->bytes(), static_cast<std::uint32_t>(columns.size()));
    if (Status written = write_cells(columns, row, out->bytes()); !written) {
      out->bytes().resize(start);
      return with_context(std::move(written).error(), "offset " + std::to_string(offset));
    }
    out->end_record();
    if (timestamps != nullptr) timestamps->push_back(ArrowArrayViewGetIntUnsafe(times, row));
  }
  return ok_status();
}

}  // namespace persisting
