#include "schema/record_fit.h"

#include "persisting/msgpack_reader.h"

#include "base/record_check.h"
#include "base/utf8.h"
#include "schema/exact_double.h"
#include "schema/member_finder.h"

namespace persisting {
namespace {

using msgpack::Item;
using msgpack::Kind;
using msgpack::Reader;

// The schema bounds the recursion: it never nests deeper than Record::max_nesting.
bool value_fits(const FieldType& type, Reader& reader);

bool members_fit(MemberFinder finder, const std::vector<SchemaField>& members, std::uint32_t size,
                 Reader& reader) {
  MemberSet seen;
  for (std::uint32_t i = 0; i < size; ++i) {
    const Item key = reader.next();
    if (key.kind != Kind::kString) return false;
    const std::size_t index = finder.find(key.text);
    if (index == MemberFinder::not_found || !seen.insert(index)) return false;
    if (!value_fits(members[index].type, reader)) return false;
  }
  return true;
}

bool elements_fit(const FieldType& type, std::uint32_t size, Reader& reader) {
  for (std::uint32_t i = 0; i < size; ++i) {
    if (!value_fits(type, reader)) return false;
  }
  return true;
}

bool integer_fits(const FieldType& type, std::int64_t value) {
  if (type.kind == TypeKind::kInt64) return type.has_inexact_integers || is_exact_double(value);
  return type.kind == TypeKind::kDouble && is_exact_double(value);
}

bool value_fits(const FieldType& type, Reader& reader) {
  const Item item = reader.next();
  switch (item.kind) {
    case Kind::kInvalid:
      return false;
    case Kind::kNil:
      return true;
    case Kind::kBool:
      return type.kind == TypeKind::kBool;
    case Kind::kInt:
      return integer_fits(type, item.integer);
    case Kind::kDouble:
      return type.kind == TypeKind::kDouble;
    case Kind::kString:
      return type.kind == TypeKind::kString && is_utf8(item.text);
    case Kind::kBytes:
      return type.kind == TypeKind::kBytes;
    case Kind::kTimestampUtc:
      return type.kind == TypeKind::kTimestampUtc;
    case Kind::kTimestampNaive:
      return type.kind == TypeKind::kTimestampNaive;
    case Kind::kDate:
      return type.kind == TypeKind::kDate;
    case Kind::kArray:
      return type.kind == TypeKind::kList &&
             elements_fit(type.children.front().type, item.size, reader);
    case Kind::kMap:
      return type.kind == TypeKind::kStruct &&
             members_fit(MemberFinder(type.children), type.children, item.size, reader);
  }
  return false;
}

}  // namespace

bool record_fits(const Schema& schema, std::string_view record) {
  if (record.size() > max_record_bytes) return false;
  Reader reader(record);
  const Item item = reader.next();
  return item.kind == Kind::kMap &&
         members_fit(MemberFinder(schema), schema.fields(), item.size, reader) && reader.at_end();
}

}  // namespace persisting
