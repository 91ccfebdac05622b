// The nearest of some known names, for messages about an unknown one.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace persisting {

// The known name with the smallest edit distance (Levenshtein), if that is at most a third of the longer
// name's length, at least 1.
std::optional<std::string> suggest(std::string_view name, const std::vector<std::string>& known);

// "a, b, c".
std::string join(const std::vector<std::string>& names);

}  // namespace persisting
