#include "schema/normalizer.h"

#include <cassert>
#include <optional>
#include <string>
#include <vector>

#include "persisting/msgpack_reader.h"
#include "persisting/msgpack_writer.h"

#include "base/decimal.h"
#include "schema/json_text.h"
#include "schema/member_finder.h"
#include "schema/member_walk.h"
#include "schema/number_convert.h"
#include "schema/value_fit.h"

namespace persisting {
namespace {

using msgpack::Item;
using msgpack::Kind;
using msgpack::Reader;

// Copies the next item of `reader` as it is.
void copy_item(Reader& reader, std::string& out) {
  const std::string_view from = reader.remaining();
  [[maybe_unused]] const bool valid = reader.skip();
  assert(valid);
  out.append(from.substr(0, from.size() - reader.remaining().size()));
}

// Writes members as MessagePack, each behind its name.
class MemberWriter {
 public:
  MemberWriter(const std::vector<SchemaField>& members, std::string& out)
      : members_(members), out_(out) {}

  void null(std::size_t place) {
    write_name(place);
    msgpack::write_nil(out_);
  }
  void boolean(std::size_t place, bool value) {
    write_name(place);
    msgpack::write_bool(out_, value);
  }
  void integer(std::size_t place, std::int64_t value) {
    write_name(place);
    msgpack::write_int(out_, value);
  }
  void real(std::size_t place, double value) {
    write_name(place);
    msgpack::write_double(out_, value);
  }
  void text(std::size_t place, std::string_view value) {
    write_name(place);
    msgpack::write_string(out_, value);
  }
  void encoded(std::size_t place, const FieldType&, std::string_view value) {
    write_name(place);
    out_ += value;
  }
  void other(std::size_t place, const FieldType& type, Reader& reader) {
    write_name(place);
    normalize_value(type, reader, out_);
  }

 private:
  void write_name(std::size_t place) { msgpack::write_string(out_, members_[place].name); }

  const std::vector<SchemaField>& members_;
  std::string& out_;
};

// Hands members on to a reader, who knows their names.
class MemberHandover {
 public:
  MemberHandover(RecordSink& sink, std::string& scratch) : sink_(sink), scratch_(scratch) {}

  void null(std::size_t) { sink_.null(); }
  void boolean(std::size_t, bool value) { sink_.boolean(value); }
  void integer(std::size_t, std::int64_t value) { sink_.integer(value); }
  void real(std::size_t, double value) { sink_.real(value); }
  void text(std::size_t, std::string_view value) { sink_.text(value); }
  void encoded(std::size_t, const FieldType&, std::string_view value) { sink_.encoded(value); }
  void other(std::size_t, const FieldType& type, Reader& reader) {
    const std::string_view from = reader.remaining();
    if (reads_as_put(type) && reader.skip())
      return sink_.encoded(from.substr(0, from.size() - reader.remaining().size()));
    scratch_.clear();
    normalize_value(type, reader, scratch_);
    sink_.encoded(scratch_);
  }

