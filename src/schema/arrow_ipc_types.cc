#include "schema/arrow_ipc_types.h"

#include <string>

#include "schema/arrow_type.h"

namespace persisting {
namespace {

// Unions are left out although the format has them: nothing here stores them, and checking forged
// ones takes more than nanoarrow does. The others nanoarrow neither writes nor reads.
bool is_supported(ArrowType type) {
  switch (type) {
    case NANOARROW_TYPE_SPARSE_UNION:
    case NANOARROW_TYPE_DENSE_UNION:
    case NANOARROW_TYPE_DICTIONARY:
    case NANOARROW_TYPE_RUN_END_ENCODED:
    case NANOARROW_TYPE_STRING_VIEW:
    case NANOARROW_TYPE_BINARY_VIEW:
    case NANOARROW_TYPE_LIST_VIEW:
    case NANOARROW_TYPE_LARGE_LIST_VIEW:
    case NANOARROW_TYPE_UNINITIALIZED:
      return false;
    default:
      return true;
  }
}

Status check_children(const ArrowSchema& parent, const std::string& prefix, int containers) {
  for (std::int64_t i = 0; i < parent.n_children; ++i) {
    const ArrowSchema& column = *parent.children[i];
    const std::string name = prefix + (column.name == nullptr ? "" : column.name);
    ArrowSchemaView view;
    ArrowError error;
    ArrowErrorInit(&error);
    if (ArrowSchemaViewInit(&view, &column, &error) != NANOARROW_OK) {
      return make_error(ErrorCode::kInvalidArgument,
                        "column '" + name + "' has no valid type: " + ArrowErrorMessage(&error));
    }
    if (!is_supported(view.type)) {
      return make_error(ErrorCode::kUnsupported, "column '" + name + "' is " +
                                                     describe_column(column) +
                                                     ", which cannot be stored as Arrow IPC");
    }
    if (column.n_children == 0) continue;
    if (containers == 0) {
      return make_error(ErrorCode::kUnsupported, "column '" + name + "' nests deeper than " +
                                                     std::to_string(max_ipc_nesting) + " levels");
    }
    PERSISTING_RETURN_IF_ERROR(check_children(column, name + ".", containers - 1));
  }
  return ok_status();
}

}  // namespace

Status check_ipc_types(const ArrowSchema& schema) {
  return check_children(schema, "", max_ipc_nesting);
}

}  // namespace persisting
