#include "schema/json_text.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <cmath>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "persisting/msgpack_writer.h"
#include "persisting/record.h"

#include "base/decimal.h"
#include "schema/exact_double.h"
#include "schema/number_convert.h"

namespace persisting {
namespace {

using msgpack::Item;
using msgpack::Kind;
using msgpack::Reader;

constexpr std::string_view hexadecimal = "0123456789abcdef";

template <typename T>
void append_number(std::string& out, T value) {
  char digits[32];
  const auto [end, error] = std::to_chars(digits, digits + sizeof(digits), value);
  out.append(digits, end);
}

void append_quoted(std::string& out, std::string_view text) {
  out.push_back('"');
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out.push_back('\\');
      out.push_back(c);
    } else if (static_cast<unsigned char>(c) < 0x20) {
      out += "\\u00";
      out.push_back(hexadecimal[static_cast<unsigned char>(c) >> 4]);
      out.push_back(hexadecimal[static_cast<unsigned char>(c) & 0xf]);
    } else {
      out.push_back(c);
    }
  }
  out.push_back('"');
}

void append_padded(std::string& out, std::int64_t value, int width) {
  std::string digits = std::to_string(value);
  if (std::cmp_less(digits.size(), width))
    digits.insert(0, static_cast<std::size_t>(width) - digits.size(), '0');
  out += digits;
}

void append_date(std::string& out, std::int64_t days) {
  // std::chrono's calendar ends at the year 32767.
  const std::int64_t era = 400;
  const std::int64_t days_of_era = 146097;
  const std::int64_t eras = days >= 0 ? days / days_of_era : (days + 1) / days_of_era - 1;
  const std::chrono::year_month_day date{
      std::chrono::sys_days(std::chrono::days(days - eras * days_of_era))};
  const std::int64_t year = static_cast<int>(date.year()) + eras * era;
  if (year < 0) out.push_back('-');
  append_padded(out, year < 0 ? -year : year, 4);
  out.push_back('-');
  append_padded(out, static_cast<unsigned>(date.month()), 2);
  out.push_back('-');
  append_padded(out, static_cast<unsigned>(date.day()), 2);
}

void append_time(std::string& out, std::int64_t microseconds, bool utc) {
  constexpr std::int64_t day = 86'400'000'000;
  std::int64_t days = microseconds / day;
  std::int64_t rest = microseconds % day;
  if (rest < 0) {
    rest += day;
    --days;
  }
  append_date(out, days);
  out.push_back('T');
  append_padded(out, rest / 3'600'000'000, 2);
  out.push_back(':');
  append_padded(out, rest / 60'000'000 % 60, 2);
  out.push_back(':');
  append_padded(out, rest / 1'000'000 % 60, 2);
  if (rest % 1'000'000 != 0) {
    out.push_back('.');
    append_padded(out, rest % 1'000'000, 6);
  }
  if (utc) out += "+00:00";
}

void append_canonical_real(std::string& out, double value) {
  if (std::isnan(value)) {
    out += "NaN";
  } else if (std::isinf(value)) {
    out += value < 0 ? "-Infinity" : "Infinity";
  } else if (std::fabs(value) <= static_cast<double>(max_exact_integer) &&
             std::trunc(value) == value && !(value == 0 && std::signbit(value))) {
    append_number(out, static_cast<std::int64_t>(value));
  } else {
    append_number(out, value);
  }
}

void append_canonical_number(std::string& out, const AnyNumber& number) {
  switch (number.form) {
    case AnyNumber::Form::kSigned:
      return append_number(out, number.signed_value);
    case AnyNumber::Form::kUnsigned:
      return append_number(out, number.unsigned_value);
    case AnyNumber::Form::kReal:
      return append_canonical_real(out, number.real);
    case AnyNumber::Form::kComplex:
      if (number.imaginary == 0 && !std::signbit(number.imaginary))
        return append_canonical_real(out, number.real);
      append_canonical_real(out, number.real);
      if (std::isnan(number.imaginary) || !std::signbit(number.imaginary)) out.push_back('+');
      append_canonical_real(out, number.imaginary);
      out.push_back('j');
  }
}

void append_canonical_decimal(std::string& out, Decimal value) {
  while (value.scale > 0 && value.coefficient % 10 == 0) {
    value.coefficient /= 10;
    --value.scale;
  }
  out += to_text(value);
}

void append_canonical_tensor(std::string& out, const msgpack::TensorView& tensor,
                             std::size_t dimension, const char** next) {
  if (dimension == tensor.dimensions()) {
    if (tensor.type() == NumberType::kBool) {
      out += **next != 0 ? "true" : "false";
    } else {
      append_canonical_number(out, load_number(tensor.type(), *next));
    }
    *next += size_of(tensor.type());
    return;
  }
  out.push_back('[');
  for (std::uint32_t i = 0; i < tensor.extent(dimension); ++i) {
    if (i > 0) out += ", ";
    append_canonical_tensor(out, tensor, dimension + 1, next);
  }
  out.push_back(']');
}

void append_uuid(std::string& out, const Uuid& value) {
  for (std::size_t i = 0; i < value.bytes.size(); ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) out.push_back('-');
    const auto byte = static_cast<unsigned char>(value.bytes[i]);
    out.push_back(hexadecimal[byte >> 4]);
    out.push_back(hexadecimal[byte & 0xf]);
  }
}

