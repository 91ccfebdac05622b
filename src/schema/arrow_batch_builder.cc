#include <cassert>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "persisting/msgpack_reader.h"
#include "persisting/msgpack_writer.h"

#include "schema/arrow_convert.h"
#include "schema/arrow_type.h"
#include "schema/json_text.h"
#include "schema/member_walk.h"
#include "schema/normalizer.h"

namespace persisting {
namespace {

using msgpack::Item;
using msgpack::Kind;
using msgpack::Reader;

constexpr const char* action = "building rows for the table";

// Appends the next value of `reader`, of type `type`, to `array`.
ArrowErrorCode append_value(const FieldType& type, Reader& reader, ArrowArray* array);

ArrowErrorCode append_list(const FieldType& element, std::uint32_t size, Reader& reader,
                           ArrowArray* array) {
  for (std::uint32_t i = 0; i < size; ++i) {
    NANOARROW_RETURN_NOT_OK(append_value(element, reader, array->children[0]));
  }
  return ArrowArrayFinishElement(array);
}

ArrowErrorCode append_map(const FieldType& value, std::uint32_t size, Reader& reader,
                          ArrowArray* array) {
  ArrowArray* const entries = array->children[0];
  for (std::uint32_t i = 0; i < size; ++i) {
    const std::string_view key = reader.next().text;
    NANOARROW_RETURN_NOT_OK(ArrowArrayAppendString(
        entries->children[0], {key.data(), static_cast<std::int64_t>(key.size())}));
    NANOARROW_RETURN_NOT_OK(append_value(value, reader, entries->children[1]));
    NANOARROW_RETURN_NOT_OK(ArrowArrayFinishElement(entries));
  }
  return ArrowArrayFinishElement(array);
}

ArrowErrorCode append_struct(const std::vector<SchemaField>& members, Reader& reader,
                             ArrowArray* array) {
  for (std::size_t i = 0; i < members.size(); ++i) {
    reader.next();  // its name: normalized, so in the schema's order
    NANOARROW_RETURN_NOT_OK(append_value(members[i].type, reader, array->children[i]));
  }
  if (members.empty()) NANOARROW_RETURN_NOT_OK(ArrowArrayAppendNull(array->children[0], 1));
  return ArrowArrayFinishElement(array);
}

ArrowErrorCode append_text(std::string_view text, ArrowArray* array) {
  return ArrowArrayAppendString(array, {text.data(), static_cast<std::int64_t>(text.size())});
}

// Appends `count` values of fixed width as they lie: nanoarrow's own way goes through double, which would change the
// NaNs of narrow floats.
ArrowErrorCode append_fixed(std::string_view data, std::int64_t count, ArrowArray* array) {
  NANOARROW_RETURN_NOT_OK(ArrowBufferAppend(ArrowArrayBuffer(array, 1), data.data(),
                                            static_cast<std::int64_t>(data.size())));
  ArrowBitmap* const validity = ArrowArrayValidityBitmap(array);
  if (validity->buffer.data != nullptr)
    NANOARROW_RETURN_NOT_OK(ArrowBitmapAppend(validity, 1, count));
  array->length += count;
  return NANOARROW_OK;
}

ArrowErrorCode append_elements(const msgpack::TensorView& tensor, ArrowArray* array) {
  const std::string_view data = tensor.data();
  if (tensor.type() == NumberType::kBool) {
    for (const char value : data) NANOARROW_RETURN_NOT_OK(ArrowArrayAppendInt(array, value));
    return NANOARROW_OK;
  }
  const ElementLayout layout = element_layout(tensor.type());
  return append_fixed(data, static_cast<std::int64_t>(data.size() / layout.bytes), array);
}

ArrowErrorCode append_tensor(const FieldType& type, const msgpack::TensorView& tensor,
                             ArrowArray* array) {
  if (tensor_storage(type) == TensorStorage::kFixed) {
    NANOARROW_RETURN_NOT_OK(append_elements(tensor, array->children[0]));
    return ArrowArrayFinishElement(array);
  }
  ArrowArray* const data = array->children[0];
  ArrowArray* const shape = array->children[1];
  NANOARROW_RETURN_NOT_OK(append_elements(tensor, data->children[0]));
  NANOARROW_RETURN_NOT_OK(ArrowArrayFinishElement(data));
  for (std::size_t i = 0; i < tensor.dimensions(); ++i) {
    NANOARROW_RETURN_NOT_OK(ArrowArrayAppendInt(shape->children[0], tensor.extent(i)));
  }
  NANOARROW_RETURN_NOT_OK(ArrowArrayFinishElement(shape));
  return ArrowArrayFinishElement(array);
}

ArrowErrorCode append_number(const Item& item, ArrowArray* array) {
  const auto type = static_cast<NumberType>(item.text[0]);
  const std::string_view bytes = item.text.substr(1);
  const ElementLayout layout = element_layout(type);
  if (layout.numbers == 1) return append_fixed(bytes, 1, array);
  NANOARROW_RETURN_NOT_OK(append_fixed(bytes, layout.numbers, array->children[0]));
  return ArrowArrayFinishElement(array);
}

ArrowErrorCode append_value(const FieldType& type, Reader& reader, ArrowArray* array) {
  if (type.kind == TypeKind::kJson) {
    if (Reader(reader).next().kind != Kind::kNil) {
      std::string text;
      append_json(reader, text);
      return append_text(text, array);
    }
  }
  const Item item = reader.next();
  switch (item.kind) {
    case Kind::kInvalid:
      return EINVAL;
    case Kind::kNil:
      return append_nulls(array, 1);
    case Kind::kBool:
      return ArrowArrayAppendInt(array, item.boolean ? 1 : 0);
    case Kind::kDouble:
      return ArrowArrayAppendDouble(array, item.number);
    case Kind::kString:
    case Kind::kBytes:
      return append_text(item.text, array);
    case Kind::kInt:
    case Kind::kTimestampUtc:
    case Kind::kTimestampNaive:
    case Kind::kDate:
      return ArrowArrayAppendInt(array, item.integer);
    case Kind::kNumber:
      return append_number(item, array);
    case Kind::kTensor:
      return append_tensor(type, msgpack::tensor(item), array);
    case Kind::kDecimal:
      return append_fixed(item.text.substr(1), 1, array);
    case Kind::kUuid:
      return append_fixed(item.text, 1, array);
    case Kind::kArray:
      return append_list(type.children.front().type, item.size, reader, array);
    case Kind::kMap:
      if (type.kind == TypeKind::kMap)
        return append_map(type.children.front().type, item.size, reader, array);
      return append_struct(type.children, reader, array);
  }
  return EINVAL;
}

ArrowErrorCode append_record(const Schema& schema,
                             const std::vector<ArrowBatchBuilder::Column>& columns,
                             Reader& reader) {
  [[maybe_unused]] const std::uint32_t size = reader.next().size;
  assert(size == schema.fields().size());
  for (std::size_t i = 0; i < columns.size(); ++i) {
    reader.next();  // the name
    if (columns[i].array == nullptr) {
      reader.skip();
    } else {
      NANOARROW_RETURN_NOT_OK(append_value(schema.fields()[i].type, reader, columns[i].array));
    }
  }
  return NANOARROW_OK;
}

ArrowErrorCode append_valid(ArrowBitmap* validity) { return ArrowBitmapAppend(validity, 1, 1); }

// Counts a value that was appended to the buffers of its column.
inline ArrowErrorCode end_value(const ArrowBatchBuilder::Column& column) {
  ++column.array->length;
  return column.validity->buffer.data == nullptr ? NANOARROW_OK : append_valid(column.validity);
}

// What nanoarrow's own ways do after looking at the column's type.
template <typename Word>
ArrowErrorCode append_word(Word value, const ArrowBatchBuilder::Column& column) {
  static_assert(sizeof(Word) == sizeof(std::int64_t));
  NANOARROW_RETURN_NOT_OK(ArrowBufferAppend(column.second, &value, sizeof(value)));
  return end_value(column);
}

ArrowErrorCode append_text(std::string_view text, const ArrowBatchBuilder::Column& column) {
  const std::int64_t end = column.third->size_bytes + static_cast<std::int64_t>(text.size());
  if (end > std::numeric_limits<std::int32_t>::max()) return EOVERFLOW;
  NANOARROW_RETURN_NOT_OK(
      ArrowBufferAppend(column.third, text.data(), static_cast<std::int64_t>(text.size())));
  NANOARROW_RETURN_NOT_OK(ArrowBufferAppendInt32(column.second, static_cast<std::int32_t>(end)));
  return end_value(column);
}

// Appends the values of one record to their columns.
class ColumnSink {
 public:
  // `scratch` is overwritten.
  ColumnSink(const std::vector<ArrowBatchBuilder::Column>& columns, std::string& scratch)
      : columns_(columns), scratch_(scratch) {}

