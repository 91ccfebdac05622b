// Tells what a write that never finished leaves from damage: where a frame, or a segment's header, is not whole.
// Threads: free functions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "wal/frame.h"

namespace persisting::wal {

// Whether nothing but zeros stands from `position` on: room that no frame has reached.
bool is_room(std::string_view bytes, std::size_t position);

// No whole frame stands at `position` of the newest segment. What proves that there was one, as text for an error; nothing
// where it may be a torn end. `next_offset`: of the record that would have been next.
std::optional<std::string> find_lost_frame(std::string_view bytes, std::size_t position,
                                           FrameDecoder& decoder, std::uint64_t next_offset);

// The newest segment, which begins at `first_offset`, has no whole header: likewise.
std::optional<std::string> find_lost_header(std::string_view bytes, FrameDecoder& decoder,
                                            std::uint64_t first_offset);

}  // namespace persisting::wal
