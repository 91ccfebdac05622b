#include "schema/arrow_columns.h"

#include <cstring>
#include <optional>

#include "persisting/msgpack_writer.h"

#include "base/utf8.h"
#include "schema/arrow_type.h"
#include "schema/exact_double.h"

namespace persisting {
namespace {

Error corruption(const ArrowColumn& column, const std::string& what) {
  return make_error(ErrorCode::kCorruption, "column '" + column.name + "' of the table " + what);
}

// Whether values stored as `stored` can be read as `target`. Undecided fits everything: a null column
// has no values, and a field that is undecided accepts no value but null (write_cell looks).
bool is_readable(TypeKind stored, TypeKind target) {
  return stored == target || stored == TypeKind::kUndecided || target == TypeKind::kUndecided ||
         (stored == TypeKind::kInt64 && target == TypeKind::kDouble);
}

Status pair_children(const ArrowSchema& arrow, const FieldType& type, ArrowColumn* column);

// Pairs one field with its column, or with none where `arrow` is null.
Result<ArrowColumn> pair_column(const ArrowSchema* arrow, const ArrowArrayView* view,
                                const FieldType& type, std::string name, std::string key) {
  ArrowColumn column;
  column.name = std::move(name);
  column.key = std::move(key);
  column.target = type.kind;
  if (arrow == nullptr) return column;
  column.view = view;
  const std::optional<TypeKind> stored = kind_of_column(*arrow);
  if (!stored || !is_readable(*stored, type.kind)) {
    return corruption(column,
                      "is " + describe_column(*arrow) + ", but the schema says " + describe(type));
  }
  column.stored = *stored;
  PERSISTING_RETURN_IF_ERROR(pair_children(*arrow, type, &column));
  return column;
}

Status pair_children(const ArrowSchema& arrow, const FieldType& type, ArrowColumn* column) {
  if (column->stored != type.kind) return ok_status();  // nothing inside is read then
  if (type.kind == TypeKind::kStruct) {
    PERSISTING_ASSIGN_OR_RETURN(
        column->children, pair_columns(arrow, *column->view, type.children, column->name + "."));
  } else if (type.kind == TypeKind::kList) {
    PERSISTING_ASSIGN_OR_RETURN(ArrowColumn element,
                                pair_column(arrow.children[0], column->view->children[0],
                                            type.children.front().type, column->name + "[]", {}));
    column->children.push_back(std::move(element));
  }
  return ok_status();
}

std::optional<std::int64_t> find_child(const ArrowSchema& arrow, const std::string& name) {
  for (std::int64_t i = 0; i < arrow.n_children; ++i) {
    const char* child = arrow.children[i]->name;
    if (child != nullptr && name == child) return i;
  }
  return std::nullopt;
}

// The bytes of a text or binary cell; nothing where a view array points outside its buffers, which
// nanoarrow does not check.
std::optional<std::string_view> bytes_of(const ArrowArrayView& view, std::int64_t row) {
  if (view.storage_type == NANOARROW_TYPE_STRING_VIEW ||
      view.storage_type == NANOARROW_TYPE_BINARY_VIEW) {
    const ArrowBinaryView& cell = view.buffer_views[1].data.as_binary_view[view.offset + row];
    if (cell.inlined.size < 0) return std::nullopt;
    if (cell.inlined.size > NANOARROW_BINARY_VIEW_INLINE_SIZE) {
      const auto& ref = cell.ref;
      if (ref.buffer_index < 0 || ref.buffer_index >= view.n_variadic_buffers || ref.offset < 0 ||
          std::int64_t{ref.offset} + ref.size > view.variadic_buffer_sizes[ref.buffer_index]) {
        return std::nullopt;
      }
    }
  }
  const ArrowBufferView bytes = ArrowArrayViewGetBytesUnsafe(&view, row);
  return std::string_view(bytes.data.as_char, static_cast<std::size_t>(bytes.size_bytes));
}

Status write_text(const ArrowColumn& column, std::int64_t row, std::string& out) {
  const std::optional<std::string_view> bytes = bytes_of(*column.view, row);
  if (!bytes) return corruption(column, "has a value outside its buffers");
  if (column.target == TypeKind::kBytes) {
    msgpack::write_bytes(out, *bytes);
    return ok_status();
  }
  if (!is_utf8(*bytes)) return corruption(column, "has text that is not UTF-8");
  msgpack::write_string(out, *bytes);
  return ok_status();
}

Status write_double(const ArrowColumn& column, std::int64_t row, std::string& out) {
  if (column.stored == TypeKind::kInt64) {
    const std::int64_t value = ArrowArrayViewGetIntUnsafe(column.view, row);
    if (!is_exact_double(value)) {
      return corruption(column, "holds " + std::to_string(value) +
                                    ", which is no exact double, but the schema says double");
    }
  }
  msgpack::write_double(out, ArrowArrayViewGetDoubleUnsafe(column.view, row));
  return ok_status();
}

Status write_cell(const ArrowColumn& column, std::int64_t row, std::string& out);

Status write_list(const ArrowColumn& column, std::int64_t row, std::string& out) {
  const ArrowArrayView& view = *column.view;
  const std::int64_t begin = ArrowArrayViewListChildOffset(&view, view.offset + row);
  const std::int64_t end = ArrowArrayViewListChildOffset(&view, view.offset + row + 1);
  msgpack::write_array(out, static_cast<std::uint32_t>(end - begin));
  for (std::int64_t i = begin; i < end; ++i) {
    PERSISTING_RETURN_IF_ERROR(write_cell(column.children.front(), i, out));
  }
  return ok_status();
}

Status write_cell(const ArrowColumn& column, std::int64_t row, std::string& out) {
  if (column.view == nullptr || ArrowArrayViewIsNull(column.view, row)) {
    msgpack::write_nil(out);
    return ok_status();
  }
  const ArrowArrayView* view = column.view;
  switch (column.target) {
    case TypeKind::kUndecided:
      return corruption(column, "has a value, but the schema says that it has had none");
    case TypeKind::kBool:
      msgpack::write_bool(out, ArrowArrayViewGetIntUnsafe(view, row) != 0);
      return ok_status();
    case TypeKind::kInt64:
      msgpack::write_int(out, ArrowArrayViewGetIntUnsafe(view, row));
      return ok_status();
    case TypeKind::kDouble:
      return write_double(column, row, out);
    case TypeKind::kString:
    case TypeKind::kBytes:
      return write_text(column, row, out);
    case TypeKind::kTimestampUtc:
    case TypeKind::kTimestampNaive:
      msgpack::write_timestamp(
          out, {ArrowArrayViewGetIntUnsafe(view, row), column.target == TypeKind::kTimestampUtc});
      return ok_status();
    case TypeKind::kDate:
      msgpack::write_date(out, {static_cast<std::int32_t>(ArrowArrayViewGetIntUnsafe(view, row))});
      return ok_status();
    case TypeKind::kList:
      return write_list(column, row, out);
    case TypeKind::kStruct:
      msgpack::write_map(out, static_cast<std::uint32_t>(column.children.size()));
      return write_cells(column.children, view->offset + row, out);
  }
  return ok_status();
}

}  // namespace

Result<std::vector<ArrowColumn>> pair_columns(const ArrowSchema& arrow, const ArrowArrayView& view,
                                              const std::vector<SchemaField>& fields,
                                              const std::string& prefix) {
  std::vector<ArrowColumn> columns;
  for (const SchemaField& field : fields) {
    std::string key;
    msgpack::write_string(key, field.name);
    const std::optional<std::int64_t> child = find_child(arrow, field.name);
    PERSISTING_ASSIGN_OR_RETURN(ArrowColumn column,
                                pair_column(child ? arrow.children[*child] : nullptr,
                                            child ? view.children[*child] : nullptr, field.type,
                                            prefix + field.name, std::move(key)));
    columns.push_back(std::move(column));
  }
  return columns;
}

Status write_cells(const std::vector<ArrowColumn>& columns, std::int64_t row, std::string& out) {
  for (const ArrowColumn& column : columns) {
    out += column.key;
    PERSISTING_RETURN_IF_ERROR(write_cell(column, row, out));
  }
  return ok_status();
}

}  // namespace persisting