  void null(std::size_t place) { keep(append_nulls(columns_[place].array, 1)); }
  void boolean(std::size_t place, bool value) {
    keep(ArrowArrayAppendInt(columns_[place].array, value ? 1 : 0));
  }
  void integer(std::size_t place, std::int64_t value) { keep(append_word(value, columns_[place])); }
  void real(std::size_t place, double value) { keep(append_word(value, columns_[place])); }
  void text(std::size_t place, std::string_view value) {
    keep(append_text(value, columns_[place]));
  }
  void encoded(std::size_t place, const FieldType& type, std::string_view value) {
    Reader reader(value);
    keep(append_value(type, reader, columns_[place].array));
  }
  void other(std::size_t place, const FieldType& type, Reader& reader) {
    scratch_.clear();
    normalize_value(type, reader, scratch_);
    encoded(place, type, scratch_);
  }
  // The first failure.
  ArrowErrorCode code() const { return code_; }

 private:
  void keep(ArrowErrorCode code) {
    if (code != NANOARROW_OK && code_ == NANOARROW_OK) code_ = code;
  }

  const std::vector<ArrowBatchBuilder::Column>& columns_;
  std::string& scratch_;
  ArrowErrorCode code_ = NANOARROW_OK;
};

}  // namespace

Result<ArrowBatchBuilder> ArrowBatchBuilder::make(SchemaPtr schema, SystemColumns system) {
  ArrowBatchBuilder builder(std::move(schema), system);
  PERSISTING_RETURN_IF_ERROR(system == SystemColumns::kWith
                                 ? to_arrow_schema(*builder.schema_, builder.arrow_schema_.get())
                                 : to_arrow_fields(*builder.schema_, builder.arrow_schema_.get()));
  return builder;
}

Status ArrowBatchBuilder::start() {
  if (array_->release != nullptr) return ok_status();
  PERSISTING_RETURN_IF_ERROR(nanoarrow_status(
      ArrowArrayInitFromSchema(array_.get(), arrow_schema_.get(), nullptr), action));
  PERSISTING_RETURN_IF_ERROR(nanoarrow_status(ArrowArrayStartAppending(array_.get()), action));
  columns_.clear();
  std::int64_t next = system_ == SystemColumns::kWith ? 2 : 0;
  for (const SchemaField& field : schema_->fields()) {
    const bool has_one = system_ == SystemColumns::kWithout || has_column(field.type);
    Column& column = columns_.emplace_back();
    if (!has_one) continue;
    column.array = array_->children[next++];
    column.validity = ArrowArrayValidityBitmap(column.array);
    column.second = ArrowArrayBuffer(column.array, 1);
    column.third = ArrowArrayBuffer(column.array, 2);
  }
  assert(next == array_->n_children);
  return ok_status();
}

Status ArrowBatchBuilder::append(std::uint64_t offset, std::int64_t timestamp_us,
                                 std::string_view record) {
  if (array_->release == nullptr) PERSISTING_RETURN_IF_ERROR(start());
  ArrowErrorCode code = NANOARROW_OK;
  if (system_ == SystemColumns::kWith) {
    code = ArrowArrayAppendUInt(array_->children[0], offset);
    if (code == NANOARROW_OK) code = ArrowArrayAppendInt(array_->children[1], timestamp_us);
  }
  Reader reader(record);
  if (code == NANOARROW_OK) code = append_record(*schema_, columns_, reader);
  if (code == NANOARROW_OK) code = ArrowArrayFinishElement(array_.get());
  if (code == NANOARROW_OK) ++rows_;
  return nanoarrow_status(code, action);
}

Status ArrowBatchBuilder::append_admitted(std::string_view record) {
  assert(system_ == SystemColumns::kWithout);
  if (array_->release == nullptr) PERSISTING_RETURN_IF_ERROR(start());
  ColumnSink sink(columns_, scratch_);
  walk_record(*schema_, record, sink);
  if (sink.code() != NANOARROW_OK) return nanoarrow_status(sink.code(), action);
  ++array_->length;
  ++rows_;
  return ok_status();
}

Status ArrowBatchBuilder::reserve(std::uint64_t rows) {
  PERSISTING_RETURN_IF_ERROR(start());
  return nanoarrow_status(ArrowArrayReserve(array_.get(), static_cast<std::int64_t>(rows)), action);
}

Status ArrowBatchBuilder::finish(ArrowArray* out) {
  PERSISTING_RETURN_IF_ERROR(start());
  ArrowError error;
  ArrowErrorInit(&error);
  if (const int code = ArrowArrayFinishBuildingDefault(array_.get(), &error);
      code != NANOARROW_OK) {
    return nanoarrow_status(code, std::string(action) + " (" + ArrowErrorMessage(&error) + ")");
  }
  array_.move(out);
  rows_ = 0;
  return ok_status();
}

}  // namespace persisting
