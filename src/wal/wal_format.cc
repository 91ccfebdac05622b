#include "wal/wal_format.h"

#include <array>
#include <charconv>
#include <cstdio>

#include "base/checksum.h"
#include "base/endian.h"

namespace persisting::wal {
namespace {

constexpr std::size_t offset_digits = 20;
constexpr std::size_t epoch_digits = 10;
constexpr std::string_view suffix = ".wal";
constexpr std::size_t checked_header_bytes = segment_header_bytes - sizeof(std::uint32_t);

bool can_read(std::uint32_t version) { return version >= 1 && version <= format_version; }

std::uint32_t checksum32(std::string_view bytes) {
  return static_cast<std::uint32_t>(checksum64(bytes));
}

// The version in a header that is as it was written.
std::optional<std::uint32_t> whole_header_version(std::string_view bytes) {
  if (bytes.size() < segment_header_bytes || !bytes.starts_with(segment_magic)) return std::nullopt;
  if (load_little_endian<std::uint32_t>(bytes.data() + checked_header_bytes) !=
      checksum32(bytes.substr(0, checked_header_bytes))) {
    return std::nullopt;
  }
  return load_little_endian<std::uint32_t>(bytes.data() + segment_magic.size());
}

}  // namespace

std::string encode_segment_header(const SegmentHeader& header) {
  std::string bytes(segment_magic);
  append_little_endian(bytes, header.version);
  append_little_endian(bytes, std::uint32_t{0});
  append_little_endian(bytes, header.bucket_identity);
  append_little_endian(bytes, header.epoch);
  append_little_endian(bytes, header.first_offset);
  append_little_endian(bytes, header.predecessor.first_offset);
  append_little_endian(bytes, header.predecessor.end_offset);
  append_little_endian(bytes, header.predecessor.last_checksum);
  append_little_endian(bytes, checksum32(bytes));
  return bytes;
}

std::optional<SegmentHeader> decode_segment_header(std::string_view bytes) {
  const std::optional<std::uint32_t> version = whole_header_version(bytes);
  if (!version || !can_read(*version)) return std::nullopt;
  const char* const at = bytes.data();
  SegmentHeader header;
  header.bucket_identity = load_little_endian<std::uint64_t>(at + 16);
  header.epoch = load_little_endian<std::uint64_t>(at + 24);
  header.first_offset = load_little_endian<std::uint64_t>(at + 32);
  header.predecessor = {load_little_endian<std::uint64_t>(at + 40),
                        load_little_endian<std::uint64_t>(at + 48),
                        load_little_endian<std::uint32_t>(at + 56)};
  header.version = *version;
  return header;
}

std::optional<std::uint32_t> foreign_format_version(std::string_view bytes) {
  const std::optional<std::uint32_t> version = whole_header_version(bytes);
  if (!version || can_read(*version)) return std::nullopt;
  return version;
}

std::string segment_name(std::uint64_t first_offset, std::uint64_t epoch) {
  std::array<char, 64> name;
  const int size = std::snprintf(name.data(), name.size(), "%020llu-%010llu.wal",
                                 static_cast<unsigned long long>(first_offset),
                                 static_cast<unsigned long long>(epoch));
  return std::string(name.data(), static_cast<std::size_t>(size));
}

std::optional<SegmentName> parse_segment_name(std::string_view name) {
  if (name.size() < offset_digits + 1 + epoch_digits + suffix.size() ||
      name[offset_digits] != '-' || !name.ends_with(suffix)) {
    return std::nullopt;
  }
  const auto number = [](std::string_view digits, std::uint64_t* value) {
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), *value);
    return error == std::errc() && end == digits.data() + digits.size();
  };
  SegmentName parsed;
  const std::string_view epoch =
      name.substr(offset_digits + 1, name.size() - offset_digits - 1 - suffix.size());
  if (!number(name.substr(0, offset_digits), &parsed.first_offset) || !number(epoch, &parsed.epoch))
    return std::nullopt;
  return parsed;
}

}  // namespace persisting::wal
