// Walks the members of a record or struct beside those of its schema, and gives a reader's view of them: every member of
// the schema, in its order, with its default or None where the record lacks it.
// Threads: free functions.
//
// A Sink has these, each for the member at `place`:
//   null(place), boolean(place, bool), integer(place, int64), real(place, double), text(place, string_view)
//   encoded(place, const FieldType&, string_view)       a value in normalized MessagePack
//   other(place, const FieldType&, msgpack::Reader&)    takes the next value, not None, and normalizes it
#pragma once

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "persisting/msgpack_reader.h"

#include "schema/member_finder.h"
#include "schema/schema.h"

namespace persisting {

template <typename Sink>
void walk_missing(const SchemaField& member, std::size_t place, Sink& sink) {
  if (member.default_value.empty()) return sink.null(place);
  sink.encoded(place, member.type, member.default_value);
}

template <typename Sink>
void walk_value(const FieldType& type, std::size_t place, msgpack::Reader& reader, Sink& sink) {
  bool boolean = false;
  std::int64_t integer = 0;
  double real = 0;
  std::string_view text;
  switch (type.kind) {
    case TypeKind::kBool:
      if (reader.take_bool(&boolean)) return sink.boolean(place, boolean);
      break;
    case TypeKind::kInt64:
      if (reader.take_int(&integer)) return sink.integer(place, integer);
      break;
    case TypeKind::kDouble:
      if (reader.take_double(&real)) return sink.real(place, real);
      break;
    case TypeKind::kString:
      if (reader.take_text(&text)) return sink.text(place, text);
      break;
    default:
      break;
  }
  if (reader.take_nil()) return sink.null(place);
  sink.other(place, type, reader);
}

// The general way, from the first member on that is not where the schema has it: notes where each value stands, then
// gives them in order.
template <typename Sink>
void walk_rest(MemberFinder finder, const std::vector<SchemaField>& members, std::size_t done,
               std::uint32_t size, msgpack::Reader& reader, Sink& sink) {
  std::vector<msgpack::Reader> values(members.size() - done, msgpack::Reader({}));
  for (std::size_t i = done; i < size; ++i) {
    const std::size_t index = finder.find(reader.next().text);
    assert(index != MemberFinder::not_found && index >= done);
    if (index != MemberFinder::not_found && index >= done) values[index - done] = reader;
    [[maybe_unused]] const bool valid = reader.skip();
    assert(valid);
  }
  for (std::size_t i = 0; i < values.size(); ++i) {
    const std::size_t place = done + i;
    if (values[i].at_end()) {
      walk_missing(members[place], place, sink);
    } else {
      walk_value(members[place].type, place, values[i], sink);
    }
  }
}

// The `size` members that come next; the schema must have admitted them.
template <typename Sink>
void walk_members(const MemberFinder& finder, const std::vector<SchemaField>& members,
                  std::uint32_t size, msgpack::Reader& reader, Sink& sink) {
  std::size_t place = 0;
  for (; place < members.size() && place < size; ++place) {
    if (!reader.take_text_if(members[place].name)) break;
    walk_value(members[place].type, place, reader, sink);
  }
  if (place < members.size()) walk_rest(finder, members, place, size, reader, sink);
}

// A whole record.
template <typename Sink>
void walk_record(const Schema& schema, std::string_view record, Sink& sink) {
  msgpack::Reader reader(record);
  std::uint32_t size = 0;
  [[maybe_unused]] const bool is_map = reader.take_map(&size);
  assert(is_map);
  walk_members(MemberFinder(schema), schema.fields(), size, reader, sink);
  assert(reader.at_end());
}

}  // namespace persisting
