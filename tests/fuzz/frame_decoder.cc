// Fuzz target: the frame decoder, at any position of any bytes.
// Properties: a decoded frame lies inside the input; encoded again, with any codec, it decodes to
//             the same.
#include <algorithm>
#include <cstdint>
#include <limits>
#include <numeric>
#include <string>
#include <string_view>
#include <vector>

#include "fuzz/checksums.h"
#include "fuzz/input.h"
#include "fuzz/layout.h"
#include "wal/frame.h"

namespace persisting::fuzz {
namespace {

using wal::DecodedFrame;
using wal::EncodedFrame;
using wal::FrameDecoder;

// Exactly as large as what it holds: the address sanitizer then sees a read of the byte behind it.
using ExactBytes = std::vector<char>;

std::string_view view(const ExactBytes& bytes) { return {bytes.data(), bytes.size()}; }

ExactBytes bytes_of(const EncodedFrame& encoded) {
  std::vector<std::string_view> pieces;
  encoded.append_to(&pieces);
  std::string bytes;
  for (const std::string_view piece : pieces) bytes += piece;
  require(bytes.size() == encoded.file_bytes(), "an encoded frame knows its size");
  return {bytes.begin(), bytes.end()};
}

void check_place(std::string_view file, std::size_t position, const DecodedFrame& frame) {
  const auto length = load_little_endian<std::uint32_t>(file.data() + position);
  const std::size_t end = position + wal::frame_header_bytes + length;
  require(end <= file.size(), "a frame ends inside the file");
  require(frame.file_bytes % wal::frame_alignment == 0, "the next frame is aligned");
  require(position + frame.file_bytes - end < wal::frame_alignment, "only padding follows a frame");
  const std::uint64_t total =
      std::accumulate(frame.record_bytes.begin(), frame.record_bytes.end(), std::uint64_t{0});
  if (frame.content() == FrameContent::kArrow) {
    require(frame.record_bytes.empty() && frame.count > 0, "an Arrow frame has rows, no lengths");
  } else {
    require(total == frame.records.size() && frame.count == frame.record_bytes.size(),
            "a frame's records are as long as it says");
  }
  const bool is_compressed = file[position + wal::frame_header_bytes + 1] != 0;
  if (is_compressed) return;
  const char* const body =
      file.data() + position + wal::frame_header_bytes + wal::payload_head_bytes;
  require(frame.records.data() >= body, "records lie behind the frame's head");
  require(frame.records.data() + frame.records.size() == file.data() + end,
          "records end where the frame does");
}

// What the log is given to write such a frame.
WalFrame to_write(const DecodedFrame& frame) {
  if (frame.content() == FrameContent::kArrow)
    return WalFrame::arrow(frame.first_offset, frame.timestamp_us, frame.count, frame.records);
  return {frame.first_offset, frame.timestamp_us, frame.record_bytes, frame.records};
}

void check_again(const DecodedFrame& frame, Compression codec, std::uint64_t seed) {
  const ExactBytes bytes =
      bytes_of(wal::encode_frame(to_write(frame), frame.durable_up_to, codec, seed));
  FrameDecoder decoder(seed);
  DecodedFrame again;
  require(decoder.decode(view(bytes), 0, &again), "a frame that was just encoded decodes");
  require(again.kind != wal::FrameKind::kCleanEnd && again.content() == frame.content() &&
              again.count == frame.count && again.first_offset == frame.first_offset &&
              again.durable_up_to == frame.durable_up_to &&
              again.timestamp_us == frame.timestamp_us && again.file_bytes == bytes.size(),
          "a frame's fields survive encoding");
  require(
      again.records == frame.records && std::ranges::equal(again.record_bytes, frame.record_bytes),
      "a frame's records survive encoding");
}

// What was stored without a codec has one encoding.
void check_bytes(std::string_view file, std::size_t position, const DecodedFrame& frame,
                 std::uint64_t seed) {
  const bool is_compressed = file[position + wal::frame_header_bytes + 1] != 0;
  if (is_compressed || frame.kind == wal::FrameKind::kCleanEnd) return;
  const EncodedFrame encoded =
      wal::encode_frame(to_write(frame), frame.durable_up_to, Compression::kNone, seed);
  const std::size_t bytes = encoded.head.size() + encoded.records.size();
  require(file.substr(position, bytes) == encoded.head + std::string(encoded.records),
          "a frame without codec is encoded as it was");
  require(frame.file_bytes == encoded.file_bytes() && frame.checksum == encoded.checksum,
          "size and checksum are those of the encoder");
}

}  // namespace
}  // namespace persisting::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace persisting;
  using namespace persisting::fuzz;
  Input input(data, size);
  const auto choices = input.number<std::uint8_t>();
  std::size_t position = input.number<std::uint8_t>();
  const auto codec =
      static_cast<Compression>((choices & FrameChoices::codec_mask) >> FrameChoices::codec_shift);
  const std::uint64_t seed = wal::frame_seed(fuzz::bucket_identity, frame_epoch);

  std::string bytes(input.rest());
  if ((choices & FrameChoices::fix_checksums) != 0) fix_frames(bytes, position, seed);
  const ExactBytes exact(bytes.begin(), bytes.end());
  const std::string_view file = view(exact);

  wal::FrameDecoder decoder(seed);
  wal::FrameDecoder decoder_v1(seed, 1);
  wal::DecodedFrame frame;
  do {
    const bool valid_v1 = decoder_v1.decode(file, position, &frame);
    const bool valid = decoder.decode(file, position, &frame);
    require(valid_v1 == (valid && frame.kind != wal::FrameKind::kArrow),
            "version 1 has the same frames, but for those of Arrow data");
    if (valid) {
      check_place(file, position, frame);
      check_bytes(file, position, frame, seed);
      check_again(frame, Compression::kNone, seed);
      check_again(frame, codec, seed);
    }
    position += valid ? frame.file_bytes : wal::frame_alignment;
  } while (position <= file.size());
  require(!decoder.decode(file, position, &frame), "no frame stands behind the end");
  require(!decoder.decode(file, std::numeric_limits<std::size_t>::max() - choices, &frame),
          "no frame stands at the largest positions");
  return 0;
}
