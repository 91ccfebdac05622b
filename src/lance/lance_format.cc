#include "lance/lance_format.h"

#include <charconv>

namespace persisting::lance {

std::optional<std::uint64_t> version_of_manifest(std::string_view name) {
  constexpr std::string_view suffix = ".manifest";
  constexpr std::size_t v2_digits = 20;
  if (!name.ends_with(suffix)) return std::nullopt;
  const std::string_view digits = name.substr(0, name.size() - suffix.size());
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  if (error != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
  return digits.size() == v2_digits ? UINT64_MAX - number : number;
}

bool ends_whole(std::string_view file) {
  return file.size() >= footer_bytes && file.ends_with(file_magic);
}

}  // namespace persisting::lance