 private:
  RecordSink& sink_;
  std::string& scratch_;
};

AnyNumber number_of(const Item& item) {
  AnyNumber number;
  if (item.kind == Kind::kInt) {
    number.form = AnyNumber::Form::kSigned;
    number.signed_value = item.integer;
  } else if (item.kind == Kind::kDouble) {
    number.real = item.number;
  } else {
    number = load_number(static_cast<NumberType>(item.text[0]), item.text.data() + 1);
  }
  return number;
}

void write_double(const Item& item, std::string& out) {
  if (item.kind == Kind::kDouble) return msgpack::write_double(out, item.number);
  double value = 0;
  [[maybe_unused]] const bool stored =
      store_number(number_of(item), NumberType::kFloat64, true, reinterpret_cast<char*>(&value));
  assert(stored);
  msgpack::write_double(out, value);
}

void write_int64(const Item& item, std::string& out) {
  if (item.kind == Kind::kInt) return msgpack::write_int(out, item.integer);
  std::int64_t value = 0;
  [[maybe_unused]] const bool stored =
      store_number(number_of(item), NumberType::kInt64, false, reinterpret_cast<char*>(&value));
  assert(stored);
  msgpack::write_int(out, value);
}

void write_number(NumberType type, const Item& item, std::string& out) {
  Number value{type, {}};
  if (item.kind == Kind::kNumber && static_cast<NumberType>(item.text[0]) == type) {
    value = msgpack::number(item);  // every bit of a NaN
  } else {
    [[maybe_unused]] const bool stored =
        store_number(number_of(item), type, true, value.bytes.data());
    assert(stored);
  }
  msgpack::write_number(out, value);
}

void append_element(NumberType type, const Item& item, std::string& out) {
  char bytes[16] = {};
  if (item.kind == Kind::kBool) {
    bytes[0] = item.boolean ? 1 : 0;
  } else {
    [[maybe_unused]] const bool stored = store_number(number_of(item), type, true, bytes);
    assert(stored);
  }
  out.append(bytes, size_of(type));
}

void append_elements(NumberType type, std::uint32_t size, Reader& reader, std::string& out) {
  for (std::uint32_t i = 0; i < size; ++i) {
    const Item item = reader.next();
    if (item.kind == Kind::kArray) {
      append_elements(type, item.size, reader, out);
    } else {
      append_element(type, item, out);
    }
  }
}

void write_tensor(const FieldType& type, const Item& item, std::string_view encoded, Reader& reader,
                  std::string& out) {
  if (item.kind == Kind::kArray) {
    msgpack::write_tensor_head(out, type.number, extents_of_list(item.size, reader));
    return append_elements(type.number, item.size, reader, out);
  }
  const msgpack::TensorView tensor = msgpack::tensor(item);
  if (tensor.type() == type.number) {
    out.append(encoded.substr(0, encoded.size() - reader.remaining().size()));
    return;
  }
  msgpack::write_tensor_head(out, type.number, tensor.shape());
  const std::size_t from = size_of(tensor.type());
  const std::size_t to = size_of(type.number);
  const std::string_view data = tensor.data();
  for (std::size_t i = 0; i < data.size(); i += from) {
    char bytes[16];
    [[maybe_unused]] const bool stored =
        store_number(load_number(tensor.type(), data.data() + i), type.number, true, bytes);
    assert(stored);
    out.append(bytes, to);
  }
}

void write_decimal(const FieldType& type, const Item& item, std::string& out) {
  const Decimal value =
      item.kind == Kind::kDecimal ? msgpack::decimal(item) : integer_as_decimal(item);
  const std::optional<Decimal> scaled = rescale(value, type.scale);
  assert(scaled);
  msgpack::write_decimal(out, scaled.value_or(value));
}

// Text of a field that takes anything.
void write_text(const Item& item, std::string_view encoded, Reader& reader, std::string& out) {
  if (item.kind == Kind::kString) return msgpack::write_string(out, item.text);
  std::string text;
  reader = Reader(encoded);
  append_canonical_text(reader, text);
  msgpack::write_string(out, text);
}

void write_members(const std::vector<SchemaField>& members, std::uint32_t size, Reader& reader,
                   std::string& out) {
  msgpack::write_map(out, static_cast<std::uint32_t>(members.size()));
  MemberWriter writer(members, out);
  walk_members(MemberFinder(members), members, size, reader, writer);
}

void write_map(const FieldType& value, std::uint32_t size, Reader& reader, std::string& out) {
  msgpack::write_map(out, size);
  for (std::uint32_t i = 0; i < size; ++i) {
    msgpack::write_string(out, reader.next().text);
    normalize_value(value, reader, out);
  }
}

}  // namespace

bool reads_as_put(const FieldType& type) {
  switch (type.kind) {
    case TypeKind::kList:
    case TypeKind::kMap:
      return reads_as_put(type.children.front().type);
    case TypeKind::kString:
      return !type.takes_anything;
    case TypeKind::kInt64:  // numpy's integers
    case TypeKind::kDouble:
    case TypeKind::kNumber:
    case TypeKind::kTensor:
    case TypeKind::kDecimal:
    case TypeKind::kStruct:
      return false;
    default:
      return true;
  }
}

void normalize_value(const FieldType& type, Reader& reader, std::string& out) {
  if (reads_as_put(type)) return copy_item(reader, out);
  const std::string_view encoded = reader.remaining();
  const Item item = reader.next();
  if (item.kind == Kind::kNil) return msgpack::write_nil(out);
  switch (type.kind) {
    case TypeKind::kInt64:
      return write_int64(item, out);
    case TypeKind::kDouble:
      return write_double(item, out);
    case TypeKind::kNumber:
      return write_number(type.number, item, out);
    case TypeKind::kTensor:
      return write_tensor(type, item, encoded, reader, out);
    case TypeKind::kDecimal:
      return write_decimal(type, item, out);
    case TypeKind::kString:
      return write_text(item, encoded, reader, out);
    case TypeKind::kList:
      msgpack::write_array(out, item.size);
      for (std::uint32_t i = 0; i < item.size; ++i)
        normalize_value(type.children.front().type, reader, out);
      return;
    case TypeKind::kMap:
      return write_map(type.children.front().type, item.size, reader, out);
    default:
      return write_members(type.children, item.size, reader, out);
  }
}

void normalize(const Schema& schema, std::string_view record, RecordBatch* out) {
  msgpack::write_map(out->bytes(), static_cast<std::uint32_t>(schema.fields().size()));
  MemberWriter writer(schema.fields(), out->bytes());
  walk_record(schema, record, writer);
  out->end_record();
}

void normalize(const Schema& schema, std::string_view record, RecordSink& sink,
               std::string& scratch) {
  MemberHandover handover(sink, scratch);
  walk_record(schema, record, handover);
}

void normalize_defaults(std::vector<SchemaField>* fields) {
  for (SchemaField& field : *fields) {
    if (field.default_value.empty()) continue;
    std::string converted;
    msgpack::Reader reader(field.default_value);
    normalize_value(field.type, reader, converted);
    field.default_value = std::move(converted);
  }
}

}  // namespace persisting
