#include "schema/arrow_type.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <optional>
#include <system_error>
#include <unordered_set>
#include <utility>

#include <nlohmann/json.hpp>

#include "persisting/msgpack_writer.h"
#include "persisting/record.h"

#include "base/record_check.h"
#include "schema/type_text.h"

namespace persisting {
namespace {

// Of a column whose Arrow type does not tell ours: its type_text.h.
constexpr const char* type_key = "persisting:type";
constexpr const char* extension_key = "ARROW:extension:name";
constexpr const char* extension_metadata_key = "ARROW:extension:metadata";
// Canonical Arrow extensions, and the one that Lance searches vectors of bfloat16 by.
constexpr std::string_view uuid_extension = "arrow.uuid";
constexpr std::string_view tensor_extension = "arrow.fixed_shape_tensor";
constexpr std::string_view bfloat16_extension = "lance.bfloat16";

struct NumberColumn {
  NumberType number;
  ArrowType arrow;
};
constexpr std::array<NumberColumn, 12> number_columns = {{
    {NumberType::kInt8, NANOARROW_TYPE_INT8},
    {NumberType::kInt16, NANOARROW_TYPE_INT16},
    {NumberType::kInt32, NANOARROW_TYPE_INT32},
    {NumberType::kInt64, NANOARROW_TYPE_INT64},
    {NumberType::kUInt8, NANOARROW_TYPE_UINT8},
    {NumberType::kUInt16, NANOARROW_TYPE_UINT16},
    {NumberType::kUInt32, NANOARROW_TYPE_UINT32},
    {NumberType::kUInt64, NANOARROW_TYPE_UINT64},
    {NumberType::kFloat16, NANOARROW_TYPE_HALF_FLOAT},
    {NumberType::kFloat32, NANOARROW_TYPE_FLOAT},
    {NumberType::kFloat64, NANOARROW_TYPE_DOUBLE},
    {NumberType::kBool, NANOARROW_TYPE_BOOL},
}};

std::string_view view_of(ArrowStringView text) {
  return {text.data, text.data == nullptr ? 0 : static_cast<std::size_t>(text.size_bytes)};
}

// ---- ours to Arrow ----

// Adds a column's own metadata; pairs of key and value.
ArrowErrorCode set_metadata(std::initializer_list<std::pair<const char*, std::string_view>> pairs,
                            ArrowSchema* out) {
  nanoarrow::UniqueBuffer metadata;
  NANOARROW_RETURN_NOT_OK(ArrowMetadataBuilderInit(metadata.get(), nullptr));
  for (const auto& [key, value] : pairs) {
    const ArrowStringView view{value.data(), static_cast<std::int64_t>(value.size())};
    NANOARROW_RETURN_NOT_OK(ArrowMetadataBuilderAppend(metadata.get(), ArrowCharView(key), view));
  }
  return ArrowSchemaSetMetadata(out, reinterpret_cast<const char*>(metadata->data));
}

ArrowErrorCode set_our_type(const FieldType& type, ArrowSchema* out) {
  return set_metadata({{type_key, describe(type)}}, out);
}

// One number, or one of the two of a complex one.
ArrowErrorCode set_element(NumberType number, ArrowSchema* out) {
  switch (number) {
    case NumberType::kBFloat16:
      NANOARROW_RETURN_NOT_OK(
          ArrowSchemaSetTypeFixedSize(out, NANOARROW_TYPE_FIXED_SIZE_BINARY, 2));
      return set_metadata({{extension_key, bfloat16_extension}, {extension_metadata_key, ""}}, out);
    case NumberType::kComplex64:
      return ArrowSchemaSetType(out, NANOARROW_TYPE_FLOAT);
    case NumberType::kComplex128:
      return ArrowSchemaSetType(out, NANOARROW_TYPE_DOUBLE);
    default:
      return ArrowSchemaSetType(
          out, std::ranges::find(number_columns, number, &NumberColumn::number)->arrow);
  }
}

ArrowErrorCode set_fixed_list(NumberType number, std::uint64_t elements, ArrowSchema* out) {
  const auto size = static_cast<std::int32_t>(elements * element_layout(number).numbers);
  NANOARROW_RETURN_NOT_OK(ArrowSchemaSetTypeFixedSize(out, NANOARROW_TYPE_FIXED_SIZE_LIST, size));
  return set_element(number, out->children[0]);
}

bool has_tensor_extension(NumberType number) {
  return number != NumberType::kBFloat16 && number != NumberType::kBool &&
         number != NumberType::kComplex64 && number != NumberType::kComplex128;
}

bool is_plain_vector(const FieldType& type) {
  return type.shape.size() == 1 && type.number != NumberType::kComplex64 &&
         type.number != NumberType::kComplex128;
}

ArrowErrorCode set_tensor(const FieldType& type, ArrowSchema* out) {
  if (tensor_storage(type) == TensorStorage::kVariable) {
    NANOARROW_RETURN_NOT_OK(ArrowSchemaSetTypeStruct(out, 2));
    NANOARROW_RETURN_NOT_OK(ArrowSchemaSetType(out->children[0], NANOARROW_TYPE_LIST));
    NANOARROW_RETURN_NOT_OK(set_element(type.number, out->children[0]->children[0]));
    NANOARROW_RETURN_NOT_OK(ArrowSchemaSetName(out->children[0], "data"));
    NANOARROW_RETURN_NOT_OK(ArrowSchemaSetType(out->children[1], NANOARROW_TYPE_LIST));
    NANOARROW_RETURN_NOT_OK(
        ArrowSchemaSetType(out->children[1]->children[0], NANOARROW_TYPE_INT32));
    NANOARROW_RETURN_NOT_OK(ArrowSchemaSetName(out->children[1], "shape"));
    return set_our_type(type, out);
  }
  NANOARROW_RETURN_NOT_OK(set_fixed_list(type.number, element_count(type), out));
  if (is_plain_vector(type)) return NANOARROW_OK;
  if (!has_tensor_extension(type.number)) return set_our_type(type, out);
  std::string metadata = R"({"shape":[)";
  for (const std::uint32_t extent : type.shape) {
    if (metadata.back() != '[') metadata += ',';
    metadata += std::to_string(extent);
  }
  return set_metadata(
      {{extension_key, tensor_extension}, {extension_metadata_key, metadata + "]}"}}, out);
}

ArrowErrorCode set_number(NumberType number, ArrowSchema* out) {
  if (element_layout(number).numbers == 1) return set_element(number, out);
  NANOARROW_RETURN_NOT_OK(set_fixed_list(number, 1, out));
  return set_metadata({{type_key, name_of(number)}}, out);
}

ArrowErrorCode set_struct(const std::vector<SchemaField>& members, ArrowSchema* out) {
  if (members.empty()) {
    NANOARROW_RETURN_NOT_OK(ArrowSchemaSetTypeStruct(out, 1));
    NANOARROW_RETURN_NOT_OK(ArrowSchemaSetType(out->children[0], NANOARROW_TYPE_NA));
    return ArrowSchemaSetName(out->children[0], empty_struct_name.data());
  }
  NANOARROW_RETURN_NOT_OK(ArrowSchemaSetTypeStruct(out, static_cast<std::int64_t>(members.size())));
  for (std::size_t i = 0; i < members.size(); ++i) {
    NANOARROW_RETURN_NOT_OK(set_column_type(members[i].type, out->children[i]));
    NANOARROW_RETURN_NOT_OK(ArrowSchemaSetName(out->children[i], members[i].name.c_str()));
  }
  return NANOARROW_OK;
}

// nanoarrow makes the entries and their keys not nullable, as Arrow wants it.
ArrowErrorCode set_map(const FieldType& value, ArrowSchema* out) {
  NANOARROW_RETURN_NOT_OK(ArrowSchemaSetType(out, NANOARROW_TYPE_MAP));
  NANOARROW_RETURN_NOT_OK(ArrowSchemaSetType(out->children[0]->children[0], NANOARROW_TYPE_STRING));
  return set_column_type(value, out->children[0]->children[1]);
}

// ---- Arrow to ours ----

// Whether two columns are the same in Arrow, names of list elements and nullability left out.
bool is_same_storage(const ArrowSchema& left, const ArrowSchema& right) {
  if (std::strcmp(left.format, right.format) != 0 || left.n_children != right.n_children)
    return false;
  for (std::int64_t i = 0; i < left.n_children; ++i) {
    if (!is_same_storage(*left.children[i], *right.children[i])) return false;
  }
  return true;
}

void forget_declaration(FieldType* type) {
  type->is_declared = false;
  if (type->kind == TypeKind::kJson) type->is_declared = true;  // nobody finds it
  if (type->has_any_shape) type->is_declared = true;
  for (SchemaField& child : type->children) forget_declaration(&child.type);
}

// The type that our own metadata names, if the column is stored as that type is.
bool read_our_type(const ArrowSchema& column, FieldType* type) {
  ArrowStringView value{nullptr, 0};
  if (ArrowMetadataGetValue(column.metadata, ArrowCharView(type_key), &value) != NANOARROW_OK ||
      value.data == nullptr) {
    return false;
  }
  Result<FieldType> parsed = parse_type(view_of(value));
  if (!parsed) return false;
  nanoarrow::UniqueSchema expected;
  ArrowSchemaInit(expected.get());
  if (set_column_type(*parsed, expected.get()) != NANOARROW_OK ||
      !is_same_storage(column, *expected.get())) {
    return false;
  }
  *type = std::move(parsed).value();
  forget_declaration(type);
  return true;
}

// A number in a column of its own, or an element of a list of fixed size.
std::optional<NumberType> read_element(const ArrowSchema& column) {
  ArrowSchemaView view;
  if (ArrowSchemaViewInit(&view, &column, nullptr) != NANOARROW_OK) return std::nullopt;
  if (view_of(view.extension_name) == bfloat16_extension &&
      view.type == NANOARROW_TYPE_FIXED_SIZE_BINARY && view.fixed_size == 2) {
    return NumberType::kBFloat16;
  }
  const auto* found = std::ranges::find(number_columns, view.type, &NumberColumn::arrow);
  if (view.extension_name.data != nullptr || found == number_columns.end()) return std::nullopt;
  return found->number;
}

bool read_fixed_list(const ArrowSchema& column, const ArrowSchemaView& view, FieldType* type) {
  const std::optional<NumberType> element = read_element(*column.children[0]);
  if (!element || view.fixed_size <= 0) return false;
  type->kind = TypeKind::kTensor;
  type->number = *element;
  type->shape = {static_cast<std::uint32_t>(view.fixed_size)};
  return true;
}

// Dimensions in another order than that in memory have no place in a record.
bool is_identity(const nlohmann::json& permutation) {
  if (!permutation.is_array()) return false;
  for (std::size_t i = 0; i < permutation.size(); ++i) {
    if (permutation[i] != i) return false;
  }
  return true;
}

bool read_tensor_extension(const ArrowSchema& column, const ArrowSchemaView& view,
                           FieldType* type) {
  if (view.type != NANOARROW_TYPE_FIXED_SIZE_LIST || !read_fixed_list(column, view, type))
    return false;
  const auto metadata =
      nlohmann::json::parse(view_of(view.extension_metadata), nullptr, /*allow_exceptions=*/false);
  if (!metadata.is_object() || !metadata.contains("shape")) return false;
  if (metadata.contains("permutation") && !is_identity(metadata["permutation"])) return false;
  std::uint64_t product = 1;
  type->shape.clear();
  for (const auto& extent : metadata["shape"]) {
    if (!extent.is_number_unsigned() || extent.get<std::uint64_t>() > INT32_MAX) return false;
    type->shape.push_back(extent.get<std::uint32_t>());
    product *= type->shape.back();
    if (product > INT32_MAX || type->shape.size() > msgpack::max_dimensions) return false;
  }
  return std::cmp_equal(product, view.fixed_size) && tensor_storage(*type) == TensorStorage::kFixed;
}

bool read_extension(const ArrowSchema& column, const ArrowSchemaView& view, FieldType* type) {
  const std::string_view name = view_of(view.extension_name);
  if (name == tensor_extension) return read_tensor_extension(column, view, type);
  if (name == uuid_extension) {
    type->kind = TypeKind::kUuid;
    return view.type == NANOARROW_TYPE_FIXED_SIZE_BINARY && view.fixed_size == 16;
  }
  type->kind = TypeKind::kNumber;
  type->number = NumberType::kBFloat16;
  return name == bfloat16_extension && read_element(column) == NumberType::kBFloat16;
}

bool read_children(const ArrowSchema& column, int containers, FieldType* type) {
  if (containers == 0) return false;
  std::unordered_set<std::string_view> names;
  for (std::int64_t i = 0; i < column.n_children; ++i) {
    const ArrowSchema& child = *column.children[i];
    const bool is_struct = type->kind == TypeKind::kStruct;
    const std::string_view name = is_struct ? column_name(child) : std::string_view{};
    if (is_struct && name == empty_struct_name) {
      if (column.n_children > 1) return false;  // it stands for members, not among them
      continue;
    }
    if (!names.insert(name).second) return false;
    SchemaField& member = type->children.emplace_back(SchemaField{std::string(name), {}});
    if (!read_column_type(child, containers - 1, &member.type)) return false;
  }
  return true;
}

bool read_map(const ArrowSchema& column, int containers, FieldType* type) {
  FieldType key;
  const ArrowSchema& entries = *column.children[0];
  // Arrow nests a map's values twice.
  if (containers < 2 || entries.n_children != 2 ||
      !read_column_type(*entries.children[0], 0, &key) || key.kind != TypeKind::kString) {
    return false;
  }
  SchemaField& value = type->children.emplace_back();
  return read_column_type(*entries.children[1], containers - 2, &value.type);
}

ArrowErrorCode make_room_for_bits(ArrowArray* array, std::int64_t count) {
  const auto* const data = static_cast<ArrowArrayPrivateData*>(array->private_data);
  if (data->storage_type == NANOARROW_TYPE_BOOL) {
    ArrowBuffer* const bits = ArrowArrayBuffer(array, 1);
    const std::int64_t needed = (array->length + count + 7) / 8;
    if (needed <= bits->size_bytes) return NANOARROW_OK;
    return ArrowBufferAppendFill(bits, 0, needed - bits->size_bytes);
  }
  const bool is_list = data->storage_type == NANOARROW_TYPE_FIXED_SIZE_LIST;
  if (!is_list && data->storage_type != NANOARROW_TYPE_STRUCT) return NANOARROW_OK;
  for (std::int64_t i = 0; i < array->n_children; ++i) {
    NANOARROW_RETURN_NOT_OK(make_room_for_bits(
        array->children[i], is_list ? count * data->layout.child_size_elements : count));
  }
  return NANOARROW_OK;
}

// The kind of a column without extension; elements and members aside.
std::optional<TypeKind> kind_of(const ArrowSchemaView& view) {
  switch (view.type) {
    case NANOARROW_TYPE_NA:
      return TypeKind::kUndecided;
    case NANOARROW_TYPE_BOOL:
      return TypeKind::kBool;
    case NANOARROW_TYPE_INT64:
      return TypeKind::kInt64;
    case NANOARROW_TYPE_DOUBLE:
      return TypeKind::kDouble;
    case NANOARROW_TYPE_STRING:
    case NANOARROW_TYPE_LARGE_STRING:
    case NANOARROW_TYPE_STRING_VIEW:
      return TypeKind::kString;
    case NANOARROW_TYPE_BINARY:
    case NANOARROW_TYPE_LARGE_BINARY:
    case NANOARROW_TYPE_BINARY_VIEW:
      return TypeKind::kBytes;
    case NANOARROW_TYPE_TIMESTAMP:
      if (view.time_unit != NANOARROW_TIME_UNIT_MICRO) return std::nullopt;
      return view.timezone[0] == '\0' ? TypeKind::kTimestampNaive : TypeKind::kTimestampUtc;
    case NANOARROW_TYPE_DATE32:
      return TypeKind::kDate;
    case NANOARROW_TYPE_DECIMAL128:
      return TypeKind::kDecimal;
    case NANOARROW_TYPE_FIXED_SIZE_LIST:
      return TypeKind::kTensor;
    case NANOARROW_TYPE_MAP:
      return TypeKind::kMap;
    case NANOARROW_TYPE_LIST:
    case NANOARROW_TYPE_LARGE_LIST:
      return TypeKind::kList;
    case NANOARROW_TYPE_STRUCT:
      return TypeKind::kStruct;
    default:
      return TypeKind::kNumber;
  }
}

bool read_any_column(const ArrowSchema& column, int containers, FieldType* type) {
  *type = FieldType();
  ArrowSchemaView view;
  if (ArrowSchemaViewInit(&view, &column, nullptr) != NANOARROW_OK) return false;
  if (column.dictionary != nullptr) return false;
  // Any other extension gives its storage a meaning that records do not have.
  if (view.extension_name.data != nullptr) return read_extension(column, view, type);
  if (read_our_type(column, type)) return true;
  const std::optional<TypeKind> kind = kind_of(view);
  if (!kind) return false;
  type->kind = *kind;
  switch (*kind) {
    case TypeKind::kNumber: {
      const std::optional<NumberType> number = read_element(column);
      type->number = number.value_or(NumberType::kFloat64);
      return number.has_value();
    }
    case TypeKind::kDecimal:
      type->scale = static_cast<std::uint8_t>(view.decimal_scale);
      return view.decimal_scale >= 0 && view.decimal_scale <= msgpack::max_decimal_digits;
    case TypeKind::kTensor:
      return read_fixed_list(column, view, type);
    case TypeKind::kMap:
      return read_map(column, containers, type);
    case TypeKind::kList:
    case TypeKind::kStruct:
      return read_children(column, containers, type);
    default:
      return true;
  }
}

}  // namespace

TensorStorage tensor_storage(const FieldType& type) {
  const bool is_fixed = !type.has_any_shape && !type.shape.empty() && element_count(type) > 0;
  return is_fixed ? TensorStorage::kFixed : TensorStorage::kVariable;
}

ElementLayout element_layout(NumberType type) {
  switch (type) {
    case NumberType::kComplex64:
      return {2, sizeof(float)};
    case NumberType::kComplex128:
      return {2, sizeof(double)};
    default:
      return {1, static_cast<std::uint32_t>(size_of(type))};
  }
}

std::uint64_t element_count(const FieldType& type) {
  std::uint64_t count = 1;
  for (const std::uint32_t extent : type.shape) count *= extent;
  return count;
}

bool read_column_type(const ArrowSchema& column, int containers, FieldType* type) {
  if (!read_any_column(column, containers, type)) return false;
  const bool is_nested = type->kind == TypeKind::kTensor || type->kind == TypeKind::kNumber;
  return !is_nested || containers >= array_nesting;
}

ArrowErrorCode set_column_type(const FieldType& type, ArrowSchema* out) {
  switch (type.kind) {
    case TypeKind::kUndecided:
      return ArrowSchemaSetType(out, NANOARROW_TYPE_NA);
    case TypeKind::kBool:
      return ArrowSchemaSetType(out, NANOARROW_TYPE_BOOL);
    case TypeKind::kInt64:
      return ArrowSchemaSetType(out, NANOARROW_TYPE_INT64);
    case TypeKind::kDouble:
      return ArrowSchemaSetType(out, NANOARROW_TYPE_DOUBLE);
    case TypeKind::kString:
      return ArrowSchemaSetType(out, NANOARROW_TYPE_STRING);
    case TypeKind::kBytes:
      return ArrowSchemaSetType(out, NANOARROW_TYPE_BINARY);
    case TypeKind::kTimestampUtc:
    case TypeKind::kTimestampNaive:
      return ArrowSchemaSetTypeDateTime(out, NANOARROW_TYPE_TIMESTAMP, NANOARROW_TIME_UNIT_MICRO,
                                        type.kind == TypeKind::kTimestampUtc ? "UTC" : nullptr);
    case TypeKind::kDate:
      return ArrowSchemaSetType(out, NANOARROW_TYPE_DATE32);
    case TypeKind::kList:
      NANOARROW_RETURN_NOT_OK(ArrowSchemaSetType(out, NANOARROW_TYPE_LIST));
      return set_column_type(type.children.front().type, out->children[0]);
    case TypeKind::kStruct:
      return set_struct(type.children, out);
    case TypeKind::kNumber:
      return set_number(type.number, out);
    case TypeKind::kTensor:
      return set_tensor(type, out);
    case TypeKind::kDecimal:
      return ArrowSchemaSetTypeDecimal(out, NANOARROW_TYPE_DECIMAL128, msgpack::max_decimal_digits,
                                       type.scale);
    case TypeKind::kUuid:
      NANOARROW_RETURN_NOT_OK(
          ArrowSchemaSetTypeFixedSize(out, NANOARROW_TYPE_FIXED_SIZE_BINARY, 16));
      return set_metadata({{extension_key, uuid_extension}, {extension_metadata_key, ""}}, out);
    case TypeKind::kMap:
      return set_map(type.children.front().type, out);
    case TypeKind::kJson:
      NANOARROW_RETURN_NOT_OK(ArrowSchemaSetType(out, NANOARROW_TYPE_STRING));
      return set_our_type(type, out);
  }
  return EINVAL;
}

ArrowErrorCode append_nulls(ArrowArray* array, std::int64_t count) {
  NANOARROW_RETURN_NOT_OK(make_room_for_bits(array, count));
  return ArrowArrayAppendNull(array, count);
}

bool is_struct_column(const ArrowSchema& column) {
  ArrowSchemaView view;
  return ArrowSchemaViewInit(&view, &column, nullptr) == NANOARROW_OK &&
         view.extension_name.data == nullptr && view.type == NANOARROW_TYPE_STRUCT;
}

std::string_view column_name(const ArrowSchema& column) {
  return column.name == nullptr ? std::string_view{} : std::string_view(column.name);
}

std::optional<std::int64_t> find_child(const ArrowSchema& parent, std::string_view name) {
  for (std::int64_t i = 0; i < parent.n_children; ++i) {
    if (column_name(*parent.children[i]) == name) return i;
  }
  return std::nullopt;
}

std::string describe_column(const ArrowSchema& column) {
  // Like snprintf: the first call says how much there is.
  char none[1];
  const std::int64_t size = ArrowSchemaToString(&column, none, sizeof(none), 1);
  std::string text(static_cast<std::size_t>(size) + 1, '\0');
  ArrowSchemaToString(&column, text.data(), static_cast<std::int64_t>(text.size()), 1);
  text.resize(std::strlen(text.c_str()));
  return text;
}

Status nanoarrow_status(int code, std::string_view action) {
  if (code == NANOARROW_OK) return ok_status();
  const std::string failed = std::string(action) + " failed: ";
  if (code == EOVERFLOW) {
    return make_error(
        ErrorCode::kInvalidArgument,
        failed + "a column passes 2 GiB of text or 2^31 elements; flush fewer rows at once");
  }
  return make_error(ErrorCode::kIo, failed + std::generic_category().message(code));
}

}  // namespace persisting
