#include "schema/schema.h"

#include <algorithm>
#include <cassert>
#include <unordered_set>
#include <utility>

#include "persisting/msgpack_reader.h"
#include "persisting/msgpack_writer.h"
#include "persisting/record.h"

namespace persisting {
namespace {

using msgpack::Item;
using msgpack::Kind;
using msgpack::Reader;

// Version 1 was a list of fields, each [name, kind, has_inexact_integers, children]. Version 2 is a map of fields,
// closed and history; a field is [name, kind, flags, parameters, default, children], a change
// [offset, kind, field, before, after].
constexpr std::uint32_t parts_of_field_v1 = 4;
constexpr std::uint32_t parts_of_field = 6;
constexpr std::uint32_t parts_of_change = 5;

constexpr std::int64_t flag_inexact = 1;
constexpr std::int64_t flag_declared = 2;
constexpr std::int64_t flag_anything = 4;
constexpr std::int64_t flag_any_shape = 8;

std::vector<std::int64_t> parameters_of(const FieldType& type) {
  switch (type.kind) {
    case TypeKind::kNumber:
      return {static_cast<std::int64_t>(type.number)};
    case TypeKind::kTensor: {
      std::vector<std::int64_t> parameters = {static_cast<std::int64_t>(type.number)};
      parameters.insert(parameters.end(), type.shape.begin(), type.shape.end());
      return parameters;
    }
    case TypeKind::kDecimal:
      return {type.scale, type.whole_digits};
    default:
      return {};
  }
}

void write_fields(std::string& out, const std::vector<SchemaField>& fields) {
  msgpack::write_array(out, static_cast<std::uint32_t>(fields.size()));
  for (const SchemaField& field : fields) {
    const FieldType& type = field.type;
    msgpack::write_array(out, parts_of_field);
    msgpack::write_string(out, field.name);
    msgpack::write_int(out, static_cast<std::int64_t>(type.kind));
    msgpack::write_int(out, (type.has_inexact_integers ? flag_inexact : 0) |
                                (type.is_declared ? flag_declared : 0) |
                                (type.takes_anything ? flag_anything : 0) |
                                (type.has_any_shape ? flag_any_shape : 0));
    const std::vector<std::int64_t> parameters = parameters_of(type);
    msgpack::write_array(out, static_cast<std::uint32_t>(parameters.size()));
    for (const std::int64_t parameter : parameters) msgpack::write_int(out, parameter);
    msgpack::write_bytes(out, field.default_value);
    write_fields(out, type.children);
  }
}

bool are_names_unique(const std::vector<SchemaField>& fields) {
  std::unordered_set<std::string_view> names;
  for (const SchemaField& field : fields) {
    if (!names.insert(field.name).second) return false;
  }
  return true;
}

// Whether a type of this kind may have these children and flags.
bool is_well_formed(const FieldType& type) {
  const bool may_be_inexact = type.kind == TypeKind::kInt64 || (type.kind == TypeKind::kNumber &&
                                                                type.number == NumberType::kUInt64);
  if (type.has_inexact_integers && !may_be_inexact) return false;
  if (type.takes_anything && type.kind != TypeKind::kString) return false;
  if (type.has_any_shape && (type.kind != TypeKind::kTensor || !type.shape.empty())) return false;
  switch (type.kind) {
    case TypeKind::kList:
    case TypeKind::kMap:
      return type.children.size() == 1 && type.children.front().name.empty();
    case TypeKind::kStruct:
      return are_names_unique(type.children);
    default:
      return type.children.empty();
  }
}

bool set_number(std::int64_t code, FieldType* type) {
  type->number = static_cast<NumberType>(code);
  return code >= first_number_type && code <= last_number_type;
}

bool set_parameters(const std::vector<std::int64_t>& parameters, FieldType* type) {
  switch (type->kind) {
    case TypeKind::kNumber:
      return parameters.size() == 1 && set_number(parameters[0], type) &&
             type->number != NumberType::kInt64 && type->number != NumberType::kFloat64 &&
             type->number != NumberType::kBool;
    case TypeKind::kTensor: {
      if (parameters.empty() || parameters.size() > 1 + msgpack::max_dimensions) return false;
      // As a tensor itself may be: the zeros left out, no product passes the largest record.
      std::uint64_t product = 1;
      for (std::size_t i = 1; i < parameters.size(); ++i) {
        if (!std::in_range<std::uint32_t>(parameters[i])) return false;
        if (parameters[i] > 0) product *= static_cast<std::uint64_t>(parameters[i]);
        if (product > INT32_MAX) return false;
        type->shape.push_back(static_cast<std::uint32_t>(parameters[i]));
      }
      return set_number(parameters[0], type);
    }
    case TypeKind::kDecimal:
      if (parameters.size() != 2 || parameters[0] < 0 || parameters[1] < 0 ||
          parameters[0] + parameters[1] > msgpack::max_decimal_digits) {
        return false;
      }
      type->scale = static_cast<std::uint8_t>(parameters[0]);
      type->whole_digits = static_cast<std::uint8_t>(parameters[1]);
      return true;
    default:
      return parameters.empty();
  }
}

// Reads what write_fields() wrote, or what version 1 did.
class SchemaReader {
 public:
  SchemaReader(Reader& reader, int version) : reader_(reader), version_(version) {}

