#include "schema/type_text.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include "persisting/msgpack_writer.h"
#include "persisting/record.h"

#include "base/record_check.h"

namespace persisting {
namespace {

struct NamedKind {
  std::string_view name;
  TypeKind kind;
};

// The first name of a kind is the one in messages.
constexpr std::array<NamedKind, 25> named_kinds = {{
    {"undecided", TypeKind::kUndecided},
    {"bool", TypeKind::kBool},
    {"int64", TypeKind::kInt64},
    {"int", TypeKind::kInt64},
    {"double", TypeKind::kDouble},
    {"float64", TypeKind::kDouble},
    {"float", TypeKind::kDouble},
    {"string", TypeKind::kString},
    {"str", TypeKind::kString},
    {"utf8", TypeKind::kString},
    {"large_string", TypeKind::kString},
    {"text", TypeKind::kString},
    {"bytes", TypeKind::kBytes},
    {"binary", TypeKind::kBytes},
    {"large_binary", TypeKind::kBytes},
    {"timestamp with zone", TypeKind::kTimestampUtc},
    {"timestamp[us, UTC]", TypeKind::kTimestampUtc},
    {"timestamp[us, tz=UTC]", TypeKind::kTimestampUtc},
    {"timestamp without zone", TypeKind::kTimestampNaive},
    {"timestamp[us]", TypeKind::kTimestampNaive},
    {"date", TypeKind::kDate},
    {"date32[day]", TypeKind::kDate},
    {"date32", TypeKind::kDate},
    {"uuid", TypeKind::kUuid},
    {"json", TypeKind::kJson},
}};

std::string describe_tensor(const FieldType& type) {
  const bool is_vector = !type.has_any_shape && type.shape.size() == 1;
  std::string text(is_vector ? "vector<" : "tensor<");
  text += name_of(type.number);
  if (!type.has_any_shape && type.shape.empty()) text += ", scalar";
  for (const std::uint32_t extent : type.shape) text += ", " + std::to_string(extent);
  return text + ">";
}

Error invalid(std::string message) {
  return make_error(ErrorCode::kInvalidArgument, std::move(message));
}

// Reads the grammar of the header front to back.
class TypeParser {
 public:
  explicit TypeParser(std::string_view text) : text_(text) {}

  Result<FieldType> parse() {
    PERSISTING_ASSIGN_OR_RETURN(FieldType type, parse_one(0));
    if (!rest().empty()) return unknown();
    return type;
  }

 private:
  std::string_view rest() {
    while (position_ < text_.size() && text_[position_] == ' ') ++position_;
    return text_.substr(position_);
  }
  bool take(std::string_view word) {
    if (!rest().starts_with(word)) return false;
    position_ += word.size();
    return true;
  }
  Error unknown() const {
    return invalid(
        "'" + std::string(text_) +
        "' is no type; use bool, int64, double, string, bytes, date, uuid, json, 'timestamp "
        "with zone', 'timestamp without zone', a number type such as float32, "
        "decimal<scale>, list<type>, map<string, type>, struct<name: type, …>, "
        "vector<number, length> or tensor<number, extent, …>");
  }

  Result<FieldType> parse_one(int depth) {
    if (depth > Record::max_nesting) return unknown();
    FieldType type;
    type.is_declared = true;
    if (take("list<")) {
      type.kind = TypeKind::kList;
      return parse_child(std::move(type), depth);
    }
    if (take("map<")) {
      type.kind = TypeKind::kMap;
      if ((!take("string") && !take("str")) || !take(",")) return unknown();
      return parse_child(std::move(type), depth + 1);  // Arrow nests a map's values twice
    }
    if (take("struct<")) return parse_struct(std::move(type), depth);
    if (depth + array_nesting <= Record::max_nesting && (take("vector<") || take("tensor<")))
      return parse_tensor(std::move(type));
    if (take("decimal<")) return parse_decimal(std::move(type));
    return parse_name(std::move(type));
  }

  Result<FieldType> parse_child(FieldType type, int depth) {
    PERSISTING_ASSIGN_OR_RETURN(FieldType child, parse_one(depth + 1));
    type.children.push_back({{}, std::move(child)});
    if (!take(">")) return unknown();
    return type;
  }

  Result<FieldType> parse_struct(FieldType type, int depth) {
    type.kind = TypeKind::kStruct;
    if (take(">")) return type;
    do {
      const std::size_t colon = rest().find(':');
      if (colon == std::string_view::npos) return unknown();
      const std::string name(rest().substr(0, colon));
      position_ += colon + 1;
      PERSISTING_RETURN_IF_ERROR(check_field_name(name, false));
      PERSISTING_ASSIGN_OR_RETURN(FieldType member, parse_one(depth + 1));
      if (std::ranges::any_of(type.children, [&](const auto& m) { return m.name == name; }))
        return invalid("'" + std::string(text_) + "' names '" + name + "' twice");
      type.children.push_back({name, std::move(member)});
    } while (take(","));
    if (!take(">")) return unknown();
    return type;
  }

