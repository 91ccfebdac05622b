#include "support/damaged_log.h"

#include <algorithm>
#include <cstring>
#include <random>
#include <utility>

#include <gtest/gtest.h>

#include "support/log_end.h"
#include "support/power_cut_file_system.h"
#include "wal/torn_end.h"

namespace persisting::testing {
namespace {

constexpr std::int64_t append_time = 5;

// Text that a codec shortens a little.
std::string make_record(std::mt19937_64& random, std::size_t longest) {
  std::string record(1 + random() % longest, ' ');
  for (char& letter : record) letter = static_cast<char>('a' + random() % 24);
  return record;
}

// Every third frame or so is one of Arrow data: bytes of which the log knows no more than how many.
WalFrame make_frame(std::uint64_t first, const std::vector<std::uint32_t>& lengths,
                    std::string_view records) {
  if (first % 3 != 1) return {first, append_time, lengths, records};
  return WalFrame::arrow(first, append_time, static_cast<std::uint32_t>(lengths.size()), records);
}

}  // namespace

DamagedLog::DamagedLog(const Recipe& recipe) {
  options_.folder = "/wal";
  options_.bucket_identity = 7;
  options_.segment_bytes = recipe.segment_bytes;
  options_.compression = recipe.compression;
  write(recipe);
  find_frames();
}

void DamagedLog::write(const Recipe& recipe) {
  PowerCutFileSystem disk;
  WalRecovery recovery;
  auto opened = Wal::open(
      disk, Executors::instance().commit, options_, 0,
      [](const ReplayedFrame&) { return ok_status(); }, [](std::uint64_t, const Status&) {},
      &recovery);
  ASSERT_TRUE(opened.ok());
  Wal& wal = **opened;
  epoch_ = wal.epoch();
  std::mt19937_64 random(1);
  const auto write_round = [&](std::size_t frames, bool single) {
    std::vector<std::string> bodies(frames);  // the log uses them in place
    std::vector<std::vector<std::uint32_t>> lengths(frames);
    for (std::size_t f = 0; f < frames; ++f) {
      const std::uint64_t first = record_ends_.size();
      for (std::uint64_t left = single || random() % 3 != 0 ? 1 : 3; left > 0; --left) {
        const std::string record = make_record(random, recipe.longest_record);
        lengths[f].push_back(static_cast<std::uint32_t>(record.size()));
        bodies[f] += record;
        records_ += record;
        record_ends_.push_back(records_.size());
      }
      wal.enqueue(make_frame(first, lengths[f], bodies[f]));
    }
    ASSERT_TRUE(wal.commit(record_ends_.size()).ok());
  };
  // No third segment: the last rounds begin where the longest ones still fit.
  const std::size_t longest_end = (recipe.most_frames + 1) * (3 * recipe.longest_record + 80);
  const auto is_full = [&] {
    const auto files = disk.files();
    return files.size() == segment_count &&
           log_end(files.rbegin()->second) + longest_end >= recipe.segment_bytes;
  };
  while (!is_full()) write_round(1 + random() % recipe.most_frames, false);
  // One record, of which only the last round says that it was durable.
  write_round(1, true);
  write_round(recipe.most_frames, false);
  // As a crash leaves it: without the mark of a clean end. The room is cut off later.
  for (const auto& [path, contents] : disk.files()) {
    paths_.push_back(path);
    segments_.push_back(contents);
  }
  ASSERT_EQ(segments_.size(), segment_count);
}

void DamagedLog::find_frames() {
  std::size_t arrow_frames = 0;
  for (std::size_t s = 0; s < segments_.size(); ++s) {
    wal::FrameDecoder decoder(wal::frame_seed(options_.bucket_identity, epoch_));
    wal::DecodedFrame frame;
    std::size_t position = wal::segment_header_bytes;
    for (; decoder.decode(segments_[s], position, &frame); position += frame.file_bytes) {
      if (frame.content() == FrameContent::kArrow) ++arrow_frames;
      std::uint32_t length = 0;
      std::memcpy(&length, segments_[s].data() + position, sizeof length);
      frames_.push_back({s, position, position + wal::frame_header_bytes + length,
                         position + frame.file_bytes, frame.first_offset,
                         frame.first_offset + frame.count, frame.durable_up_to});
    }
    ASSERT_TRUE(wal::is_room(segments_[s], position));
    segments_[s].resize(position);
    files_.set(paths_[s], segments_[s]);
  }
  ASSERT_EQ(frames_.back().end_offset, record_ends_.size());
  ASSERT_TRUE(arrow_frames > 0 && arrow_frames < frames_.size());
}

std::string DamagedLog::counterfeit(const Frame& frame, std::uint64_t identity,
                                    std::uint64_t epoch) const {
  std::vector<std::uint32_t> lengths;
  std::string records;
  for (std::uint64_t offset = frame.first_offset; offset < frame.end_offset; ++offset) {
    const std::size_t begin = offset == 0 ? 0 : record_ends_[offset - 1];
    lengths.push_back(static_cast<std::uint32_t>(record_ends_[offset] - begin));
    records += records_.substr(begin, lengths.back());
  }
  // Not these records: capitals.
  for (char& letter : records) letter = static_cast<char>(letter - 'a' + 'A');
  const wal::EncodedFrame encoded =
      wal::encode_frame(make_frame(frame.first_offset, lengths, records), frame.durable_up_to,
                        options_.compression, wal::frame_seed(identity, epoch));
  std::vector<std::string_view> pieces;
  encoded.append_to(&pieces);
  std::string bytes;
  for (const std::string_view piece : pieces) bytes += piece;
  return bytes;
}

std::optional<std::uint64_t> DamagedLog::expected_end(std::size_t segment, std::string_view bytes,
                                                      std::size_t begin, std::size_t end,
                                                      std::uint64_t proven) const {
  const bool is_last = segment + 1 == segments_.size();
  const bool header_damaged = begin < wal::segment_header_bytes;
  const std::string_view header = bytes.substr(0, wal::segment_header_bytes);
  const bool header_lost = header.find_first_not_of('\0') == std::string_view::npos;
  std::optional<std::uint64_t> damaged_from;
  bool any_whole = false;
  for (const Frame& frame : frames_) {
    if (frame.segment != segment) continue;
    const bool whole = frame.payload_end <= begin || frame.begin >= end;
    if (header_damaged && !damaged_from) damaged_from = frame.first_offset;
    if (!whole && !damaged_from) damaged_from = frame.first_offset;
    if (!whole || !damaged_from) continue;
    any_whole = true;
    proven = std::max(proven, frame.durable_up_to);
  }
  if (!is_last) {
    // Padding has no checksum and no meaning; behind the last frame only room has a place.
    if (damaged_from || !wal::is_room(bytes, segments_[segment].size())) return std::nullopt;
    return record_ends_.size();
  }
  if (!damaged_from) return record_ends_.size();
  if (header_damaged && any_whole && !header_lost) return std::nullopt;
  if (proven > *damaged_from) return std::nullopt;
  return damaged_from;
}

bool DamagedLog::is_next(const ReplayedFrame& frame, std::uint64_t next) const {
  if (frame.count == 0 || next + frame.count > record_ends_.size()) return false;
  std::vector<std::uint32_t> lengths;
  const std::size_t begin = next == 0 ? 0 : record_ends_[next - 1];
  std::size_t end = begin;
  for (std::size_t i = 0; i < frame.count; ++i) {
    lengths.push_back(static_cast<std::uint32_t>(record_ends_[next + i] - end));
    end = record_ends_[next + i];
  }
  const WalFrame written =
      make_frame(next, lengths, std::string_view(records_).substr(begin, end - begin));
  return frame.first_offset == next && frame.timestamp_us == append_time &&
         frame.content == written.content && frame.records == written.records &&
         std::ranges::equal(frame.record_bytes, written.record_bytes);
}

void DamagedLog::check(std::size_t segment, const std::string& bytes, std::uint64_t proven) {
  const std::string& original = segments_[segment];
  const auto [was, is] =
      std::mismatch(original.begin(), original.end(), bytes.begin(), bytes.end());
  if (was == original.end() && is == bytes.end()) return;  // nothing has changed
  const auto begin = static_cast<std::size_t>(was - original.begin());
  std::size_t end = original.size();
  if (bytes.size() == original.size()) {
    const auto from_behind =
        std::mismatch(original.rbegin(), original.rend(), bytes.rbegin(), bytes.rend());
    end -= static_cast<std::size_t>(from_behind.first - original.rbegin());
  }
  const std::optional<std::uint64_t> expected = expected_end(segment, bytes, begin, end, proven);

  files_.set(paths_[segment], bytes);
  files_.forget_changes();
  std::uint64_t next = 0;
  bool same = true;
  WalRecovery recovery;
  const auto opened = Wal::open(
      files_, Executors::instance().commit, options_, 0,
      [&](const ReplayedFrame& frame) {
        same = same && is_next(frame, next);
        next += frame.count;
        return ok_status();
      },
      [](std::uint64_t, const Status&) {}, &recovery);
  files_.set(paths_[segment], original);
  ++checked_;

  EXPECT_TRUE(same) << "a record that was never written there";
  if (opened) {
    ASSERT_TRUE(expected.has_value()) << "delivered up to " << next << ", must be refused";
    EXPECT_EQ(next, *expected);
    EXPECT_EQ(recovery.next_offset, next);
    if (const auto cut = files_.truncated_to()) {
      std::size_t end_of_frames = wal::segment_header_bytes;
      for (const Frame& frame : frames_) {
        if (frame.segment == segment && frame.end_offset <= next) end_of_frames = frame.end;
      }
      EXPECT_EQ(*cut, end_of_frames);
    }
    return;
  }
  ++refused_;
  const Error& error = opened.error();
  ASSERT_FALSE(expected.has_value()) << "must deliver up to " << *expected << ": " << error.message;
  EXPECT_EQ(error.code, ErrorCode::kCorruption) << error.message;
  EXPECT_EQ(error.component, Component::kWal);
  const std::string start = paths_[segment] + ": byte ";
  ASSERT_TRUE(error.message.starts_with(start)) << error.message;
  EXPECT_LE(std::stoull(error.message.substr(start.size())), bytes.size()) << error.message;
  EXPECT_TRUE(files_.untouched()) << "damage must not be touched";
}

}  // namespace persisting::testing