  bool read_fields(int depth, std::vector<SchemaField>* fields) {
    // Depth 0 are the record's own fields; a scalar in the deepest list has an empty list of children.
    if (depth > Record::max_nesting + 1) return false;
    const Item head = reader_.next();
    if (head.kind != Kind::kArray) return false;
    for (std::uint32_t i = 0; i < head.size; ++i) {
      if (!read_field(depth, &fields->emplace_back())) return false;
    }
    return depth > 0 || are_names_unique(*fields);
  }

  bool read_history(std::vector<SchemaChange>* history) {
    const Item head = reader_.next();
    if (head.kind != Kind::kArray) return false;
    for (std::uint32_t i = 0; i < head.size; ++i) {
      const Item change = reader_.next();
      if (change.kind != Kind::kArray || change.size != parts_of_change) return false;
      SchemaChange& read = history->emplace_back();
      std::int64_t offset = 0;
      std::int64_t kind = 0;
      if (!read_integer(&offset) || !read_integer(&kind) || !read_text(&read.field) ||
          !read_text(&read.before) || !read_text(&read.after) ||
          kind < static_cast<std::int64_t>(SchemaChange::Kind::kAdded) ||
          kind > static_cast<std::int64_t>(SchemaChange::Kind::kDropped)) {
        return false;
      }
      read.offset = static_cast<std::uint64_t>(offset);
      read.kind = static_cast<SchemaChange::Kind>(kind);
    }
    return true;
  }

 private:
  bool read_field(int depth, SchemaField* field) {
    const Item head = reader_.next();
    if (head.kind != Kind::kArray ||
        head.size != (version_ == 1 ? parts_of_field_v1 : parts_of_field)) {
      return false;
    }
    std::int64_t kind = 0;
    if (!read_text(&field->name) || !read_integer(&kind)) return false;
    const TypeKind last = version_ == 1 ? TypeKind::kStruct : TypeKind::kJson;
    if (kind < 0 || kind > static_cast<std::int64_t>(last)) return false;
    field->type.kind = static_cast<TypeKind>(kind);
    return (version_ == 1 ? read_flag_v1(&field->type) : read_details(field)) &&
           read_fields(depth + 1, &field->type.children) && is_well_formed(field->type);
  }

  bool read_flag_v1(FieldType* type) {
    const Item inexact = reader_.next();
    type->has_inexact_integers = inexact.boolean;
    return inexact.kind == Kind::kBool;
  }

  bool read_details(SchemaField* field) {
    std::int64_t flags = 0;
    if (!read_integer(&flags) || flags < 0 || flags >= 2 * flag_any_shape) return false;
    field->type.has_inexact_integers = (flags & flag_inexact) != 0;
    field->type.is_declared = (flags & flag_declared) != 0;
    field->type.takes_anything = (flags & flag_anything) != 0;
    field->type.has_any_shape = (flags & flag_any_shape) != 0;
    const Item head = reader_.next();
    if (head.kind != Kind::kArray) return false;
    std::vector<std::int64_t> parameters(head.size);
    for (std::int64_t& parameter : parameters) {
      if (!read_integer(&parameter)) return false;
    }
    const Item default_value = reader_.next();
    field->default_value = default_value.text;
    return default_value.kind == Kind::kBytes && set_parameters(parameters, &field->type) &&
           is_one_value(field->default_value);
  }

