#include "schema/arrow_columns.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>
#include <optional>
#include <utility>

#include "persisting/msgpack_reader.h"
#include "persisting/msgpack_writer.h"
#include "persisting/record.h"

#include "base/decimal.h"
#include "base/record_check.h"
#include "base/utf8.h"
#include "schema/arrow_type.h"
#include "schema/json_text.h"
#include "schema/normalizer.h"
#include "schema/number_convert.h"
#include "schema/type_text.h"
#include "schema/value_fit.h"

namespace persisting {
namespace {

static_assert(std::endian::native == std::endian::little, "numbers are copied as they lie");

Error corruption(const ArrowColumn& column, const std::string& what) {
  return make_error(ErrorCode::kCorruption, "column '" + column.name + "' of the table " + what);
}

// ---- pairing ----

// Whether a value of one type lies in the column as one of the other does; children aside.
bool is_same_kind(const FieldType& stored, const FieldType& target) {
  if (stored.kind != target.kind) return false;
  switch (stored.kind) {
    case TypeKind::kNumber:
      return stored.number == target.number;
    case TypeKind::kTensor:
      return stored.number == target.number && stored.shape == target.shape &&
             stored.has_any_shape == target.has_any_shape;
    case TypeKind::kDecimal:
      return stored.scale == target.scale;
    default:
      return true;
  }
}

// Whether values of the one are values of the other, as a schema grows. What a single value decides is seen later.
bool is_convertible(const FieldType& stored, const FieldType& target) {
  if (target.takes_anything) return true;
  const std::optional<NumberType> from = number_type_of(stored);
  const std::optional<NumberType> to = number_type_of(target);
  if (from && to) return is_integer(*from) || holds(*to, *from);
  if (target.kind == TypeKind::kDecimal)
    return (from && is_integer(*from)) ||
           (stored.kind == TypeKind::kDecimal && stored.scale <= target.scale);
  if (stored.kind != TypeKind::kTensor || target.kind != TypeKind::kTensor) return false;
  return holds(target.number, stored.number) &&
         (target.has_any_shape || stored.shape == target.shape);
}

FieldType without_children(const FieldType& type) {
  FieldType copy = type;
  copy.children.clear();
  return copy;
}

// A struct's members by name, the element of a list and the value of a map by place.
Status pair_children(const ArrowSchema& arrow, const FieldType& type, ArrowColumn* column);

// Pairs one field with its column, or with none where `arrow` is null.
Result<ArrowColumn> pair_column(const ArrowSchema* arrow, const ArrowArrayView* view,
                                const SchemaField& field, std::string name, std::string key) {
  ArrowColumn column;
  column.name = std::move(name);
  column.key = std::move(key);
  column.missing = field.default_value;
  if (column.missing.empty()) msgpack::write_nil(column.missing);
  column.target = without_children(field.type);
  if (arrow == nullptr) return column;
  FieldType stored;
  const bool is_known = read_column_type(*arrow, Record::max_nesting, &stored);
  if (is_known && stored.kind == TypeKind::kUndecided) {
    column.missing.clear();  // it is there, and null
    msgpack::write_nil(column.missing);
    return column;
  }
  column.view = view;
  if (!is_known || (!is_same_kind(stored, field.type) && field.type.kind != TypeKind::kUndecided &&
                    !is_convertible(stored, field.type))) {
    return corruption(
        column, "is " + describe_column(*arrow) + ", but the schema says " + describe(field.type));
  }
  if (field.type.kind == TypeKind::kUndecided)
    return column;  // write_cell() accepts nothing but null
  if (is_same_kind(stored, field.type)) {
    PERSISTING_RETURN_IF_ERROR(pair_children(*arrow, field.type, &column));
    return column;
  }
  PERSISTING_ASSIGN_OR_RETURN(ArrowColumn as_it_is,
                              pair_column(arrow, view, {{}, std::move(stored)}, column.name, {}));
  column.stored = std::make_shared<ArrowColumn>(std::move(as_it_is));
  return column;
}

Status pair_children(const ArrowSchema& arrow, const FieldType& type, ArrowColumn* column) {
  if (type.kind == TypeKind::kStruct) {
    PERSISTING_ASSIGN_OR_RETURN(
        column->children, pair_columns(arrow, *column->view, type.children, column->name + "."));
    return ok_status();
  }
  if (type.kind != TypeKind::kList && type.kind != TypeKind::kMap) return ok_status();
  const ArrowSchema* child = arrow.children[0];
  const ArrowArrayView* view = column->view->children[0];
  if (type.kind == TypeKind::kMap) {
    child = child->children[1];
    view = view->children[1];
  }
  PERSISTING_ASSIGN_OR_RETURN(ArrowColumn element, pair_column(child, view, type.children.front(),
                                                               column->name + "[]", {}));
  column->children.push_back(std::move(element));
  return ok_status();
}

// ---- cells ----

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

// Where the values of fixed width from `row` on lie; nanoarrow has checked that they are there.
const char* fixed_values(const ArrowArrayView& view, std::int64_t row, std::size_t width) {
  return view.buffer_views[1].data.as_char + (view.offset + row) * static_cast<std::int64_t>(width);
}

Result<std::string_view> text_of(const ArrowColumn& column, const ArrowArrayView& view,
                                 std::int64_t row, bool is_text) {
  const std::optional<std::string_view> bytes = bytes_of(view, row);
  if (!bytes) return corruption(column, "has a value outside its buffers");
  if (is_text && !is_utf8(*bytes)) return corruption(column, "has text that is not UTF-8");
  return *bytes;
}

Status write_text(const ArrowColumn& column, std::int64_t row, std::string& out) {
  const bool is_text = column.target.kind != TypeKind::kBytes;
  PERSISTING_ASSIGN_OR_RETURN(const std::string_view bytes,
                              text_of(column, *column.view, row, is_text));
  if (column.target.kind == TypeKind::kJson) {
    Status parsed = parse_json(bytes, out);
    if (!parsed) return corruption(column, "is JSON, but " + parsed.error().message);
  } else if (is_text) {
    msgpack::write_string(out, bytes);
  } else {
    msgpack::write_bytes(out, bytes);
  }
  return ok_status();
}

// Appends `count` elements of an array from element `first` on.
Status append_elements(const ArrowColumn& column, const ArrowArrayView& elements,
                       std::int64_t first, std::int64_t count, std::string& out) {
  const ElementLayout layout = element_layout(column.target.number);
  const std::int64_t begin = first * layout.numbers;
  const std::int64_t numbers = count * layout.numbers;
  if (elements.buffer_views[0].size_bytes > 0) {
    for (std::int64_t i = begin; i < begin + numbers; ++i) {
      if (ArrowArrayViewIsNull(&elements, i))
        return corruption(column, "has an array with a null inside");
    }
  }
  if (column.target.number == NumberType::kBool) {
    for (std::int64_t i = begin; i < begin + numbers; ++i)
      out.push_back(static_cast<char>(ArrowArrayViewGetIntUnsafe(&elements, i)));
    return ok_status();
  }
  if (numbers > 0)
    out.append(fixed_values(elements, begin, layout.bytes),
               static_cast<std::size_t>(numbers) * layout.bytes);
  return ok_status();
}

Status write_fixed_tensor(const ArrowColumn& column, std::int64_t row, std::string& out) {
  const auto elements = static_cast<std::int64_t>(element_count(column.target));
  msgpack::write_tensor_head(out, column.target.number, column.target.shape);
  return append_elements(column, *column.view->children[0], (column.view->offset + row) * elements,
                         elements, out);
}

Status write_variable_tensor(const ArrowColumn& column, std::int64_t row, std::string& out) {
  const std::int64_t cell = column.view->offset + row;
  const ArrowArrayView& data = *column.view->children[0];
  const ArrowArrayView& extents = *column.view->children[1];
  if (ArrowArrayViewIsNull(&data, cell) || ArrowArrayViewIsNull(&extents, cell))
    return corruption(column, "has an array without data or shape");
  const std::int64_t first_extent = ArrowArrayViewListChildOffset(&extents, extents.offset + cell);
  const std::int64_t end_extent =
      ArrowArrayViewListChildOffset(&extents, extents.offset + cell + 1);
  const std::int64_t begin = ArrowArrayViewListChildOffset(&data, data.offset + cell);
  const std::int64_t numbers = ArrowArrayViewListChildOffset(&data, data.offset + cell + 1) - begin;
  std::vector<std::uint32_t> shape;
  bool is_empty = false;
  // As of a tensor in a record, the zeros left out it is no larger than that may be.
  std::int64_t product = 1;
  const std::size_t most = max_record_bytes / size_of(column.target.number);
  for (std::int64_t i = first_extent; i < end_extent; ++i) {
    const std::int64_t extent = ArrowArrayViewGetIntUnsafe(extents.children[0], i);
    is_empty |= extent == 0;
    if (extent > 0) product *= extent;
    if (extent < 0 || shape.size() == msgpack::max_dimensions || std::cmp_greater(product, most))
      return corruption(column, "has an array whose shape is not that of its data");
    shape.push_back(static_cast<std::uint32_t>(extent));
  }
  const std::int64_t elements = is_empty ? 0 : product;
  const std::int64_t numbers_each = element_layout(column.target.number).numbers;
  if (elements * numbers_each != numbers ||
      (!column.target.has_any_shape && shape != column.target.shape)) {
    return corruption(column, "has an array whose shape is not that of its data");
  }
  msgpack::write_tensor_head(out, column.target.number, shape);
  return append_elements(column, *data.children[0], begin / numbers_each, elements, out);
}

Status write_number(const ArrowColumn& column, std::int64_t row, std::string& out) {
  const NumberType type = column.target.number;
  Number value{type, {}};
  const ElementLayout layout = element_layout(type);
  const ArrowArrayView* numbers = column.view;
  std::int64_t first = row;
  if (layout.numbers > 1) {
    numbers = column.view->children[0];
    first = (column.view->offset + row) * layout.numbers;
    for (std::int64_t i = first; i < first + layout.numbers; ++i) {
      if (ArrowArrayViewIsNull(numbers, i))
        return corruption(column, "has a complex number with a null inside");
    }
  }
  std::memcpy(value.bytes.data(), fixed_values(*numbers, first, layout.bytes), size_of(type));
  msgpack::write_number(out, value);
  return ok_status();
}

Status write_decimal(const ArrowColumn& column, std::int64_t row, std::string& out) {
  Decimal value;
  value.scale = column.target.scale;
  std::memcpy(&value.coefficient, fixed_values(*column.view, row, sizeof(value.coefficient)),
              sizeof(value.coefficient));
  if (!has_decimal_digits(value.coefficient))
    return corruption(column, "has a decimal of more than 38 digits");
  msgpack::write_decimal(out, value);
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

Status write_map(const ArrowColumn& column, std::int64_t row, std::string& out) {
  const ArrowArrayView& view = *column.view;
  const ArrowArrayView& entries = *view.children[0];
  const std::int64_t begin = ArrowArrayViewListChildOffset(&view, view.offset + row);
  const std::int64_t end = ArrowArrayViewListChildOffset(&view, view.offset + row + 1);
  std::vector<std::string_view> names;
  msgpack::write_map(out, static_cast<std::uint32_t>(end - begin));
  for (std::int64_t i = entries.offset + begin; i < entries.offset + end; ++i) {
    if (ArrowArrayViewIsNull(entries.children[0], i))
      return corruption(column, "has a map with a null key");
    PERSISTING_ASSIGN_OR_RETURN(const std::string_view name,
                                text_of(column, *entries.children[0], i, true));
    names.push_back(name);
    msgpack::write_string(out, name);
    PERSISTING_RETURN_IF_ERROR(write_cell(column.children.front(), i, out));
  }
  std::ranges::sort(names);
  if (std::ranges::adjacent_find(names) != names.end())
    return corruption(column, "has a map with a key twice");
  return ok_status();
}

Status write_converted(const ArrowColumn& column, std::int64_t row, std::string& out) {
  std::string stored;
  PERSISTING_RETURN_IF_ERROR(write_cell(*column.stored, row, stored));
  msgpack::Reader reader(stored);
  const msgpack::Item item = msgpack::Reader(stored).next();
  const bool is_container = item.kind == msgpack::Kind::kArray || item.kind == msgpack::Kind::kMap;
  if (item.kind != msgpack::Kind::kNil && !is_container && !scalar_fits(column.target, item)) {
    std::string text;
    append_canonical_text(reader, text);
    return corruption(column, "holds " + text + ", which is no exact " + describe(column.target) +
                                  ", but the schema says " + describe(column.target));
  }
  normalize_value(column.target, reader, out);
  return ok_status();
}

Status write_cell(const ArrowColumn& column, std::int64_t row, std::string& out) {
  if (column.view == nullptr) {
    out += column.missing;
    return ok_status();
  }
  if (ArrowArrayViewIsNull(column.view, row)) {
    msgpack::write_nil(out);
    return ok_status();
  }
  if (column.stored != nullptr) return write_converted(column, row, out);
  const ArrowArrayView* view = column.view;
  switch (column.target.kind) {
    case TypeKind::kUndecided:
      return corruption(column, "has a value, but the schema says that it has had none");
    case TypeKind::kBool:
      msgpack::write_bool(out, ArrowArrayViewGetIntUnsafe(view, row) != 0);
      return ok_status();
    case TypeKind::kInt64:
      msgpack::write_int(out, ArrowArrayViewGetIntUnsafe(view, row));
      return ok_status();
    case TypeKind::kDouble:
      msgpack::write_double(out, ArrowArrayViewGetDoubleUnsafe(view, row));
      return ok_status();
    case TypeKind::kString:
    case TypeKind::kBytes:
    case TypeKind::kJson:
      return write_text(column, row, out);
    case TypeKind::kTimestampUtc:
    case TypeKind::kTimestampNaive:
      msgpack::write_timestamp(out, {ArrowArrayViewGetIntUnsafe(view, row),
                                     column.target.kind == TypeKind::kTimestampUtc});
      return ok_status();
    case TypeKind::kDate:
      msgpack::write_date(out, {static_cast<std::int32_t>(ArrowArrayViewGetIntUnsafe(view, row))});
      return ok_status();
    case TypeKind::kList:
      return write_list(column, row, out);
    case TypeKind::kStruct:
      msgpack::write_map(out, static_cast<std::uint32_t>(column.children.size()));
      return write_cells(column.children, view->offset + row, out);
    case TypeKind::kNumber:
      return write_number(column, row, out);
    case TypeKind::kTensor:
      return tensor_storage(column.target) == TensorStorage::kFixed
                 ? write_fixed_tensor(column, row, out)
                 : write_variable_tensor(column, row, out);
    case TypeKind::kDecimal:
      return write_decimal(column, row, out);
    case TypeKind::kUuid: {
      Uuid value;
      std::memcpy(value.bytes.data(), fixed_values(*view, row, sizeof(value.bytes)),
                  sizeof(value.bytes));
      msgpack::write_uuid(out, value);
      return ok_status();
    }
    case TypeKind::kMap:
      return write_map(column, row, out);
  }
  return ok_status();
}

Status give_cell(const ArrowColumn& column, std::int64_t row, RecordSink& sink,
                 std::string& scratch) {
  if (column.view == nullptr) {
    sink.encoded(column.missing);
    return ok_status();
  }
  if (ArrowArrayViewIsNull(column.view, row)) {
    sink.null();
    return ok_status();
  }
  const TypeKind kind = column.stored != nullptr ? TypeKind::kUndecided : column.target.kind;
  switch (kind) {
    case TypeKind::kBool:
      sink.boolean(ArrowArrayViewGetIntUnsafe(column.view, row) != 0);
      return ok_status();
    case TypeKind::kInt64:
      sink.integer(ArrowArrayViewGetIntUnsafe(column.view, row));
      return ok_status();
    case TypeKind::kDouble:
      sink.real(ArrowArrayViewGetDoubleUnsafe(column.view, row));
      return ok_status();
    case TypeKind::kString: {
      PERSISTING_ASSIGN_OR_RETURN(const std::string_view text,
                                  text_of(column, *column.view, row, true));
      sink.text(text);
      return ok_status();
    }
    default:
      scratch.clear();
      PERSISTING_RETURN_IF_ERROR(write_cell(column, row, scratch));
      sink.encoded(scratch);
      return ok_status();
  }
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
                                            child ? view.children[*child] : nullptr, field,
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

Status give_cells(const std::vector<ArrowColumn>& columns, std::int64_t row, RecordSink& sink,
                  std::string& scratch) {
  for (const ArrowColumn& column : columns)
    PERSISTING_RETURN_IF_ERROR(give_cell(column, row, sink, scratch));
  return ok_status();
}

}  // namespace persisting
