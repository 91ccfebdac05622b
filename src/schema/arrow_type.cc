#include "schema/arrow_type.h"

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <system_error>

namespace persisting {

std::optional<TypeKind> kind_of_column(const ArrowSchema& column) {
  ArrowSchemaView view;
  if (ArrowSchemaViewInit(&view, &column, nullptr) != NANOARROW_OK) return std::nullopt;
  // An extension type gives its storage a meaning that records do not have.
  if (view.extension_name.data != nullptr) return std::nullopt;
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
    case NANOARROW_TYPE_LIST:
    case NANOARROW_TYPE_LARGE_LIST:
      return TypeKind::kList;
    case NANOARROW_TYPE_STRUCT:
      return TypeKind::kStruct;
    default:
      return std::nullopt;
  }
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