  static bool is_one_value(std::string_view encoded) {
    Reader reader(encoded);
    return encoded.empty() || (reader.skip() && reader.at_end());
  }

  bool read_integer(std::int64_t* value) {
    const Item item = reader_.next();
    *value = item.integer;
    return item.kind == Kind::kInt;
  }

  bool read_text(std::string* text) {
    const Item item = reader_.next();
    *text = item.text;
    return item.kind == Kind::kString;
  }

  Reader& reader_;
  const int version_;
};

}  // namespace

std::string_view name_of(SchemaChange::Kind kind) {
  switch (kind) {
    case SchemaChange::Kind::kAdded:
      return "added";
    case SchemaChange::Kind::kDecided:
      return "decided";
    case SchemaChange::Kind::kWidened:
      return "widened";
    case SchemaChange::Kind::kText:
      return "text";
    case SchemaChange::Kind::kDeclared:
      return "declared";
    case SchemaChange::Kind::kDefault:
      return "default";
    case SchemaChange::Kind::kRenamed:
      return "renamed";
    case SchemaChange::Kind::kDropped:
      return "dropped";
  }
  return "";
}

Schema::Schema(std::vector<SchemaField> fields, Extras extras)
    : fields_(std::move(fields)), extras_(std::move(extras)) {
  index_.reserve(fields_.size());
  for (std::size_t i = 0; i < fields_.size(); ++i) {
    [[maybe_unused]] const bool is_new = index_.emplace(fields_[i].name, i).second;
    assert(is_new);
  }
}

std::optional<std::size_t> Schema::find(std::string_view name) const {
  const auto found = index_.find(name);
  if (found == index_.end()) return std::nullopt;
  return found->second;
}

std::string Schema::serialize() const {
  std::string out;
  msgpack::write_map(out, 3);
  msgpack::write_string(out, "fields");
  write_fields(out, fields_);
  msgpack::write_string(out, "closed");
  msgpack::write_bool(out, is_closed());
  msgpack::write_string(out, "history");
  msgpack::write_array(out, static_cast<std::uint32_t>(history().size()));
  for (const SchemaChange& change : history()) {
    msgpack::write_array(out, parts_of_change);
    msgpack::write_int(out, static_cast<std::int64_t>(change.offset));
    msgpack::write_int(out, static_cast<std::int64_t>(change.kind));
    msgpack::write_string(out, change.field);
    msgpack::write_string(out, change.before);
    msgpack::write_string(out, change.after);
  }
  return out;
}

Result<Schema> Schema::parse(std::string_view bytes) {
  Reader reader(bytes);
  std::vector<SchemaField> fields;
  std::vector<SchemaChange> history;
  Item closed;
  const auto key = [&reader](std::string_view name) {
    const Item item = reader.next();
    return item.kind == Kind::kString && item.text == name;
  };
  bool is_valid = false;
  if (Reader(bytes).next().kind == Kind::kArray) {
    is_valid = SchemaReader(reader, 1).read_fields(0, &fields);
  } else {
    SchemaReader parts(reader, 2);
    const Item head = reader.next();
    is_valid = head.kind == Kind::kMap && head.size == 3 && key("fields") &&
               parts.read_fields(0, &fields) && key("closed") &&
               (closed = reader.next()).kind == Kind::kBool && key("history") &&
               parts.read_history(&history);
  }
  if (!is_valid || !reader.at_end()) {
    return make_error(ErrorCode::kCorruption, "the stored schema is damaged at its byte " +
                                                  std::to_string(reader.position()));
  }
  return Schema(
      std::move(fields),
      {closed.boolean, std::make_shared<const std::vector<SchemaChange>>(std::move(history))});
}

}  // namespace persisting