// A value that is neither text nor a container.
void append_scalar(const Item& item, std::string& out) {
  switch (item.kind) {
    case Kind::kBool:
      out += item.boolean ? "true" : "false";
      return;
    case Kind::kInt:
      return append_number(out, item.integer);
    case Kind::kDouble:
      return append_canonical_real(out, item.number);
    case Kind::kNumber:
      return append_canonical_number(
          out, load_number(static_cast<NumberType>(item.text[0]), item.text.data() + 1));
    case Kind::kDecimal:
      return append_canonical_decimal(out, msgpack::decimal(item));
    case Kind::kBytes:
      for (const char c : item.text) {
        out.push_back(hexadecimal[static_cast<unsigned char>(c) >> 4]);
        out.push_back(hexadecimal[static_cast<unsigned char>(c) & 0xf]);
      }
      return;
    case Kind::kTimestampUtc:
    case Kind::kTimestampNaive:
      return append_time(out, item.integer, item.kind == Kind::kTimestampUtc);
    case Kind::kDate:
      return append_date(out, item.integer);
    case Kind::kUuid:
      return append_uuid(out, msgpack::uuid(item));
    default:
      out += "null";
  }
}

bool is_number(Kind kind) {
  return kind == Kind::kInt || kind == Kind::kDouble || kind == Kind::kNumber ||
         kind == Kind::kDecimal;
}

void append_nested_text(Reader& reader, std::string& out);

void append_list_text(std::uint32_t size, Reader& reader, std::string& out) {
  out.push_back('[');
  for (std::uint32_t i = 0; i < size; ++i) {
    if (i > 0) out += ", ";
    append_nested_text(reader, out);
  }
  out.push_back(']');
}

void append_struct_text(std::uint32_t size, Reader& reader, std::string& out) {
  std::vector<std::pair<std::string_view, Reader>> members;
  for (std::uint32_t i = 0; i < size; ++i) {
    const std::string_view name = reader.next().text;
    Reader value = reader;
    if (value.next().kind != Kind::kNil) members.emplace_back(name, reader);
    reader.skip();
  }
  std::ranges::sort(members, {}, [](const auto& member) { return member.first; });
  out.push_back('{');
  for (auto& [name, value] : members) {
    if (out.back() != '{') out += ", ";
    append_quoted(out, name);
    out += ": ";
    append_nested_text(value, out);
  }
  out.push_back('}');
}

// A value inside a list or struct.
void append_nested_text(Reader& reader, std::string& out) {
  const Item item = reader.next();
  if (item.kind == Kind::kArray) return append_list_text(item.size, reader, out);
  if (item.kind == Kind::kMap) return append_struct_text(item.size, reader, out);
  if (item.kind == Kind::kString) return append_quoted(out, item.text);
  if (item.kind == Kind::kTensor) {
    const msgpack::TensorView tensor = msgpack::tensor(item);
    // Of nothing there may be any number of rows.
    if (tensor.elements() == 0) {
      out += "[]";
      return;
    }
    const char* next = tensor.data().data();
    return append_canonical_tensor(out, tensor, 0, &next);
  }
  const bool is_plain = is_number(item.kind) || item.kind == Kind::kBool || item.kind == Kind::kNil;
  if (!is_plain) out.push_back('"');
  append_scalar(item, out);
  if (!is_plain) out.push_back('"');
}

