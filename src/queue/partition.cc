#include "persisting/partition.h"

#include <array>
#include <charconv>
#include <cmath>
#include <cstdlib>

#include <md5.h>

namespace persisting {
namespace {

// float.__repr__ of CPython: the shortest digits that read back as the same number (as std::to_chars gives them),
// in scientific form where the decimal exponent is below -4 or at least 16.
std::string python_float(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value < 0 ? "-inf" : "inf";
  std::array<char, 64> buffer;
  const auto write = [&](std::chars_format format) {
    const auto written = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value, format);
    return std::string(buffer.data(), written.ptr);
  };
  std::string text = write(std::chars_format::scientific);
  const int exponent =
      static_cast<int>(std::strtol(text.c_str() + text.find('e') + 1, nullptr, 10));
  if (exponent < -4 || exponent >= 16) return text;
  text = write(std::chars_format::fixed);
  if (text.find('.') == std::string::npos) text += ".0";
  return text;
}

}  // namespace

std::uint32_t bucket_of_text(std::string_view text, std::uint32_t num_buckets) {
  MD5_CTX context;
  std::array<std::uint8_t, MD5_DIGEST_LENGTH> digest;
  MD5Init(&context);
  MD5Update(&context, reinterpret_cast<const std::uint8_t*>(text.data()), text.size());
  MD5Final(digest.data(), &context);
  // Horner's rule modulo num_buckets; the product stays below 2^40.
  std::uint64_t remainder = 0;
  for (const std::uint8_t byte : digest) remainder = (remainder * 256 + byte) % num_buckets;
  return static_cast<std::uint32_t>(remainder);
}

Result<std::string> partition_text(const Value& value) {
  if (value.is_null()) return std::string();
  if (const bool* boolean = value.get_if<bool>()) return std::string(*boolean ? "True" : "False");
  if (const std::int64_t* integer = value.get_if<std::int64_t>()) return std::to_string(*integer);
  if (const double* real = value.get_if<double>()) return python_float(*real);
  if (const std::string* text = value.get_if<std::string>()) return *text;
  return make_error(ErrorCode::kWrongType,
                    "a bucket column must hold None, bool, int, float or str");
}

Result<std::vector<std::uint32_t>> assign_buckets(std::uint32_t num_buckets, std::uint32_t rank,
                                                  std::uint32_t world_size) {
  if (rank >= world_size) {
    return make_error(
        ErrorCode::kInvalidArgument,
        "rank " + std::to_string(rank) + " must be below world_size " + std::to_string(world_size));
  }
  std::vector<std::uint32_t> buckets;
  for (std::uint32_t bucket = rank; bucket < num_buckets; bucket += world_size)
    buckets.push_back(bucket);
  return buckets;
}

}  // namespace persisting
