#include "engine/backend_options.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "persisting/log.h"
#include "persisting/suggest.h"

namespace persisting {
namespace {

// By index in Value::Variant, in Python's words.
constexpr std::array type_names{"None",    "bool",     "int",  "float",        "str",
                                "bytes",   "datetime", "date", "numpy number", "array",
                                "Decimal", "UUID",     "list", "dict"};
static_assert(type_names.size() == std::variant_size_v<Value::Variant>);

constexpr double longest_seconds = 1e9;

}  // namespace

const Value* OptionReader::find(const std::string& name) {
  known_.push_back(name);
  const auto option = options_.find(name);
  return option == options_.end() || option->second.is_null() ? nullptr : &option->second;
}

Error OptionReader::wrong_type(const std::string& name, const char* wanted,
                               const Value& got) const {
  return make_error(ErrorCode::kWrongType, backend_ + " option '" + name + "' must be " + wanted +
                                               ", not " + type_names[got.variant().index()]);
}

Result<bool> OptionReader::boolean(const std::string& name, bool fallback) {
  const Value* value = find(name);
  if (value == nullptr) return fallback;
  const bool* boolean = value->get_if<bool>();
  if (boolean == nullptr) return wrong_type(name, "bool", *value);
  return *boolean;
}

Result<std::uint64_t> OptionReader::integer(const std::string& name, std::uint64_t fallback,
                                            std::uint64_t least) {
  const Value* value = find(name);
  if (value == nullptr) return fallback;
  const std::int64_t* integer = value->get_if<std::int64_t>();
  if (integer == nullptr) return wrong_type(name, "int", *value);
  if (*integer < 0 || static_cast<std::uint64_t>(*integer) < least) {
    return make_error(ErrorCode::kInvalidArgument,
                      backend_ + " option '" + name + "' must be at least " +
                          std::to_string(least) + ", not " + std::to_string(*integer));
  }
  return static_cast<std::uint64_t>(*integer);
}

Result<std::chrono::microseconds> OptionReader::seconds(const std::string& name,
                                                        std::chrono::microseconds fallback) {
  const Value* value = find(name);
  if (value == nullptr) return fallback;
  double seconds = 0;
  if (const std::int64_t* integer = value->get_if<std::int64_t>()) {
    seconds = static_cast<double>(*integer);
  } else if (const double* real = value->get_if<double>()) {
    seconds = *real;
  } else {
    return wrong_type(name, "a number of seconds (float)", *value);
  }
  if (!(seconds >= 0 && seconds <= longest_seconds)) {
    return make_error(ErrorCode::kInvalidArgument, backend_ + " option '" + name +
                                                       "' must be between 0 and 1e9 seconds, not " +
                                                       std::to_string(seconds));
  }
  return std::chrono::microseconds(std::llround(seconds * 1e6));
}

Result<std::string> OptionReader::text(const std::string& name, std::string fallback) {
  const Value* value = find(name);
  if (value == nullptr) return fallback;
  const std::string* text = value->get_if<std::string>();
  if (text == nullptr) return wrong_type(name, "str", *value);
  return *text;
}

Result<std::optional<Struct>> OptionReader::members(const std::string& name) {
  const Value* value = find(name);
  if (value == nullptr) return std::optional<Struct>();
  const Struct* members = value->get_if<Struct>();
  if (members == nullptr) return wrong_type(name, "dict", *value);
  return std::optional<Struct>(*members);
}

void OptionReader::warn_about_unknown() const {
  for (const auto& [name, value] : options_) {
    if (std::find(known_.begin(), known_.end(), name) != known_.end()) continue;
    const std::optional<std::string> nearest = suggest(name, known_);
    log(LogLevel::kWarning,
        backend_ + ": unknown option '" + name + "' is ignored; " +
            (nearest ? "did you mean '" + *nearest + "'?" : "known are: " + join(known_)));
  }
}

}  // namespace persisting
