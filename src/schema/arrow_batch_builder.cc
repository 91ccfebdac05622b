#include <cassert>
#include <cstddef>

#include "persisting/msgpack_reader.h"

#include "schema/arrow_convert.h"
#include "schema/arrow_type.h"
#include "schema/member_finder.h"

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

// Gives null to the children of `array` that have no value for its next row yet, and ends the row.
ArrowErrorCode finish_row(ArrowArray* array) {
  for (std::int64_t i = 0; i < array->n_children; ++i) {
    ArrowArray* child = array->children[i];
    if (child->length == array->length) NANOARROW_RETURN_NOT_OK(ArrowArrayAppendNull(child, 1));
  }
  return ArrowArrayFinishElement(array);
}

ArrowErrorCode append_struct(const std::vector<SchemaField>& members, std::uint32_t size,
                             Reader& reader, ArrowArray* array) {
  MemberFinder finder(members);
  for (std::uint32_t i = 0; i < size; ++i) {
    const std::size_t index = finder.find(reader.next().text);
    assert(index != MemberFinder::not_found);
    if (index == MemberFinder::not_found) return EINVAL;
    NANOARROW_RETURN_NOT_OK(append_value(members[index].type, reader, array->children[index]));
  }
  return finish_row(array);
}

ArrowErrorCode append_text(std::string_view text, ArrowArray* array) {
  return ArrowArrayAppendString(array, {text.data(), static_cast<std::int64_t>(text.size())});
}

ArrowErrorCode append_value(const FieldType& type, Reader& reader, ArrowArray* array) {
  const Item item = reader.next();
  switch (item.kind) {
    case Kind::kInvalid:
      return EINVAL;
    case Kind::kNil:
      return ArrowArrayAppendNull(array, 1);
    case Kind::kBool:
      return ArrowArrayAppendInt(array, item.boolean ? 1 : 0);
    case Kind::kInt:
      if (type.kind == TypeKind::kDouble) {
        return ArrowArrayAppendDouble(array, static_cast<double>(item.integer));
      }
      return ArrowArrayAppendInt(array, item.integer);
    case Kind::kDouble:
      return ArrowArrayAppendDouble(array, item.number);
    case Kind::kString:
    case Kind::kBytes:
      return append_text(item.text, array);
    case Kind::kTimestampUtc:
    case Kind::kTimestampNaive:
    case Kind::kDate:
      return ArrowArrayAppendInt(array, item.integer);
    case Kind::kArray:
      if (type.kind != TypeKind::kList) return EINVAL;
      return append_list(type.children.front().type, item.size, reader, array);
    case Kind::kMap:
      if (type.kind != TypeKind::kStruct) return EINVAL;
      return append_struct(type.children, item.size, reader, array);
  }
  return EINVAL;
}

ArrowErrorCode append_record(const Schema& schema, const std::vector<ArrowArray*>& columns,
                             Reader& reader) {
  const std::uint32_t size = reader.next().size;
  MemberFinder finder(schema);
  for (std::uint32_t i = 0; i < size; ++i) {
    const std::size_t index = finder.find(reader.next().text);
    assert(index != MemberFinder::not_found);
    if (index == MemberFinder::not_found) return EINVAL;
    if (columns[index] == nullptr) {
      reader.skip();
    } else {
      NANOARROW_RETURN_NOT_OK(append_value(schema.fields()[index].type, reader, columns[index]));
    }
  }
  return NANOARROW_OK;
}

}  // namespace

Result<ArrowBatchBuilder> ArrowBatchBuilder::make(SchemaPtr schema) {
  ArrowBatchBuilder builder(std::move(schema));
  PERSISTING_RETURN_IF_ERROR(to_arrow_schema(*builder.schema_, builder.arrow_schema_.get()));
  PERSISTING_RETURN_IF_ERROR(builder.start());
  return builder;
}

Status ArrowBatchBuilder::start() {
  rows_ = 0;
  array_.reset();
  PERSISTING_RETURN_IF_ERROR(nanoarrow_status(
      ArrowArrayInitFromSchema(array_.get(), arrow_schema_.get(), nullptr), action));
  PERSISTING_RETURN_IF_ERROR(nanoarrow_status(ArrowArrayStartAppending(array_.get()), action));
  columns_.clear();
  std::int64_t next = 2;  // behind the system columns
  for (const SchemaField& field : schema_->fields()) {
    columns_.push_back(has_column(field.type) ? array_->children[next++] : nullptr);
  }
  assert(next == array_->n_children);
  return ok_status();
}

Status ArrowBatchBuilder::append(std::uint64_t offset, std::int64_t timestamp_us,
                                 std::string_view record) {
  ArrowErrorCode code = ArrowArrayAppendUInt(array_->children[0], offset);
  if (code == NANOARROW_OK) code = ArrowArrayAppendInt(array_->children[1], timestamp_us);
  Reader reader(record);
  if (code == NANOARROW_OK) code = append_record(*schema_, columns_, reader);
  if (code == NANOARROW_OK) code = finish_row(array_.get());
  if (code == NANOARROW_OK) ++rows_;
  return nanoarrow_status(code, action);
}

Status ArrowBatchBuilder::finish(ArrowArray* out) {
  ArrowError error;
  ArrowErrorInit(&error);
  if (const int code = ArrowArrayFinishBuildingDefault(array_.get(), &error);
      code != NANOARROW_OK) {
    return nanoarrow_status(code, std::string(action) + " (" + ArrowErrorMessage(&error) + ")");
  }
  nanoarrow::UniqueArray done(array_.get());
  PERSISTING_RETURN_IF_ERROR(start());
  done.move(out);
  return ok_status();
}

}  // namespace persisting
