// Checks that text is UTF-8, before it becomes Arrow's utf8, which everybody downstream trusts.
// Threads: a free function.
#pragma once

#include <string_view>

namespace persisting {

// Refuses what the standard does: overlong forms, surrogates, code points above U+10FFFF, cut ends.
bool is_utf8(std::string_view text);

}  // namespace persisting