  Result<FieldType> parse_tensor(FieldType type) {
    type.kind = TypeKind::kTensor;
    const std::size_t end = rest().find_first_of(",>");
    const auto number = number_type_named(rest().substr(0, end));
    if (end == std::string_view::npos || !number) return unknown();
    type.number = *number;
    position_ += end;
    if (take(", scalar")) {
      if (!take(">")) return unknown();
      return type;
    }
    type.has_any_shape = !rest().starts_with(",");
    while (take(",")) {
      const std::optional<std::uint32_t> extent = parse_integer();
      if (!extent || type.shape.size() == msgpack::max_dimensions) return unknown();
      type.shape.push_back(*extent);
    }
    if (!take(">")) return unknown();
    // As of arrays in records the zeros left out.
    std::uint64_t bytes = size_of(type.number);
    for (const std::uint32_t extent : type.shape) {
      bytes *= std::max(extent, 1U);
      if (bytes > INT32_MAX) return invalid("'" + std::string(text_) + "' is larger than 2 GiB");
    }
    return type;
  }

  Result<FieldType> parse_decimal(FieldType type) {
    type.kind = TypeKind::kDecimal;
    const std::optional<std::uint32_t> scale = parse_integer();
    if (!scale || *scale > msgpack::max_decimal_digits || !take(">")) return unknown();
    type.scale = static_cast<std::uint8_t>(*scale);
    type.whole_digits = static_cast<std::uint8_t>(msgpack::max_decimal_digits - *scale);
    return type;
  }

  std::optional<std::uint32_t> parse_integer() {
    const std::string_view digits = rest();
    std::uint32_t value = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    if (error != std::errc()) return std::nullopt;
    position_ += static_cast<std::size_t>(end - digits.data());
    return value;
  }

  // Of the names that the text may begin with the longest: "timestamp[us]", "int8".
  Result<FieldType> parse_name(FieldType type) {
    std::size_t length = 0;
    for (const auto& [name, kind] : named_kinds) {
      if (kind == TypeKind::kUndecided || name.size() <= length || !rest().starts_with(name))
        continue;
      type.kind = kind;
      length = name.size();
    }
    const auto number = number_type_named(rest().substr(0, rest().find_first_of(",> ")));
    if (number && name_of(*number).size() > length) {
      type.kind = TypeKind::kNumber;
      type.number = *number;
      length = name_of(*number).size();
    }
    if (length == 0) return unknown();
    position_ += length;
    return type;
  }

  const std::string_view text_;
  std::size_t position_ = 0;
};

}  // namespace

std::string describe(const FieldType& type) {
  switch (type.kind) {
    case TypeKind::kList:
      return "list<" + describe(type.children.front().type) + ">";
    case TypeKind::kMap:
      return "map<string, " + describe(type.children.front().type) + ">";
    case TypeKind::kNumber:
      return std::string(name_of(type.number));
    case TypeKind::kTensor:
      return describe_tensor(type);
    case TypeKind::kDecimal:
      return "decimal<" + std::to_string(type.scale) + ">";
    case TypeKind::kStruct: {
      std::string members;
      for (const SchemaField& member : type.children) {
        if (!members.empty()) members += ", ";
        members += member.name + ": " + describe(member.type);
      }
      return "struct<" + members + ">";
    }
    default:
      break;
  }
  const auto* named = std::ranges::find(named_kinds, type.kind, &NamedKind::kind);
  return std::string(named->name);
}

Result<FieldType> parse_type(std::string_view text) { return TypeParser(text).parse(); }

Result<FieldType> parse_declaration(const Value& declaration) {
  if (const auto* text = declaration.get_if<std::string>()) return parse_type(*text);
  FieldType type;
  type.is_declared = true;
  if (const List* list = declaration.get_if<List>()) {
    if (list->size() != 1) {
      return invalid("a list's type is declared by a list of one type, not of " +
                     std::to_string(list->size()));
    }
    type.kind = TypeKind::kList;
    PERSISTING_ASSIGN_OR_RETURN(FieldType element, parse_declaration(list->front()));
    type.children.push_back({{}, std::move(element)});
    return type;
  }
  const Struct* members = declaration.get_if<Struct>();
  if (members == nullptr) {
    return invalid(
        "a type is declared by its name, a list of one type, or a dict of names and types");
  }
  type.kind = TypeKind::kStruct;
  for (const auto& [name, member] : *members) {
    PERSISTING_RETURN_IF_ERROR(check_field_name(name, false));
    Result<FieldType> parsed = parse_declaration(member);
    if (!parsed) return with_context(std::move(parsed).error(), "member '" + name + "'");
    type.children.push_back({name, std::move(parsed).value()});
  }
  return type;
}

}  // namespace persisting
