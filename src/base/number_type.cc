#include "persisting/number_type.h"

#include <array>

namespace persisting {
namespace {

struct Description {
  std::string_view name;
  std::size_t bytes;
};

// By value of NumberType.
constexpr std::array<Description, last_number_type + 1> descriptions = {{
    {"", 0},
    {"int8", 1},
    {"int16", 2},
    {"int32", 4},
    {"int64", 8},
    {"uint8", 1},
    {"uint16", 2},
    {"uint32", 4},
    {"uint64", 8},
    {"float16", 2},
    {"bfloat16", 2},
    {"float32", 4},
    {"float64", 8},
    {"complex64", 8},
    {"complex128", 16},
    {"bool", 1},
}};

}  // namespace

std::size_t size_of(NumberType type) { return descriptions[static_cast<std::size_t>(type)].bytes; }

std::string_view name_of(NumberType type) {
  return descriptions[static_cast<std::size_t>(type)].name;
}

std::optional<NumberType> number_type_named(std::string_view name) {
  for (std::size_t i = first_number_type; i < descriptions.size(); ++i) {
    if (descriptions[i].name == name) return static_cast<NumberType>(i);
  }
  return std::nullopt;
}

}  // namespace persisting
