// A log of two segments with frames of both contents, as a crash leaves it, and what opening it must do once some of its bytes are others.
// Rule:    docs/formats.md. What is delivered is a prefix of the records with the same bytes, up to the first frame that is
//          damaged; where anything behind that proves records durable which would be lost, and wherever an older segment is
//          damaged, opening refuses, names file and byte, and touches nothing.
// Threads: thread-compatible.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "support/read_only_files.h"
#include "wal/frame.h"
#include "wal/wal.h"

namespace persisting::testing {

class DamagedLog {
 public:
  struct Recipe {
    Compression compression = Compression::kNone;
    std::uint64_t segment_bytes = 0;  // the first one has some more, the second some less
    std::size_t longest_record = 0;
    std::size_t most_frames =
        1;  // of one commit round; the last round has so many, the one before a single record
  };
  struct Frame {
    std::size_t segment = 0;
    std::size_t begin = 0;
    std::size_t payload_end = 0;
    std::size_t end = 0;  // with padding
    std::uint64_t first_offset = 0;
    std::uint64_t end_offset = 0;
    std::uint64_t durable_up_to = 0;
  };

  explicit DamagedLog(const Recipe& recipe);

  static constexpr std::size_t segment_count = 2;
  const std::string& path(std::size_t segment) const { return paths_[segment]; }
  const std::string& segment(std::size_t segment) const { return segments_[segment]; }
  std::size_t total_bytes() const { return segments_[0].size() + segments_[1].size(); }
  const std::vector<Frame>& frames() const { return frames_; }
  std::string_view bytes_of(const Frame& frame) const {
    return std::string_view(segments_[frame.segment]).substr(frame.begin, frame.end - frame.begin);
  }
  // A frame in the place of `frame`, with records of its own, as an opening with this identity and epoch would write it.
  std::string counterfeit(const Frame& frame, std::uint64_t identity, std::uint64_t epoch) const;
  std::uint64_t identity() const { return options_.bucket_identity; }
  std::uint64_t epoch() const { return epoch_; }

  // Opens the log with `bytes` as its segment, and holds the outcome against the rule. `proven`: what frames that were moved
  // say to be durable.
  void check(std::size_t segment, const std::string& bytes, std::uint64_t proven = 0);

  std::uint64_t checked() const { return checked_; }
  std::uint64_t refused() const { return refused_; }

 private:
  void write(const Recipe& recipe);
  void find_frames();
  // Up to which offset records are delivered; nothing where opening must refuse. Bytes outside [begin, end) are as they were.
  std::optional<std::uint64_t> expected_end(std::size_t segment, std::string_view bytes,
                                            std::size_t begin, std::size_t end,
                                            std::uint64_t proven) const;
  bool is_next(const ReplayedFrame& frame, std::uint64_t next) const;

  WalOptions options_;
  std::uint64_t epoch_ = 0;
  std::string records_;                   // all of them
  std::vector<std::size_t> record_ends_;  // in records_
  std::vector<std::string> paths_;
  std::vector<std::string> segments_;
  std::vector<Frame> frames_;
  ReadOnlyFiles files_;
  std::uint64_t checked_ = 0;
  std::uint64_t refused_ = 0;
};

}  // namespace persisting::testing
