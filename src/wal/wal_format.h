// The byte layout of the write-ahead log. All integers are little-endian.
//
// Segment file {first offset, 20 digits}-{epoch, 10 digits}.wal: a header, then frames, each at a multiple of 8 bytes.
//
//   header, 64 bytes                        frame
//    0  magic "PRSTWAL1"                     0  u32  length of the payload; 0 is no frame
//    8  u32  format version                  4  u32  checksum of length and payload
//   12  u32  zero                            8  payload:
//   16  u64  bucket identity                      0  u8   kind: 1 records, 2 clean end, 3 Arrow
//   24  u64  epoch                                1  u8   codec (Compression)
//   32  u64  first offset                         2  u16  zero
//   40  u64  predecessor: first offset            4  u32  count of records
//   48  u64  predecessor: end offset              8  u64  first offset
//   56  u32  predecessor: last frame's checksum  16  u64  durable-up-to
//   60  u32  checksum of the bytes before        24  i64  append time, µs since 1970 UTC
//                                                32  u64  bytes of the body before compression
//                                                40  body: count × u32 record lengths, then the records;
//                                                    with kind 3 an Arrow IPC stream of count rows
//                                            zeros up to a multiple of 8
//
// Behind the last frame there may be room: zeros for frames to come.
//
// Checksums are the low 32 bits of XXH3-64; that of a frame is seeded with bucket and epoch (frame.h). Durable-up-to: every offset below it was known to be durable when the
// frame was written; so a valid frame tells whether damage before it hit something durable.
// Version 1 had no kind 3. Its segments are read, and never written to: each opening begins its own.
// Example: a frame of one record {"a": 1} (81 a1 61 01) at offset 0 of an empty log:
//   30 00 00 00 | checksum | 01 00 0000 | 01000000 | 00×8 | 00×8 | time | 08 00×7 | 04000000 | 81a16101
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "wal/wal.h"

namespace persisting::wal {

inline constexpr std::string_view segment_magic = "PRSTWAL1";
inline constexpr std::uint32_t format_version = 2;        // that is written; earlier ones are read
inline constexpr std::uint32_t arrow_format_version = 2;  // the first with FrameKind::kArrow
inline constexpr std::size_t segment_header_bytes = 64;
inline constexpr std::size_t frame_header_bytes = 8;
inline constexpr std::size_t payload_head_bytes = 40;
inline constexpr std::size_t frame_alignment = 8;

enum class FrameKind : std::uint8_t { kRecords = 1, kCleanEnd = 2, kArrow = 3 };

// Where a segment ends, as its successor remembers it. All zero: there is no predecessor.
struct SegmentEnd {
  std::uint64_t first_offset = 0;
  std::uint64_t end_offset = 0;
  std::uint32_t last_checksum = 0;
  bool operator==(const SegmentEnd&) const = default;
};

struct SegmentHeader {
  std::uint64_t bucket_identity = 0;
  std::uint64_t epoch = 0;
  std::uint64_t first_offset = 0;
  SegmentEnd predecessor;
  std::uint32_t version = format_version;
};

std::string encode_segment_header(const SegmentHeader& header);
// Nothing where the bytes are cut short or differ from what was written.
std::optional<SegmentHeader> decode_segment_header(std::string_view bytes);
// The format version of a whole header that this library cannot read; nothing for any other bytes.
std::optional<std::uint32_t> foreign_format_version(std::string_view bytes);

std::string segment_name(std::uint64_t first_offset, std::uint64_t epoch);
struct SegmentName {
  std::uint64_t first_offset = 0;
  std::uint64_t epoch = 0;
};
std::optional<SegmentName> parse_segment_name(std::string_view name);

constexpr std::size_t padding_after(std::size_t bytes) {
  return (frame_alignment - bytes % frame_alignment) % frame_alignment;
}

inline Error wal_error(ErrorCode code, std::string message) {
  return Error{code, Component::kWal, std::move(message)};
}
// The same error as one of the log.
inline Error as_wal_error(Error error) {
  error.component = Component::kWal;
  return error;
}

}  // namespace persisting::wal
