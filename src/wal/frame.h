// One frame: how it is made, and how it is recognised among bytes that may be anything.
// Threads: free functions; a FrameDecoder is thread-compatible.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "wal/wal_format.h"

namespace persisting::wal {

// A frame on its way to the file: head, then (where the body is not in the head) the records, then padding.
struct EncodedFrame {
  std::string head;
  std::string_view records;
  std::size_t padding = 0;
  std::uint32_t checksum = 0;

  std::size_t file_bytes() const { return head.size() + records.size() + padding; }
  void append_to(std::vector<std::string_view>* pieces) const;
};

// Ties a frame's checksum to one opening of one bucket, so that a frame which a record happens to contain (a copy of some
// log, say) is not taken for one of this log.
std::uint64_t frame_seed(std::uint64_t bucket_identity, std::uint64_t epoch);

// `frame.records` must outlive the result unless it is compressed.
EncodedFrame encode_frame(const WalFrame& frame, std::uint64_t durable_up_to, Compression codec,
                          std::uint64_t seed);
EncodedFrame encode_clean_end(std::uint64_t end_offset, std::uint64_t seed);

// A frame of one record, not compressed, made in memory that is used again.
class SingleRecordFrame {
 public:
  void encode(std::uint64_t offset, std::int64_t timestamp_us, std::string_view record,
              std::uint64_t durable_up_to, std::uint64_t seed);

  static std::size_t file_bytes(std::size_t record_bytes);
  // The whole frame, with padding.
  std::string_view bytes() const { return bytes_; }
  std::uint32_t checksum() const { return checksum_; }

 private:
  std::string bytes_;
  std::uint32_t checksum_ = 0;
};

struct DecodedFrame {
  FrameKind kind = FrameKind::kRecords;
  std::uint64_t first_offset = 0;
  std::uint64_t durable_up_to = 0;
  std::int64_t timestamp_us = 0;
  std::uint32_t checksum = 0;
  std::size_t file_bytes = 0;  // with padding
  std::uint32_t count = 0;     // of records
  // Valid until the decoder's next call.
  std::span<const std::uint32_t> record_bytes;
  std::string_view records;

  FrameContent content() const {
    return kind == FrameKind::kArrow ? FrameContent::kArrow : FrameContent::kRecords;
  }
  ReplayedFrame replayed() const {
    return {first_offset, timestamp_us, content(), count, record_bytes, records};
  }
};

class FrameDecoder {
 public:
  // `version`: of the segment; what no segment of that version holds is no frame.
  explicit FrameDecoder(std::uint64_t seed, std::uint32_t version = format_version)
      : seed_(seed), version_(version) {}

  // Whether a whole, valid frame stands at `position` of the segment. Reads nothing outside `file`.
  bool decode(std::string_view file, std::size_t position, DecodedFrame* frame);

 private:
  bool is_known(std::uint8_t kind) const;
  bool decode_body(std::string_view payload, DecodedFrame* frame);

  const std::uint64_t seed_;
  const std::uint32_t version_;
  std::string expanded_;
  std::vector<std::uint32_t> lengths_;
};

}  // namespace persisting::wal