// Builds MessagePack from JSON's events. A container's head needs its size, so each is gathered first.
class JsonReader : public nlohmann::json_sax<nlohmann::json> {
 public:
  bool null() override {
    msgpack::write_nil(begin_value());
    return true;
  }
  bool boolean(bool value) override {
    msgpack::write_bool(begin_value(), value);
    return true;
  }
  bool number_integer(number_integer_t value) override {
    msgpack::write_int(begin_value(), value);
    return true;
  }
  bool number_unsigned(number_unsigned_t value) override {
    if (!std::in_range<std::int64_t>(value)) return fail("holds an integer beyond 64 bits");
    msgpack::write_int(begin_value(), static_cast<std::int64_t>(value));
    return true;
  }
  bool number_float(number_float_t value, const string_t& text) override {
    // The parser falls back to floats where an integer has no 64 bits.
    if (text.find_first_of(".eE") == string_t::npos) return fail("holds an integer beyond 64 bits");
    msgpack::write_double(begin_value(), value);
    return true;
  }
  bool string(string_t& value) override {
    msgpack::write_string(begin_value(), value);
    return true;
  }
  bool binary(binary_t&) override { return fail("holds bytes"); }
  bool start_object(std::size_t) override { return open(); }
  bool key(string_t& name) override {
    Container& container = open_.back();
    if (std::ranges::find(container.names, name) != container.names.end())
      return fail("names '" + name + "' twice");
    if (!check_field_name(name, false))
      return fail("names '" + name + "', which no record may have");
    container.names.push_back(name);
    msgpack::write_string(container.bytes, name);
    return true;
  }
  bool end_object() override {
    close(true);
    return true;
  }
  bool start_array(std::size_t) override { return open(); }
  bool end_array() override {
    close(false);
    return true;
  }
  bool parse_error(std::size_t position, const std::string&,
                   const nlohmann::detail::exception&) override {
    return fail("is no JSON at its byte " + std::to_string(position));
  }

  const std::string& failure() const { return failure_; }
  const std::string& result() const { return open_.front().bytes; }

 private:
  struct Container {
    std::string bytes;
    std::uint32_t size = 0;
    std::vector<std::string> names;
  };

  bool fail(std::string why) {
    if (failure_.empty()) failure_ = std::move(why);
    return false;
  }
  std::string& begin_value() {
    open_.back().size += 1;
    return open_.back().bytes;
  }
  bool open() {
    if (open_.size() > Record::max_nesting) return fail("nests too deeply");
    open_.emplace_back();
    return true;
  }
  void close(bool is_object) {
    const Container done = std::move(open_.back());
    open_.pop_back();
    std::string& out = begin_value();
    if (is_object) {
      msgpack::write_map(out, done.size);
    } else {
      msgpack::write_array(out, done.size);
    }
    out += done.bytes;
  }

  std::vector<Container> open_{1};
  std::string failure_;
};

}  // namespace

bool is_json_value(const Item& item) {
  switch (item.kind) {
    case Kind::kNil:
    case Kind::kBool:
    case Kind::kInt:
    case Kind::kString:
    case Kind::kArray:
    case Kind::kMap:
      return true;
    case Kind::kDouble:
      return std::isfinite(item.number);
    default:
      return false;
  }
}

void append_json(Reader& reader, std::string& out) {
  const Item item = reader.next();
  switch (item.kind) {
    case Kind::kString:
      return append_quoted(out, item.text);
    case Kind::kDouble: {
      const std::size_t start = out.size();
      append_number(out, item.number);
      if (out.find_first_of(".e", start) == std::string::npos) out += ".0";
      return;
    }
    case Kind::kArray:
      out.push_back('[');
      for (std::uint32_t i = 0; i < item.size; ++i) {
        if (i > 0) out.push_back(',');
        append_json(reader, out);
      }
      out.push_back(']');
      return;
    case Kind::kMap:
      out.push_back('{');
      for (std::uint32_t i = 0; i < item.size; ++i) {
        if (i > 0) out.push_back(',');
        append_quoted(out, reader.next().text);
        out.push_back(':');
        append_json(reader, out);
      }
      out.push_back('}');
      return;
    default:
      return append_scalar(item, out);
  }
}

Status parse_json(std::string_view text, std::string& out) {
  JsonReader reader;
  if (!nlohmann::json::sax_parse(text, &reader)) {
    return make_error(ErrorCode::kCorruption, "its text " + reader.failure());
  }
  out += reader.result();
  return ok_status();
}

void append_canonical_text(Reader& reader, std::string& out) {
  Reader ahead = reader;
  const Item item = ahead.next();
  if (item.kind == Kind::kArray || item.kind == Kind::kMap || item.kind == Kind::kTensor)
    return append_nested_text(reader, out);
  reader = ahead;
  if (item.kind == Kind::kString) {
    out += item.text;
  } else {
    append_scalar(item, out);
  }
}

}  // namespace persisting
