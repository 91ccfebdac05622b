#include "wal/frame.h"

#include <algorithm>
#include <cstring>

#include "base/checksum.h"
#include "base/endian.h"
#include "wal/compression.h"

namespace persisting::wal {
namespace {

constexpr std::string_view zeros{"\0\0\0\0\0\0\0", frame_alignment - 1};

std::string encode_payload_head(FrameKind kind, Compression codec, const WalFrame& frame,
                                std::uint64_t durable_up_to, std::uint64_t body_bytes) {
  std::string head;
  append_little_endian(head, static_cast<std::uint8_t>(kind));
  append_little_endian(head, static_cast<std::uint8_t>(codec));
  append_little_endian(head, std::uint16_t{0});
  append_little_endian(head, frame.count);
  append_little_endian(head, frame.first_offset);
  append_little_endian(head, durable_up_to);
  append_little_endian(head, frame.timestamp_us);
  append_little_endian(head, body_bytes);
  return head;
}

// Puts length and checksum before a payload, of which `records` is the last part.
EncodedFrame seal(std::string payload, std::string_view records, std::uint64_t seed) {
  EncodedFrame encoded;
  append_little_endian(encoded.head, static_cast<std::uint32_t>(payload.size() + records.size()));
  Checksum checksum(seed);
  checksum.update(encoded.head);
  checksum.update(payload);
  checksum.update(records);
  encoded.checksum = checksum.digest32();
  append_little_endian(encoded.head, encoded.checksum);
  encoded.head += payload;
  encoded.records = records;
  encoded.padding = padding_after(encoded.head.size() + records.size());
  return encoded;
}

// Whether the body's size agrees with what the head says of it.
bool has_plausible_size(std::string_view payload) {
  const auto count = load_little_endian<std::uint32_t>(payload.data() + 4);
  const auto raw_bytes = load_little_endian<std::uint64_t>(payload.data() + 32);
  if (raw_bytes > Wal::max_frame_bytes) return false;
  const bool has_lengths = static_cast<FrameKind>(payload[0]) != FrameKind::kArrow;
  if (has_lengths ? raw_bytes < std::uint64_t{count} * sizeof(std::uint32_t) : count == 0)
    return false;
  return static_cast<Compression>(payload[1]) != Compression::kNone ||
         payload.size() - payload_head_bytes == raw_bytes;
}

}  // namespace

std::uint64_t frame_seed(std::uint64_t bucket_identity, std::uint64_t epoch) {
  std::string identity;
  append_little_endian(identity, bucket_identity);
  append_little_endian(identity, epoch);
  return checksum64(identity);
}

void EncodedFrame::append_to(std::vector<std::string_view>* pieces) const {
  pieces->push_back(head);
  if (!records.empty()) pieces->push_back(records);
  if (padding > 0) pieces->push_back(zeros.substr(0, padding));
}

EncodedFrame encode_frame(const WalFrame& frame, std::uint64_t durable_up_to, Compression codec,
                          std::uint64_t seed) {
  const FrameKind kind =
      frame.content == FrameContent::kArrow ? FrameKind::kArrow : FrameKind::kRecords;
  const std::string_view lengths(reinterpret_cast<const char*>(frame.record_bytes.data()),
                                 frame.record_bytes.size_bytes());
  std::string payload =
      encode_payload_head(kind, codec, frame, durable_up_to, lengths.size() + frame.records.size());
  if (codec == Compression::kNone) {
    payload += lengths;
    return seal(std::move(payload), frame.records, seed);
  }
  std::string body(lengths);
  body += frame.records;
  payload += compress(codec, body);
  return seal(std::move(payload), {}, seed);
}

EncodedFrame encode_clean_end(std::uint64_t end_offset, std::uint64_t seed) {
  WalFrame frame;
  frame.first_offset = end_offset;
  return seal(encode_payload_head(FrameKind::kCleanEnd, Compression::kNone, frame, end_offset, 0),
              {}, seed);
}

std::size_t SingleRecordFrame::file_bytes(std::size_t record_bytes) {
  const std::size_t bytes =
      frame_header_bytes + payload_head_bytes + sizeof(std::uint32_t) + record_bytes;
  return bytes + padding_after(bytes);
}

void SingleRecordFrame::encode(std::uint64_t offset, std::int64_t timestamp_us,
                               std::string_view record, std::uint64_t durable_up_to,
                               std::uint64_t seed) {
  const std::size_t body_bytes = sizeof(std::uint32_t) + record.size();
  const std::size_t payload_bytes = payload_head_bytes + body_bytes;
  bytes_.resize(file_bytes(record.size()));
  // Length and payload are checked as one piece, so the length stands right before the payload at first.
  char* const length = bytes_.data() + sizeof(std::uint32_t);
  char* const payload = bytes_.data() + frame_header_bytes;
  store_little_endian(length, static_cast<std::uint32_t>(payload_bytes));
  store_little_endian(payload, static_cast<std::uint8_t>(FrameKind::kRecords));
  store_little_endian(payload + 1, static_cast<std::uint8_t>(Compression::kNone));
  store_little_endian(payload + 2, std::uint16_t{0});
  store_little_endian(payload + 4, std::uint32_t{1});
  store_little_endian(payload + 8, offset);
  store_little_endian(payload + 16, durable_up_to);
  store_little_endian(payload + 24, timestamp_us);
  store_little_endian(payload + 32, static_cast<std::uint64_t>(body_bytes));
  store_little_endian(payload + payload_head_bytes, static_cast<std::uint32_t>(record.size()));
  char* const body = payload + payload_head_bytes + sizeof(std::uint32_t);
  std::memcpy(body, record.data(), record.size());
  std::fill(body + record.size(), bytes_.data() + bytes_.size(), '\0');
  checksum_ =
      static_cast<std::uint32_t>(checksum64({length, sizeof(std::uint32_t) + payload_bytes}, seed));
  store_little_endian(bytes_.data(), static_cast<std::uint32_t>(payload_bytes));
  store_little_endian(length, checksum_);
}

bool FrameDecoder::decode(std::string_view file, std::size_t position, DecodedFrame* frame) {
  if (position > file.size() || file.size() - position < frame_header_bytes + payload_head_bytes)
    return false;
  const char* const header = file.data() + position;
  const auto length = load_little_endian<std::uint32_t>(header);
  if (length < payload_head_bytes || length > file.size() - position - frame_header_bytes)
    return false;
  const std::string_view payload = file.substr(position + frame_header_bytes, length);
  const char* const head = payload.data();
  const auto kind = static_cast<std::uint8_t>(head[0]);
  // Cheap checks first: recovery tries many positions.
  if (!is_known(kind) ||
      static_cast<std::uint8_t>(head[1]) > static_cast<std::uint8_t>(Compression::kSnappy) ||
      load_little_endian<std::uint16_t>(head + 2) != 0 || !has_plausible_size(payload)) {
    return false;
  }
  frame->checksum = load_little_endian<std::uint32_t>(header + 4);
  Checksum checksum(seed_);
  checksum.update({header, sizeof(length)});
  checksum.update(payload);
  if (checksum.digest32() != frame->checksum) return false;

  frame->kind = static_cast<FrameKind>(kind);
  frame->first_offset = load_little_endian<std::uint64_t>(head + 8);
  frame->durable_up_to = load_little_endian<std::uint64_t>(head + 16);
  frame->timestamp_us = load_little_endian<std::int64_t>(head + 24);
  frame->file_bytes = frame_header_bytes + length + padding_after(frame_header_bytes + length);
  frame->count = load_little_endian<std::uint32_t>(head + 4);
  return decode_body(payload, frame);
}

bool FrameDecoder::is_known(std::uint8_t kind) const {
  switch (static_cast<FrameKind>(kind)) {
    case FrameKind::kRecords:
    case FrameKind::kCleanEnd:
      return true;
    case FrameKind::kArrow:
      return version_ >= arrow_format_version;
  }
  return false;
}

bool FrameDecoder::decode_body(std::string_view payload, DecodedFrame* frame) {
  std::string_view body = payload.substr(payload_head_bytes);
  const auto codec = static_cast<Compression>(payload[1]);
  const auto raw_bytes = load_little_endian<std::uint64_t>(payload.data() + 32);
  if (codec != Compression::kNone) {
    if (!expand(codec, body, raw_bytes, &expanded_)) return false;
    body = expanded_;
  }
  const std::uint32_t lengths = frame->kind == FrameKind::kArrow ? 0 : frame->count;
  const std::size_t lengths_bytes = std::size_t{lengths} * sizeof(std::uint32_t);
  if (body.size() != raw_bytes || body.size() < lengths_bytes) return false;
  lengths_.resize(lengths);
  frame->record_bytes = lengths_;
  frame->records = body.substr(lengths_bytes);
  if (frame->kind == FrameKind::kArrow) return true;
  if (lengths > 0) std::memcpy(lengths_.data(), body.data(), lengths_bytes);
  std::uint64_t total = 0;
  for (const std::uint32_t length : lengths_) total += length;
  return total == frame->records.size();
}

}  // namespace persisting::wal
