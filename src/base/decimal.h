// Arithmetic of decimals: a coefficient of at most 38 digits, and how many of them stand right of the point.
// Threads: free functions.
#pragma once

#include <optional>
#include <string>

#include "persisting/value.h"

namespace persisting {

// How many digits the number has; 0 has none.
int decimal_digits(Decimal::Coefficient coefficient);

// Whether it has at most 38.
bool has_decimal_digits(Decimal::Coefficient coefficient);

// The same value with `scale` digits right of the point; nothing where that would lose digits, or need more than 38.
std::optional<Decimal> rescale(Decimal value, std::uint8_t scale);

// In plain notation: "-12.50".
std::string to_text(Decimal value);

}  // namespace persisting
