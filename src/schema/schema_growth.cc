#include "schema/schema_growth.h"

#include <algorithm>
#include <cassert>
#include <string>

#include "persisting/msgpack_reader.h"

#include "schema/exact_double.h"

namespace persisting {
namespace {

using msgpack::Item;
using msgpack::Kind;
using msgpack::Reader;

// Where a value stands, as links through the callers' frames: written out only for a message.
struct Path {
  const Path* parent = nullptr;
  std::string_view name;
  bool is_element = false;  // of the list `parent`

  std::string text() const {
    if (parent == nullptr) return std::string(name);
    return parent->text().append(is_element ? "[]" : ".").append(name);
  }
};

constexpr const char* inexact = " beyond 2^53, which no double represents exactly";

Error misfit(const Path& path, const std::string& given, const std::string& held) {
  return make_error(ErrorCode::kSchema, "field '" + path.text() + "' is " + given +
                                            ", but the bucket holds " + held +
                                            "; convert the value, or put it under another name");
}

// The type of one value, its elements or members left out.
FieldType shallow_type(const Item& item) {
  FieldType type;
  switch (item.kind) {
    case Kind::kInvalid:
    case Kind::kNil:
      break;
    case Kind::kBool:
      type.kind = TypeKind::kBool;
      break;
    case Kind::kInt:
      type.kind = TypeKind::kInt64;
      type.has_inexact_integers = !is_exact_double(item.integer);
      break;
    case Kind::kDouble:
      type.kind = TypeKind::kDouble;
      break;
    case Kind::kString:
      type.kind = TypeKind::kString;
      break;
    case Kind::kBytes:
      type.kind = TypeKind::kBytes;
      break;
    case Kind::kTimestampUtc:
      type.kind = TypeKind::kTimestampUtc;
      break;
    case Kind::kTimestampNaive:
      type.kind = TypeKind::kTimestampNaive;
      break;
    case Kind::kDate:
      type.kind = TypeKind::kDate;
      break;
    case Kind::kArray:
      type.kind = TypeKind::kList;
      type.children.emplace_back();
      break;
    case Kind::kMap:
      type.kind = TypeKind::kStruct;
      break;
  }
  return type;
}

std::string kind_name(const FieldType& type) {
  if (type.kind == TypeKind::kList) return "a list";
  if (type.kind == TypeKind::kStruct) return "a struct";
  return describe(type);
}

// Grows `type` until it holds values of `other` too, elements and members left out. The rules of
// docs/schema-evolution.md stand here and in record_fit.cc.
Status grow_shallow(FieldType* type, const FieldType& other, const Path& path) {
  if (other.kind == TypeKind::kUndecided) return ok_status();
  if (type->kind == TypeKind::kUndecided) {
    type->kind = other.kind;
    if (other.kind == TypeKind::kList) type->children.emplace_back();
  }
  if (type->kind == other.kind) {
    type->has_inexact_integers |= other.has_inexact_integers;
    return ok_status();
  }
  if (type->kind == TypeKind::kDouble && other.kind == TypeKind::kInt64) {
    if (!other.has_inexact_integers) return ok_status();
    return misfit(path, std::string("int64") + inexact, "double there");
  }
  if (type->kind == TypeKind::kInt64 && other.kind == TypeKind::kDouble) {
    if (type->has_inexact_integers) {
      return misfit(path, "double", std::string("int64 there") + inexact);
    }
    type->kind = TypeKind::kDouble;
    return ok_status();
  }
  return misfit(path, kind_name(other), describe(*type) + " there");
}

// The member `name`, added at the end if it is new. `guess` is where it is likely to be.
FieldType* find_or_add(std::vector<SchemaField>* members, std::string_view name,
                       std::size_t guess) {
  if (guess < members->size() && (*members)[guess].name == name) return &(*members)[guess].type;
  const auto found = std::find_if(members->begin(), members->end(),
                                  [&](const SchemaField& member) { return member.name == name; });
  if (found != members->end()) return &found->type;
  return &members->emplace_back(SchemaField{std::string(name), {}}).type;
}

Status grow_by_value(FieldType* type, Reader& reader, const Path& path);

Status grow_by_members(std::vector<SchemaField>* members, std::uint32_t size, Reader& reader,
                       const Path* parent) {
  for (std::uint32_t i = 0; i < size; ++i) {
    const std::string_view name = reader.next().text;
    const Path path{parent, name};
    PERSISTING_RETURN_IF_ERROR(grow_by_value(find_or_add(members, name, i), reader, path));
  }
  return ok_status();
}

Status grow_by_value(FieldType* type, Reader& reader, const Path& path) {
  const Item item = reader.next();
  assert(item.kind != Kind::kInvalid);
  PERSISTING_RETURN_IF_ERROR(grow_shallow(type, shallow_type(item), path));
  if (item.kind == Kind::kMap) return grow_by_members(&type->children, item.size, reader, &path);
  if (item.kind != Kind::kArray) return ok_status();
  const Path element{&path, {}, true};
  for (std::uint32_t i = 0; i < item.size; ++i) {
    PERSISTING_RETURN_IF_ERROR(grow_by_value(&type->children.front().type, reader, element));
  }
  return ok_status();
}

Status grow_by_type(FieldType* type, const FieldType& other, const Path& path);

Status grow_by_fields(std::vector<SchemaField>* members, const std::vector<SchemaField>& others,
                      const Path* parent, bool are_elements) {
  for (std::size_t i = 0; i < others.size(); ++i) {
    const Path path{parent, others[i].name, are_elements};
    FieldType* type = find_or_add(members, others[i].name, i);
    PERSISTING_RETURN_IF_ERROR(grow_by_type(type, others[i].type, path));
  }
  return ok_status();
}

Status grow_by_type(FieldType* type, const FieldType& other, const Path& path) {
  PERSISTING_RETURN_IF_ERROR(grow_shallow(type, other, path));
  return grow_by_fields(&type->children, other.children, &path, type->kind == TypeKind::kList);
}

}  // namespace

Status grow(std::vector<SchemaField>* fields, std::string_view record) {
  Reader reader(record);
  return grow_by_members(fields, reader.next().size, reader, nullptr);
}

Status grow(std::vector<SchemaField>* fields, const std::vector<SchemaField>& other) {
  return grow_by_fields(fields, other, nullptr, false);
}

}  // namespace persisting
