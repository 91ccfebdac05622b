#include "base/decimal.h"

#include <algorithm>
#include <array>

#include "persisting/msgpack_writer.h"

namespace persisting {
namespace {

__extension__ using Magnitude = unsigned __int128;

Magnitude magnitude(Decimal::Coefficient coefficient) {
  const auto bits = static_cast<Magnitude>(coefficient);
  return coefficient < 0 ? Magnitude{0} - bits : bits;
}

constexpr std::array<Magnitude, msgpack::max_decimal_digits + 1> powers_of_ten = [] {
  std::array<Magnitude, msgpack::max_decimal_digits + 1> powers{};
  powers[0] = 1;
  for (std::size_t i = 1; i < powers.size(); ++i) powers[i] = powers[i - 1] * 10;
  return powers;
}();

}  // namespace

int decimal_digits(Decimal::Coefficient coefficient) {
  const Magnitude value = magnitude(coefficient);
  return static_cast<int>(std::upper_bound(powers_of_ten.begin(), powers_of_ten.end(), value) -
                          powers_of_ten.begin());
}

bool has_decimal_digits(Decimal::Coefficient coefficient) {
  return magnitude(coefficient) < powers_of_ten.back();
}

std::optional<Decimal> rescale(Decimal value, std::uint8_t scale) {
  if (scale >= value.scale) {
    const int more = scale - value.scale;
    if (value.coefficient != 0 &&
        decimal_digits(value.coefficient) + more > msgpack::max_decimal_digits) {
      return std::nullopt;
    }
    return Decimal{value.coefficient * static_cast<Decimal::Coefficient>(
                                           powers_of_ten[static_cast<std::size_t>(more)]),
                   scale};
  }
  const auto factor = static_cast<Decimal::Coefficient>(
      powers_of_ten[static_cast<std::size_t>(value.scale - scale)]);
  if (value.coefficient % factor != 0) return std::nullopt;
  return Decimal{value.coefficient / factor, scale};
}

std::string to_text(Decimal value) {
  std::string digits;
  for (Magnitude rest = magnitude(value.coefficient); rest != 0; rest /= 10) {
    digits.push_back(static_cast<char>('0' + static_cast<int>(rest % 10)));
  }
  while (digits.size() <= value.scale) digits.push_back('0');
  if (value.scale > 0) digits.insert(value.scale, ".");
  if (value.coefficient < 0) digits.push_back('-');
  std::reverse(digits.begin(), digits.end());
  return digits;
}

}  // namespace persisting
