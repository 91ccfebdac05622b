#include "schema/arrow_share.h"

#include <cstring>
#include <string_view>
#include <utility>

#include "schema/arrow_type.h"

namespace persisting {
namespace {

// Behind a shared array: its children and what keeps the buffers alive.
struct Shared {
  std::shared_ptr<const void> owner;
  std::vector<ArrowArray> children;
  std::vector<ArrowArray*> pointers;
};

void release_shared(ArrowArray* array) {
  auto* const shared = static_cast<Shared*>(array->private_data);
  for (ArrowArray& child : shared->children) {
    if (child.release != nullptr) child.release(&child);
  }
  delete shared;
  array->release = nullptr;
}

// The whole of `source`, offset and length included.
void share_whole(const ArrowArray& source, const std::shared_ptr<const void>& owner,
                 ArrowArray* out) {
  auto shared = std::make_unique<Shared>();
  shared->owner = owner;
  shared->children.resize(static_cast<std::size_t>(source.n_children));
  for (std::size_t i = 0; i < shared->children.size(); ++i) {
    share_whole(*source.children[i], owner, &shared->children[i]);
    shared->pointers.push_back(&shared->children[i]);
  }
  *out = source;
  out->children = shared->pointers.empty() ? nullptr : shared->pointers.data();
  out->dictionary = nullptr;
  out->release = release_shared;
  out->private_data = shared.release();
}

Status make_null_column(const ArrowSchema& type, std::int64_t count, ArrowArray* out) {
  nanoarrow::UniqueArray column;
  int code = ArrowArrayInitFromSchema(column.get(), &type, nullptr);
  if (code == NANOARROW_OK) code = ArrowArrayStartAppending(column.get());
  if (code == NANOARROW_OK) code = append_nulls(column.get(), count);
  if (code == NANOARROW_OK) code = ArrowArrayFinishBuildingDefault(column.get(), nullptr);
  PERSISTING_RETURN_IF_ERROR(nanoarrow_status(code, "making a column of nulls"));
  column.move(out);
  return ok_status();
}

}  // namespace

bool has_same_layout(const ArrowSchema& left, const ArrowSchema& right) {
  if (std::strcmp(left.format, right.format) != 0 || left.n_children != right.n_children ||
      left.dictionary != nullptr || right.dictionary != nullptr) {
    return false;
  }
  const bool is_struct = std::strcmp(left.format, "+s") == 0;
  for (std::int64_t i = 0; i < left.n_children; ++i) {
    if (is_struct && column_name(*left.children[i]) != column_name(*right.children[i]))
      return false;
    if (!has_same_layout(*left.children[i], *right.children[i])) return false;
  }
  return true;
}

bool are_aligned(const ArrowSchema& type, const ArrowArray& array) {
  constexpr std::uintptr_t decimal_bytes = 16;
  if (std::string_view(type.format).starts_with("d:") &&
      reinterpret_cast<std::uintptr_t>(array.buffers[1]) % decimal_bytes != 0) {
    return false;
  }
  for (std::int64_t i = 0; i < type.n_children; ++i) {
    if (!are_aligned(*type.children[i], *array.children[i])) return false;
  }
  return true;
}

void share_array(const ArrowArray& source, std::int64_t first, std::int64_t count,
                 const std::shared_ptr<const void>& owner, ArrowArray* out) {
  share_whole(source, owner, out);
  if (first == 0 && count == source.length) return;
  out->offset += first;
  out->length = count;
  if (out->null_count != 0) out->null_count = -1;
}

std::optional<std::vector<std::int64_t>> find_columns(const ArrowSchema& wanted,
                                                      const ArrowSchema& given) {
  std::vector<std::int64_t> places;
  for (std::int64_t i = 0; i < wanted.n_children; ++i) {
    const ArrowSchema& column = *wanted.children[i];
    const std::optional<std::int64_t> place = find_child(given, column_name(column));
    if (place && !has_same_layout(column, *given.children[*place])) return std::nullopt;
    places.push_back(place.value_or(-1));
  }
  return places;
}

std::optional<std::vector<std::int64_t>> find_shareable_columns(const ArrowSchema& wanted,
                                                                const ArrowSchema& given,
                                                                const Schema& schema) {
  auto places = find_columns(wanted, given);
  if (!places) return std::nullopt;
  for (const SchemaField& field : schema.fields()) {
    if (!field.default_value.empty() && !find_child(given, field.name)) return std::nullopt;
  }
  return places;
}

Status share_rows(const ArrowSchema& wanted, const std::vector<std::int64_t>& places,
                  const ArrowArray& rows, std::int64_t first, std::int64_t count,
                  const std::shared_ptr<const void>& owner, std::int64_t skipped, ArrowArray* out) {
  nanoarrow::UniqueArray made;
  int code = ArrowArrayInitFromType(made.get(), NANOARROW_TYPE_STRUCT);
  if (code == NANOARROW_OK) code = ArrowArrayAllocateChildren(made.get(), wanted.n_children);
  PERSISTING_RETURN_IF_ERROR(nanoarrow_status(code, "sharing rows"));
  for (std::int64_t i = skipped; i < wanted.n_children; ++i) {
    const std::int64_t place = places[static_cast<std::size_t>(i)];
    if (place < 0) {
      PERSISTING_RETURN_IF_ERROR(make_null_column(*wanted.children[i], count, made->children[i]));
    } else {
      share_array(*rows.children[place], rows.offset + first, count, owner, made->children[i]);
    }
  }
  made->length = count;
  made->null_count = 0;
  made.move(out);
  return ok_status();
}

}  // namespace persisting
