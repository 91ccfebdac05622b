// Fuzz target: the MessagePack reader, the check of records and what is done with those that pass.
// Properties: the reader stays inside its input; the check passes what the reader decodes and the
//             rules of docs/formats.md allow, and nothing else; a record that passes encodes again
//             to the same values; one that a schema admits has a normalized form that is a record
//             of that schema, and stays as it is.
#include <algorithm>
#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "persisting/msgpack_reader.h"
#include "persisting/msgpack_writer.h"
#include "persisting/record.h"

#include "base/record_check.h"
#include "fuzz/input.h"
#include "schema/admission.h"
#include "schema/normalizer.h"
#include "schema/schema.h"

namespace persisting::fuzz {
namespace {

// Exactly as large as what it holds: the address sanitizer then sees a read of the byte behind it.
using ExactBytes = std::vector<char>;

// UTF-8 once more, by code points, to hold the library's against.
bool decodes_as_utf8(std::string_view text) {
  for (std::size_t i = 0; i < text.size();) {
    const auto lead = static_cast<unsigned char>(text[i]);
    const std::size_t more = lead < 0x80           ? 0
                             : (lead >> 5) == 0x06 ? 1
                             : (lead >> 4) == 0x0e ? 2
                             : (lead >> 3) == 0x1e ? 3
                                                   : text.size();
    if (more >= text.size() - i) return false;
    std::uint32_t code = more == 0 ? lead : lead & (0x3fU >> more);
    for (std::size_t k = 1; k <= more; ++k) {
      const auto byte = static_cast<unsigned char>(text[i + k]);
      if ((byte >> 6) != 2) return false;
      code = (code << 6) | (byte & 0x3fU);
    }
    constexpr std::uint32_t least[] = {0, 0x80, 0x800, 0x10000};
    if (code < least[more] || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) return false;
    i += 1 + more;
  }
  return true;
}

bool is_storable(const Value& value);

bool are_storable(const Struct& members, bool top_level) {
  std::set<std::string_view> names;
  return std::ranges::all_of(members, [&](const auto& member) {
    return decodes_as_utf8(member.first) && check_field_name(member.first, top_level).ok() &&
           names.insert(member.first).second && is_storable(member.second);
  });
}

// The rules for records, on a value that was decoded.
bool is_storable(const Value& value) {
  if (const auto* text = value.get_if<std::string>()) return decodes_as_utf8(*text);
  if (const auto* list = value.get_if<List>()) return std::ranges::all_of(*list, is_storable);
  if (const auto* members = value.get_if<Struct>()) return are_storable(*members, false);
  return true;
}

void check_reader(std::string_view input) {
  msgpack::Reader reader(input);
  while (true) {
    const std::size_t before = reader.position();
    const msgpack::Item item = reader.next();
    if (item.kind == msgpack::Kind::kInvalid) {
      require(reader.position() == before, "the reader stays before what is invalid");
      return;
    }
    require(reader.position() > before && reader.position() <= input.size(),
            "the reader goes on, and not beyond the end");
    const bool has_text = item.kind == msgpack::Kind::kString || item.kind == msgpack::Kind::kBytes;
    if (has_text) {
      require(item.text.data() >= input.data() + before &&
                  item.text.data() + item.text.size() == input.data() + reader.position(),
              "text is a part of the input");
    }
  }
}

// What skip() passes over is what read_value() reads, but for keys that are no text.
void check_skip(std::string_view input) {
  msgpack::Reader skipping(input);
  msgpack::Reader reading(input);
  Value value;
  const bool skipped = skipping.skip();
  const bool read = msgpack::read_value(reading, &value);
  require(skipped || skipping.position() == 0, "a skip that fails moves nothing");
  require(!read || (skipped && skipping.position() == reading.position()),
          "what can be read can be skipped");
}

// Values are compared by their encoding: a NaN differs from itself.
std::string encoded(const Value& value) {
  std::string bytes;
  msgpack::write_value(bytes, value);
  return bytes;
}

void check_accepted(std::string_view bytes, const Struct& fields) {
  const Result<Record> record = Record::from_encoded(std::string(bytes));
  require(record.ok() && record->encoded() == bytes, "what passes the check is a record");
  require(encoded(record->fields()) == encoded(fields), "a record has the fields it was read with");
  for (const auto& [name, value] : fields) {
    const Result<Value> found = record->get(name);
    require(found.ok() && encoded(*found) == encoded(value), "each field is found by its name");
  }
  const Result<Record> again = Record::make(fields);
  require(again.ok(), "a record's fields make a record");
  require(again->encoded() == encoded(fields) && encoded(again->fields()) == again->encoded(),
          "fields have one encoding");
}

void check_one(std::string_view bytes) {
  msgpack::Reader reader(bytes);
  Value value;
  const bool whole = msgpack::read_value(reader, &value) && reader.at_end();
  const Struct* fields = whole ? value.get_if<Struct>() : nullptr;
  const Status checked = check_record(bytes);
  require(checked.ok() == (fields != nullptr && are_storable(*fields, true)),
          "the check and the reader agree");
  if (checked) {
    check_accepted(bytes, *fields);
  } else {
    require(checked.error().code == ErrorCode::kInvalidArgument, "the check blames its argument");
  }
}

std::string normalized(const Schema& schema, std::string_view record) {
  RecordBatch out;
  normalize(schema, record, &out);
  require(out.size() == 1, "a record has one normalized form");
  return std::string(out[0]);
}

Result<SchemaPtr> admit_one(const SchemaPtr& schema, std::string_view record) {
  RecordBatch batch;
  batch.add_encoded(record);
  return admit(schema, batch, 0);
}

void check_schema(const SchemaPtr& schema, const RecordBatch& admitted) {
  const Result<Schema> stored = Schema::parse(schema->serialize());
  require(stored.ok() && *stored == *schema, "a schema survives being stored");
  const Result<Schema> merged = merge(*schema, *schema);
  require(merged.ok() && *merged == *schema, "a schema merged with itself stays as it is");
  for (std::size_t i = 0; i < admitted.size(); ++i) {
    const std::string form = normalized(*schema, admitted[i]);
    require(check_record(form).ok(), "a normalized record is a record");
    const Result<SchemaPtr> same = admit_one(schema, form);
    require(same.ok() && *same == schema, "a normalized record fits as it is");
    require(normalized(*schema, form) == form, "a normalized record is normalized");
  }
}

void check_batch(const std::vector<std::string_view>& records) {
  SchemaPtr schema = std::make_shared<const Schema>();
  RecordBatch admitted;
  for (const std::string_view record : records) {
    const Result<SchemaPtr> grown = admit_one(schema, record);
    if (!check_record(record)) {
      require(!grown && grown.error().code == ErrorCode::kInvalidArgument,
              "no schema admits what is no record");
    } else if (!grown) {
      require(grown.error().code == ErrorCode::kSchema, "a record only conflicts with the schema");
    } else {
      schema = *grown;
      admitted.add_encoded(record);
    }
  }
  check_schema(schema, admitted);
}

// The input's items, up to a few; behind the last whole one the rest.
std::vector<std::string_view> split(std::string_view input) {
  constexpr std::size_t most = 8;  // more of them make no new conflicts, only a slow fuzzer
  std::vector<std::string_view> records;
  msgpack::Reader reader(input);
  while (!reader.at_end()) {
    const std::string_view from = reader.remaining();
    const bool whole = records.size() + 1 < most && reader.skip();
    records.push_back(whole ? from.substr(0, from.size() - reader.remaining().size()) : from);
    if (!whole) break;
  }
  return records;
}

}  // namespace
}  // namespace persisting::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace persisting::fuzz;
  const ExactBytes exact(data, data + size);
  const std::string_view input(exact.data(), exact.size());
  check_reader(input);
  check_skip(input);
  check_one(input);
  const std::vector<std::string_view> records = split(input);
  for (const std::string_view record : records) check_one(record);
  check_batch(records);
  return 0;
}
