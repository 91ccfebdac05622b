#include "schema/record_fit.h"

#include "persisting/msgpack_reader.h"
#include "persisting/record.h"

#include "base/record_check.h"
#include "base/utf8.h"
#include "schema/exact_double.h"
#include "schema/member_finder.h"
#include "schema/value_fit.h"

namespace persisting {
namespace {

using msgpack::Item;
using msgpack::Kind;
using msgpack::Reader;

// Whether the next value is a plain one of the field's own type, and fits; takes it then. Most values are.
inline bool take_plain(const FieldType& type, Reader& reader) {
  bool boolean = false;
  std::int64_t integer = 0;
  double real = 0;
  std::string_view text;
  Reader after = reader;
  switch (type.kind) {
    case TypeKind::kBool:
      if (!after.take_bool(&boolean)) return false;
      break;
    case TypeKind::kInt64:
      if (!after.take_int(&integer)) return false;
      if (!type.has_inexact_integers && !is_exact_double(integer)) return false;
      break;
    case TypeKind::kDouble:
      if (!after.take_double(&real)) return false;
      break;
    case TypeKind::kString:
      if (!after.take_text(&text) || !is_utf8(text)) return false;
      break;
    default:
      return false;
  }
  reader = after;
  return true;
}

// `containers` is how many lists and structs may still open.
bool other_value_fits(const FieldType& type, int containers, Reader& reader);
inline bool value_fits(const FieldType& type, int containers, Reader& reader) {
  return take_plain(type, reader) || other_value_fits(type, containers, reader);
}

bool members_fit_in_any_order(MemberFinder finder, const std::vector<SchemaField>& members,
                              std::uint32_t size, int containers, Reader& reader) {
  MemberSet seen;
  std::string_view name;
  for (std::uint32_t i = 0; i < size; ++i) {
    if (!reader.take_text(&name)) return false;
    const std::size_t index = finder.find(name);
    if (index == MemberFinder::not_found || !seen.insert(index)) return false;
    if (!value_fits(members[index].type, containers, reader)) return false;
  }
  return true;
}

bool members_fit(MemberFinder finder, const std::vector<SchemaField>& members, std::uint32_t size,
                 int containers, Reader& reader) {
  // Mostly in the schema's order, where none can come twice.
  const Reader begin = reader;
  auto member = members.begin();
  for (std::uint32_t i = 0; i < size; ++i, ++member) {
    while (member != members.end() && !reader.take_text_if(member->name)) ++member;
    if (member == members.end()) {
      reader = begin;
      return members_fit_in_any_order(finder, members, size, containers, reader);
    }
    if (!value_fits(member->type, containers, reader)) return false;
  }
  return true;
}

bool container_fits(const FieldType& type, const Item& item, int containers, Reader& reader) {
  if (containers == 0) return false;
  if (item.kind == Kind::kMap && type.kind == TypeKind::kStruct) {
    return members_fit(MemberFinder(type.children), type.children, item.size, containers - 1,
                       reader);
  }
  if (item.kind == Kind::kArray && type.kind == TypeKind::kTensor)
    return type.is_declared && list_fits_tensor(type, item, reader);
  if (item.kind != Kind::kArray || type.kind != TypeKind::kList) return false;
  for (std::uint32_t i = 0; i < item.size; ++i) {
    if (!value_fits(type.children.front().type, containers - 1, reader)) return false;
  }
  return true;
}

// A dict of any names, all of whose values fit one type.
bool map_fits(const FieldType& type, const Reader& begin, int containers, Reader& reader) {
  Reader whole = begin;
  if (!skip_valid(whole, containers, false)) return false;  // names and nesting
  const Item item = reader.next();
  if (item.kind == Kind::kNil) return true;
  if (item.kind != Kind::kMap) return false;
  for (std::uint32_t i = 0; i < item.size; ++i) {
    reader.next();
    if (!value_fits(type.children.front().type, containers - 1, reader)) return false;
  }
  return true;
}

bool other_value_fits(const FieldType& type, int containers, Reader& reader) {
  if (type.takes_anything || type.kind == TypeKind::kJson)
    return skip_valid(reader, containers, type.kind == TypeKind::kJson);
  if (type.kind == TypeKind::kMap) return map_fits(type, reader, containers, reader);
  const Item item = reader.next();
  if (item.kind == Kind::kNil) return true;
  if (item.kind == Kind::kArray || item.kind == Kind::kMap)
    return container_fits(type, item, containers, reader);
  const bool may_be_nested = item.kind == Kind::kNumber || item.kind == Kind::kTensor;
  return (!may_be_nested || containers >= array_nesting) && scalar_fits(type, item);
}

}  // namespace

bool record_fits(const Schema& schema, std::string_view record) {
  if (record.size() > max_record_bytes) return false;
  Reader reader(record);
  std::uint32_t size = 0;
  return reader.take_map(&size) &&
         members_fit(MemberFinder(schema), schema.fields(), size, Record::max_nesting, reader) &&
         reader.at_end();
}

}  // namespace persisting
