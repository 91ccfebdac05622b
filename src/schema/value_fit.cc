#include "schema/value_fit.h"

#include <algorithm>
#include <span>
#include <string_view>
#include <vector>

#include "persisting/msgpack_writer.h"
#include "persisting/record.h"

#include "base/decimal.h"
#include "base/utf8.h"
#include "schema/json_text.h"
#include "schema/number_convert.h"

namespace persisting {
namespace {

using msgpack::Item;
using msgpack::Kind;
using msgpack::Reader;

// A number that is not of the field's own type.
bool converts(const FieldType& type, const AnyNumber& value, NumberType from) {
  const std::optional<NumberType> to = number_type_of(type);
  if (!to) return false;
  // Found types take what is exact whatever its type only for integers: a float column would else be widened or not
  // by the luck of a value.
  const bool may_convert = type.is_declared || is_integer(from) || holds(*to, from);
  if (!may_convert) return false;
  // An integer column of one width does not take what only a wider type has in general.
  if (!type.is_declared && is_integer(*to) && !holds(*to, from) && size_of(*to) < 8) return false;
  char bytes[16];
  return store_number(value, *to, type.is_declared, bytes) &&
         (type.has_inexact_integers || !is_integer(*to) || !value.is_inexact());
}

bool decimal_fits(const FieldType& type, Decimal value) {
  if (type.is_declared) {
    const std::optional<Decimal> scaled = rescale(value, type.scale);
    return scaled && decimal_digits(scaled->coefficient) <= type.scale + type.whole_digits;
  }
  return value.scale <= type.scale &&
         decimal_digits(value.coefficient) - value.scale <= type.whole_digits;
}

bool double_fits(const FieldType& type, double value) {
  if (type.kind == TypeKind::kDouble) return true;
  if (type.kind != TypeKind::kNumber) return false;
  AnyNumber number;
  number.real = value;
  return converts(type, number, NumberType::kFloat64);
}

bool number_fits(const FieldType& type, const Item& item) {
  const auto from = static_cast<NumberType>(item.text[0]);
  if (type.kind == TypeKind::kDecimal)
    return is_integer(from) && decimal_fits(type, integer_as_decimal(item));
  if (type.kind == TypeKind::kNumber && type.number == from && from != NumberType::kUInt64)
    return true;
  return number_type_of(type) && converts(type, load_number(from, item.text.data() + 1), from);
}

bool tensor_fits(const FieldType& type, const msgpack::TensorView& tensor) {
  if (type.kind != TypeKind::kTensor) return false;
  if (!type.has_any_shape) {
    if (tensor.dimensions() != type.shape.size()) return false;
    for (std::size_t i = 0; i < type.shape.size(); ++i) {
      if (tensor.extent(i) != type.shape[i]) return false;
    }
  }
  if (holds(type.number, tensor.type())) return true;
  if (!type.is_declared || type.number == NumberType::kBool || tensor.type() == NumberType::kBool) {
    return false;
  }
  char bytes[16];
  const std::size_t size = size_of(tensor.type());
  const std::string_view data = tensor.data();
  for (std::size_t i = 0; i < data.size(); i += size) {
    if (!store_number(load_number(tensor.type(), data.data() + i), type.number, true, bytes))
      return false;
  }
  return true;
}

bool element_fits(NumberType type, const Item& item) {
  char bytes[16];
  AnyNumber number;
  switch (item.kind) {
    case Kind::kBool:
      return type == NumberType::kBool;
    case Kind::kInt:
      number.form = AnyNumber::Form::kSigned;
      number.signed_value = item.integer;
      break;
    case Kind::kDouble:
      number.real = item.number;
      break;
    case Kind::kNumber:
      number = load_number(static_cast<NumberType>(item.text[0]), item.text.data() + 1);
      break;
    default:
      return false;
  }
  return store_number(number, type, true, bytes);
}

// Whether the elements of the list just begun are those of an array of these extents, from dimension `depth` on.
bool nested_fits(NumberType type, std::span<const std::uint32_t> extents, std::uint32_t size,
                 Reader& reader) {
  if (extents.empty() || extents.front() != size) return false;
  const bool is_last = extents.size() == 1;
  for (std::uint32_t i = 0; i < size; ++i) {
    const Item item = reader.next();
    const bool fits = item.kind == Kind::kArray
                          ? !is_last && nested_fits(type, extents.subspan(1), item.size, reader)
                          : is_last && element_fits(type, item);
    if (!fits) return false;
  }
  return true;
}

bool integer_fits(const FieldType& type, std::int64_t value) {
  switch (type.kind) {
    case TypeKind::kInt64:
    case TypeKind::kDouble:
    case TypeKind::kNumber: {
      AnyNumber number;
      number.form = AnyNumber::Form::kSigned;
      number.signed_value = value;
      if (type.kind == TypeKind::kInt64) return type.has_inexact_integers || !number.is_inexact();
      return converts(type, number, NumberType::kInt64);
    }
    case TypeKind::kDecimal:
      return decimal_fits(type, {value, 0});
    default:
      return false;
  }
}

}  // namespace

Decimal integer_as_decimal(const Item& item) {
  if (item.kind == Kind::kInt) return {item.integer, 0};
  const AnyNumber number = load_number(static_cast<NumberType>(item.text[0]), item.text.data() + 1);
  if (number.form == AnyNumber::Form::kSigned) return {number.signed_value, 0};
  return {static_cast<Decimal::Coefficient>(number.unsigned_value), 0};
}

bool scalar_fits(const FieldType& type, const Item& item) {
  if (type.takes_anything) return item.kind != Kind::kString || is_utf8(item.text);
  switch (item.kind) {
    case Kind::kBool:
      return type.kind == TypeKind::kBool || type.kind == TypeKind::kJson;
    case Kind::kInt:
      return integer_fits(type, item.integer) || type.kind == TypeKind::kJson;
    case Kind::kDouble:
      return double_fits(type, item.number) ||
             (type.kind == TypeKind::kJson && is_json_value(item));
    case Kind::kString:
      return (type.kind == TypeKind::kString || type.kind == TypeKind::kJson) && is_utf8(item.text);
    case Kind::kBytes:
      return type.kind == TypeKind::kBytes;
    case Kind::kTimestampUtc:
      return type.kind == TypeKind::kTimestampUtc;
    case Kind::kTimestampNaive:
      return type.kind == TypeKind::kTimestampNaive;
    case Kind::kDate:
      return type.kind == TypeKind::kDate;
    case Kind::kNumber:
      return number_fits(type, item);
    case Kind::kTensor:
      return tensor_fits(type, msgpack::tensor(item));
    case Kind::kDecimal:
      return type.kind == TypeKind::kDecimal && decimal_fits(type, msgpack::decimal(item));
    case Kind::kUuid:
      return type.kind == TypeKind::kUuid;
    default:
      return false;
  }
}

std::vector<std::uint32_t> extents_of_list(std::uint32_t size, Reader elements) {
  std::vector<std::uint32_t> extents = {size};
  while (extents.back() > 0) {
    const Item first = elements.next();
    if (first.kind != Kind::kArray) break;
    extents.push_back(first.size);
  }
  return extents;
}

bool list_fits_tensor(const FieldType& type, const Item& item, Reader& reader) {
  const std::vector<std::uint32_t> extents = extents_of_list(item.size, reader);
  if (extents.size() > msgpack::max_dimensions) return false;
  if (!type.has_any_shape && extents != type.shape) return false;
  return nested_fits(type.number, extents, item.size, reader);
}

bool skip_valid(Reader& reader, int containers, bool only_json) {
  const Item item = reader.next();
  if (only_json && !is_json_value(item)) return false;
  if (item.kind == Kind::kString) return is_utf8(item.text);
  if (item.kind != Kind::kArray && item.kind != Kind::kMap) return item.kind != Kind::kInvalid;
  if (containers == 0) return false;
  std::vector<std::string_view> names;
  for (std::uint32_t i = 0; i < item.size; ++i) {
    if (item.kind == Kind::kMap) {
      const Item name = reader.next();
      if (name.kind != Kind::kString || !is_utf8(name.text) || !check_field_name(name.text, false))
        return false;
      names.push_back(name.text);
    }
    if (!skip_valid(reader, containers - 1, only_json)) return false;
  }
  std::ranges::sort(names);
  return std::ranges::adjacent_find(names) == names.end();
}

}  // namespace persisting
