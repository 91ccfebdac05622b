#include "wal/torn_end.h"

#include <algorithm>
#include <cstring>

namespace persisting::wal {
namespace {

// The highest durable-up-to of the valid frames at or after `position` that do not begin below `next_offset`; nothing where
// there is none.
std::optional<std::uint64_t> highest_durable(std::string_view bytes, std::size_t position,
                                             FrameDecoder& decoder, std::uint64_t next_offset) {
  std::optional<std::uint64_t> durable;
  DecodedFrame frame;
  while (position < bytes.size()) {
    const bool valid = decoder.decode(bytes, position, &frame) && frame.first_offset >= next_offset;
    if (valid) durable = std::max(durable.value_or(0), frame.durable_up_to);
    position += valid ? frame.file_bytes : frame_alignment;
  }
  return durable;
}

}  // namespace

bool is_room(std::string_view bytes, std::size_t position) {
  if (position >= bytes.size()) return true;
  // Each byte is as the one before it: the library compares many at a time.
  const char* const begin = bytes.data() + position;
  return *begin == '\0' && std::memcmp(begin, begin + 1, bytes.size() - position - 1) == 0;
}

std::optional<std::string> find_lost_frame(std::string_view bytes, std::size_t position,
                                           FrameDecoder& decoder, std::uint64_t next_offset) {
  const std::optional<std::uint64_t> durable =
      highest_durable(bytes, position, decoder, next_offset);
  if (!durable || *durable <= next_offset) return std::nullopt;
  return "a frame is damaged, but offsets below " + std::to_string(*durable) + " were durable";
}

std::optional<std::string> find_lost_header(std::string_view bytes, FrameDecoder& decoder,
                                            std::uint64_t first_offset) {
  // A power cut may keep later bytes of a first write and lose the header's: then that reads as zeros.
  const std::size_t first_byte = bytes.find_first_not_of('\0');
  const bool lost = first_byte >= std::min(segment_header_bytes, bytes.size());
  const std::optional<std::uint64_t> durable =
      highest_durable(bytes, segment_header_bytes, decoder, first_offset);
  if (!durable || (lost && *durable <= first_offset)) return std::nullopt;
  return "the header is damaged, but frames follow it";
}

}  // namespace persisting::wal
