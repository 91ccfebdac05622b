// How the inputs of the fuzz targets are laid out. A few bytes of choices stand before the bytes
// under test, so that the fuzzer can ask for checksums to be put right: it would rarely guess one,
// and never get behind it. A change here makes the kept corpus mean something else: write the seeds
// again (tests/fuzz/run --merge).
#pragma once

#include <cstdint>

namespace persisting::fuzz {

// The identity of the bucket whose log is under test, and the epoch of lone frames.
inline constexpr std::uint64_t bucket_identity = 0x1122334455667788;
inline constexpr std::uint64_t frame_epoch = 1;

// frame_decoder: u8 choices | u8 where decoding begins | bytes of a segment from there on.
struct FrameChoices {
  static constexpr std::uint8_t fix_checksums = 1;
  static constexpr std::uint8_t codec_mask = 6;  // with which a decoded frame is encoded again
  static constexpr int codec_shift = 1;
};

// log_recovery: u8 choices | u16 flushed_to | u16 bytes of the first segment | that segment | the
// second one. A segment is named after what its header says, so that most names agree with their
// headers.
struct LogChoices {
  static constexpr std::uint8_t fix_frames = 1;
  static constexpr std::uint8_t fix_headers = 2;
  static constexpr std::uint8_t misname_last = 4;
};

// sealed_files: u8 choices | bytes. With `seal` the bytes are a payload, else a whole file, its
// checksum as it is or put right.
struct SealedChoices {
  static constexpr std::uint8_t kind_mask = 3;
  static constexpr std::uint8_t checkpoint = 0;
  static constexpr std::uint8_t bucket = 1;
  // The schema alone, which has neither head nor checksum, and a checkpoint around it.
  static constexpr std::uint8_t schema = 2;
  static constexpr std::uint8_t checkpoint_of_schema = 3;
  static constexpr std::uint8_t seal = 4;
  static constexpr std::uint8_t fix_checksum = 8;
  // What `seal` puts around the payload says that it is of version 1, not of the one that is written.
  static constexpr std::uint8_t version_1 = 16;
};

// record_codec: encoded records, one behind the other.

// arrow_ipc: an Arrow IPC stream.

}  // namespace persisting::fuzz
