#include "schema/normalizer.h"

#include <cassert>
#include <string>
#include <vector>

#include "persisting/msgpack_reader.h"
#include "persisting/msgpack_writer.h"

#include "schema/member_finder.h"

namespace persisting {
namespace {

using msgpack::Item;
using msgpack::Kind;
using msgpack::Reader;

// Copies the next item of `reader` as it is, together with what lies before it since `from`, an
// earlier remaining().
void copy_item(std::string_view from, Reader& reader, std::string& out) {
  [[maybe_unused]] const bool valid = reader.skip();
  assert(valid);
  out.append(from.substr(0, from.size() - reader.remaining().size()));
}

// Whether every value of the type looks to a reader as it was put.
bool reads_as_put(const FieldType& type) {
  if (type.kind == TypeKind::kList) return reads_as_put(type.children.front().type);
  return type.kind != TypeKind::kDouble && type.kind != TypeKind::kStruct;
}

void write_value(const FieldType& type, Reader& reader, std::string& out);

void write_missing(const std::vector<SchemaField>& members, std::size_t from, std::size_t to,
                   std::string& out) {
  for (std::size_t i = from; i < to; ++i) {
    msgpack::write_string(out, members[i].name);
    msgpack::write_nil(out);
  }
}

// The general way, for members in another order: notes where each value stands, then writes them.
void write_members_reordered(MemberFinder finder, const std::vector<SchemaField>& members,
                             std::uint32_t size, Reader& reader, std::string& out) {
  std::vector<Reader> values(members.size(), Reader({}));
  for (std::uint32_t i = 0; i < size; ++i) {
    const std::size_t index = finder.find(reader.next().text);
    if (index != MemberFinder::not_found) values[index] = reader;
    reader.skip();
  }
  for (std::size_t i = 0; i < members.size(); ++i) {
    if (values[i].at_end()) {
      write_missing(members, i, i + 1, out);
    } else {
      msgpack::write_string(out, members[i].name);
      write_value(members[i].type, values[i], out);
    }
  }
}

// Writes all members in the schema's order, straight through as long as the record has it too.
void write_members(const MemberFinder& finder, const std::vector<SchemaField>& members,
                   std::uint32_t size, Reader& reader, std::string& out) {
  msgpack::write_map(out, static_cast<std::uint32_t>(members.size()));
  const std::size_t start = out.size();
  const Reader first = reader;
  MemberFinder in_order = finder;
  std::size_t written = 0;
  for (std::uint32_t i = 0; i < size; ++i) {
    const std::string_view pair = reader.remaining();
    const std::size_t index = in_order.find(reader.next().text);
    assert(index != MemberFinder::not_found);
    if (index < written || index == MemberFinder::not_found) {
      out.resize(start);
      reader = first;
      return write_members_reordered(finder, members, size, reader, out);
    }
    write_missing(members, written, index, out);
    written = index + 1;
    if (reads_as_put(members[index].type)) {
      copy_item(pair, reader, out);
    } else {
      msgpack::write_string(out, members[index].name);
      write_value(members[index].type, reader, out);
    }
  }
  write_missing(members, written, members.size(), out);
}

void write_double(Reader& reader, std::string& out) {
  const Item item = reader.next();
  if (item.kind == Kind::kNil) {
    msgpack::write_nil(out);
  } else {
    msgpack::write_double(
        out, item.kind == Kind::kInt ? static_cast<double>(item.integer) : item.number);
  }
}

void write_list(const FieldType& element, Reader& reader, std::string& out) {
  const Item item = reader.next();
  if (item.kind == Kind::kNil) return msgpack::write_nil(out);
  msgpack::write_array(out, item.size);
  for (std::uint32_t i = 0; i < item.size; ++i) write_value(element, reader, out);
}

void write_struct(const std::vector<SchemaField>& members, Reader& reader, std::string& out) {
  const Item item = reader.next();
  if (item.kind == Kind::kNil) return msgpack::write_nil(out);
  write_members(MemberFinder(members), members, item.size, reader, out);
}

void write_value(const FieldType& type, Reader& reader, std::string& out) {
  if (reads_as_put(type)) return copy_item(reader.remaining(), reader, out);
  switch (type.kind) {
    case TypeKind::kDouble:
      return write_double(reader, out);
    case TypeKind::kList:
      return write_list(type.children.front().type, reader, out);
    default:
      return write_struct(type.children, reader, out);
  }
}

}  // namespace

void normalize(const Schema& schema, std::string_view record, RecordBatch* out) {
  Reader reader(record);
  const Item item = reader.next();
  assert(item.kind == Kind::kMap);
  write_members(MemberFinder(schema), schema.fields(), item.size, reader, out->bytes());
  assert(reader.at_end());
  out->end_record();
}

}  // namespace persisting
