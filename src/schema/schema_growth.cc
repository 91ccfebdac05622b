#include "schema/schema_growth.h"

#include <algorithm>
#include <cassert>
#include <optional>
#include <string>
#include <utility>

#include "persisting/msgpack_reader.h"
#include "persisting/msgpack_writer.h"
#include "persisting/record.h"

#include "base/decimal.h"
#include "schema/json_text.h"
#include "schema/number_convert.h"
#include "schema/type_text.h"
#include "schema/value_fit.h"

namespace persisting {
namespace {

using msgpack::Item;
using msgpack::Kind;
using msgpack::Reader;

// Where a value stands, as links through the callers' frames: written out only for a message.
struct Path {
  const Path* parent = nullptr;
  std::string_view name;
  bool is_element = false;  // of the list or map `parent`

  std::string text() const {
    if (parent == nullptr) return std::string(name);
    return parent->text().append(is_element ? "[]" : ".").append(name);
  }
};

FieldType shallow_type_of(Decimal value) {
  FieldType type;
  type.kind = TypeKind::kDecimal;
  type.scale = value.scale;
  type.whole_digits =
      static_cast<std::uint8_t>(std::max(decimal_digits(value.coefficient) - value.scale, 0));
  return type;
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
    case Kind::kInt: {
      AnyNumber number;
      number.form = AnyNumber::Form::kSigned;
      number.signed_value = item.integer;
      type.kind = TypeKind::kInt64;
      type.has_inexact_integers = number.is_inexact();
      break;
    }
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
    case Kind::kNumber: {
      const auto number = static_cast<NumberType>(item.text[0]);
      set_number_type(number, &type);
      type.has_inexact_integers =
          is_integer(number) && load_number(number, item.text.data() + 1).is_inexact();
      break;
    }
    case Kind::kTensor:
      type.kind = TypeKind::kTensor;
      type.number = msgpack::tensor(item).type();
      type.shape = msgpack::tensor(item).shape();
      break;
    case Kind::kDecimal:
      return shallow_type_of(msgpack::decimal(item));
    case Kind::kUuid:
      type.kind = TypeKind::kUuid;
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

std::string inexact_note(const FieldType& type) {
  return type.has_inexact_integers ? " beyond 2^53, which no double represents exactly" : "";
}

std::string kind_name(const FieldType& type) {
  if (type.kind == TypeKind::kList) return "a list";
  if (type.kind == TypeKind::kMap) return "a map";
  if (type.kind == TypeKind::kStruct) return "a struct";
  return describe(type) + inexact_note(type);
}

// Widens `type` to hold the values of both where that loses nothing. False where nothing does.
bool widen_number(FieldType* type, const FieldType& other) {
  const std::optional<NumberType> left = number_type_of(*type);
  const std::optional<NumberType> right = number_type_of(other);
  if (!left || !right) return false;
  std::optional<NumberType> wide = smallest_holding(*left, *right);
  // A double holds the integers of 64 bits that happen to be small enough.
  const bool inexact = type->has_inexact_integers || other.has_inexact_integers;
  if (!wide && !inexact && is_integer(*left) != is_integer(*right)) {
    wide = is_complex(*left) || is_complex(*right) ? NumberType::kComplex128 : NumberType::kFloat64;
  }
  if (!wide) return false;
  type->has_inexact_integers = inexact;
  set_number_type(*wide, type);
  return true;
}

bool widen_decimal(FieldType* type, const FieldType& other) {
  const std::uint8_t scale = std::max(type->scale, other.scale);
  const std::uint8_t whole_digits = std::max(type->whole_digits, other.whole_digits);
  if (scale + whole_digits > msgpack::max_decimal_digits) return false;
  type->scale = scale;
  type->whole_digits = whole_digits;
  return true;
}

bool widen_tensor(FieldType* type, const FieldType& other) {
  if (type->has_any_shape != other.has_any_shape || type->shape != other.shape) return false;
  const std::optional<NumberType> wide = smallest_holding(type->number, other.number);
  if (wide) type->number = *wide;
  return wide.has_value();
}

bool is_integer_type(const FieldType& type) {
  const std::optional<NumberType> number = number_type_of(type);
  return number && is_integer(*number);
}

// A decimal that holds every value of an integer field.
FieldType as_decimal(const FieldType& integer) {
  static constexpr std::uint8_t exact_digits = 16;  // of 2^53
  static constexpr std::uint8_t most_digits = 20;   // of 2^64
  FieldType type;
  type.kind = TypeKind::kDecimal;
  type.whole_digits = integer.has_inexact_integers ? most_digits : exact_digits;
  return type;
}

// A declared type holds what converts to it without loss, whatever the values.
bool declared_holds(FieldType* type, const FieldType& other) {
  const std::optional<NumberType> held = number_type_of(*type);
  const std::optional<NumberType> given = number_type_of(other);
  if (held && given) {
    const bool is_exact =
        holds(*held, *given) ||
        (*held == NumberType::kFloat64 && is_integer(*given) && !other.has_inexact_integers);
    if (is_exact && is_integer(*held)) type->has_inexact_integers |= other.has_inexact_integers;
    return is_exact;
  }
  if (type->kind != other.kind) return false;
  if (type->kind == TypeKind::kDecimal)
    return other.scale <= type->scale && other.whole_digits <= type->whole_digits;
  if (type->kind != TypeKind::kTensor) return true;
  return (type->has_any_shape || (!other.has_any_shape && type->shape == other.shape)) &&
         holds(type->number, other.number);
}

// Makes `type` hold values of `other` too, elements and members left out. False: nothing does.
bool widen(FieldType* type, const FieldType& other) {
  if (other.kind == TypeKind::kUndecided || type->takes_anything) return true;
  if (type->kind == TypeKind::kUndecided) {
    *type = other;
    type->children.clear();  // the caller's part
    if (other.kind == TypeKind::kList || other.kind == TypeKind::kMap)
      type->children.emplace_back();
    return true;
  }
  if (type->is_declared) return declared_holds(type, other);
  if (is_integer_type(*type) && other.kind == TypeKind::kDecimal) {
    FieldType wide = as_decimal(*type);
    if (!widen_decimal(&wide, other)) return false;
    *type = std::move(wide);
    return true;
  }
  if (number_type_of(*type)) return widen_number(type, other);
  if (type->kind == TypeKind::kDecimal && is_integer_type(other))
    return widen_decimal(type, as_decimal(other));
  if (type->kind != other.kind) return false;
  if (type->kind == TypeKind::kDecimal) return widen_decimal(type, other);
  if (type->kind == TypeKind::kTensor) return widen_tensor(type, other);
  type->takes_anything = other.takes_anything;
  return true;
}

// Grows one schema; the rules of docs/schema-evolution.md stand here and in value_fit.cc.
class Grower {
 public:
  explicit Grower(const GrowthRules& rules) : rules_(rules) {}

  Status by_members(std::vector<SchemaField>* members, std::uint32_t size, Reader& reader,
                    const Path* parent, bool is_closed) {
    for (std::uint32_t i = 0; i < size; ++i) {
      const std::string_view name = reader.next().text;
      const Path path{parent, name};
      FieldType* known = find(members, name, i);
      if (known == nullptr) {
        PERSISTING_ASSIGN_OR_RETURN(known, add(members, name, path, is_closed));
      }
      const Reader begin = reader;
      Status grown = by_value(known, reader, path);
      if (!grown && !turn_into_text(known, parent)) return grown;
      if (!grown) {
        reader = begin;
        reader.skip();
      }
    }
    return ok_status();
  }

  Status by_fields(std::vector<SchemaField>* members, const std::vector<SchemaField>& others,
                   const Path* parent, bool are_elements, bool is_closed) {
    for (std::size_t i = 0; i < others.size(); ++i) {
      const Path path{parent, others[i].name, are_elements};
      FieldType* known = find(members, others[i].name, i);
      if (known == nullptr) {
        PERSISTING_ASSIGN_OR_RETURN(known, add(members, others[i].name, path, is_closed));
      }
      Status grown = by_type(known, others[i].type, path);
      if (!grown && !turn_into_text(known, parent)) return grown;
    }
    return ok_status();
  }

 private:
  // `guess` is where the member is likely to be.
  static FieldType* find(std::vector<SchemaField>* members, std::string_view name,
                         std::size_t guess) {
    if (guess < members->size() && (*members)[guess].name == name) return &(*members)[guess].type;
    const auto found = std::ranges::find(*members, name, &SchemaField::name);
    return found == members->end() ? nullptr : &found->type;
  }

  Result<FieldType*> add(std::vector<SchemaField>* members, std::string_view name, const Path& path,
                         bool is_closed) const {
    if (is_closed && !rules_.stringify) {
      return make_error(ErrorCode::kSchema,
                        "field '" + path.text() +
                            "' is not in the declared schema; leave it out, or open the bucket "
                            "with a schema that has it");
    }
    FieldType* type = &members->emplace_back(SchemaField{std::string(name), {}}).type;
    if (is_closed) become_text(type);
    return type;
  }

  static void become_text(FieldType* type) {
    *type = FieldType();
    type->kind = TypeKind::kString;
    type->takes_anything = true;
  }

  // Whether the field of a conflict becomes text. Only a record's own, as a whole, even where the conflict is inside it: were
  // an element to become text first and then the list, then [1] would read as ["1"] where it was flushed between.
  bool turn_into_text(FieldType* field, const Path* parent) const {
    if (!rules_.stringify || parent != nullptr || has_declared_part(*field)) return false;
    become_text(field);
    return true;
  }

  // What was declared may have changed its values (see value_fit.h), so that they have no text of their own.
  static bool has_declared_part(const FieldType& type) {
    return type.is_declared || std::ranges::any_of(type.children, [](const SchemaField& child) {
             return has_declared_part(child.type);
           });
  }

  // Nothing holds both.
  static Status conflict(const FieldType& type, const FieldType& given, const Path& path) {
    return make_error(ErrorCode::kSchema, "field '" + path.text() + "' is " + kind_name(given) +
                                              ", but the bucket holds " + describe(type) +
                                              " there" + inexact_note(type) +
                                              "; convert the value, or put it under another name");
  }

  Status by_value(FieldType* type, Reader& reader, const Path& path) {
    const Reader begin = reader;
    const Item item = reader.next();
    assert(item.kind != Kind::kInvalid);
    if (item.kind == Kind::kNil) return ok_status();
    if (type->kind == TypeKind::kJson) return by_json(type, begin, reader, path);
    if (item.kind == Kind::kArray && type->kind == TypeKind::kTensor && type->is_declared)
      return by_listed_tensor(type, item, begin, reader, path);
    const bool is_container = item.kind == Kind::kArray || item.kind == Kind::kMap;
    if (!is_container && (scalar_fits(*type, item) || admit_inexact(type, item)))
      return ok_status();
    FieldType given = shallow_type(item);
    if (item.kind == Kind::kMap && type->kind == TypeKind::kMap) given.kind = TypeKind::kMap;
    if (type->kind == TypeKind::kDecimal && is_integer_type(given))
      given = shallow_type_of(integer_as_decimal(item));
    // A declared type takes no other scalars than those that fit as they are.
    if ((!is_container && type->is_declared) || !widen(type, given)) {
      return conflict(*type, given, path);
    }
    if (type->takes_anything) {
      reader = begin;
      reader.skip();
      return ok_status();
    }
    if (item.kind == Kind::kMap) return by_map(type, item.size, reader, path);
    if (item.kind != Kind::kArray) return ok_status();
    const Path element{&path, {}, true};
    for (std::uint32_t i = 0; i < item.size; ++i) {
      PERSISTING_RETURN_IF_ERROR(by_value(&type->children.front().type, reader, element));
    }
    return ok_status();
  }

  // Whether it is the first value beyond 2^53 that an integer field takes.
  static bool admit_inexact(FieldType* type, const Item& item) {
    const std::optional<NumberType> held = number_type_of(*type);
    if (!held || !is_integer(*held) || type->has_inexact_integers) return false;
    type->has_inexact_integers = true;
    if (scalar_fits(*type, item)) return true;
    type->has_inexact_integers = false;
    return false;
  }

  Status by_map(FieldType* type, std::uint32_t size, Reader& reader, const Path& path) {
    // The members of a declared struct are those that were declared.
    if (type->kind == TypeKind::kStruct)
      return by_members(&type->children, size, reader, &path, type->is_declared);
    const Path value{&path, {}, true};
    for (std::uint32_t i = 0; i < size; ++i) {
      reader.next();
      PERSISTING_RETURN_IF_ERROR(by_value(&type->children.front().type, reader, value));
    }
    return ok_status();
  }

  Status by_json(FieldType* type, const Reader& begin, Reader& reader, const Path& path) const {
    reader = begin;
    Reader checked = begin;
    reader.skip();
    // The encoding itself was checked before.
    if (skip_valid(checked, Record::max_nesting, true)) return ok_status();
    return make_error(
        ErrorCode::kSchema,
        "field '" + path.text() +
            "' holds what JSON cannot say (bytes, a time, NaN, an array, …), but the bucket "
            "holds " +
            describe(*type) + " there; convert the value");
  }

  static Status by_listed_tensor(FieldType* type, const Item& item, const Reader& begin,
                                 Reader& reader, const Path& path) {
    if (list_fits_tensor(*type, item, reader)) return ok_status();
    reader = begin;
    reader.skip();
    return make_error(ErrorCode::kSchema,
                      "field '" + path.text() +
                          "' is a list of other numbers or another shape, but the "
                          "bucket holds " +
                          describe(*type) +
                          " there; convert the value, or put it under another name");
  }

  Status by_type(FieldType* type, const FieldType& other, const Path& path) {
    if (!widen(type, other)) return conflict(*type, other, path);
    if (type->takes_anything) return ok_status();
    const bool are_elements = type->kind == TypeKind::kList || type->kind == TypeKind::kMap;
    return by_fields(&type->children, other.children, &path, are_elements,
                     type->kind == TypeKind::kStruct && type->is_declared);
  }

  const GrowthRules& rules_;
};

}  // namespace

Status grow(std::vector<SchemaField>* fields, std::string_view record, const GrowthRules& rules) {
  Reader reader(record);
  return Grower(rules).by_members(fields, reader.next().size, reader, nullptr, rules.is_closed);
}

Status grow(std::vector<SchemaField>* fields, const std::vector<SchemaField>& other,
            const GrowthRules& rules) {
  return Grower(rules).by_fields(fields, other, nullptr, false, rules.is_closed);
}

}  // namespace persisting
