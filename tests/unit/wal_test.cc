// The write-ahead log: its bytes, its groups, its order of calls, its failures.
#include "wal/wal.h"

#include <array>
#include <atomic>
#include <deque>
#include <future>
#include <latch>
#include <mutex>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/thread_pool.h"
#include "support/faulty_file_system.h"
#include "support/log_end.h"
#include "support/power_cut_file_system.h"
#include "wal/frame.h"
#include "wal/wal_format.h"

namespace persisting {
namespace {

using ::testing::ElementsAre;
using testing::FaultyFileSystem;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::PowerCutFileSystem;
using namespace std::chrono_literals;

constexpr std::uint64_t bucket_identity = 0x1122334455667788;

std::string hex(std::string_view bytes) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string text;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    if (i > 0) text += i % 8 == 0 ? '\n' : ' ';
    text += digits[static_cast<unsigned char>(bytes[i]) >> 4];
    text += digits[static_cast<unsigned char>(bytes[i]) & 15];
  }
  return text;
}

// As it stands in a segment.
std::string bytes_of(const wal::EncodedFrame& encoded) {
  std::vector<std::string_view> pieces;
  encoded.append_to(&pieces);
  std::string bytes;
  for (const std::string_view piece : pieces) bytes += piece;
  return bytes;
}

// A frame of one record "x".
std::string frame_bytes(std::uint64_t first, std::uint64_t durable, std::uint64_t seed) {
  const std::array lengths{1U};
  return bytes_of(
      wal::encode_frame({first, 1000, lengths, "x"}, durable, Compression::kNone, seed));
}

// A frame of two rows in Arrow data. The log does not look inside: any bytes will do.
std::string arrow_frame_bytes(std::uint64_t first, std::uint64_t durable, std::uint64_t seed) {
  return bytes_of(wal::encode_frame(WalFrame::arrow(first, 1000, 2, "rows"), durable,
                                    Compression::kNone, seed));
}

class WalTest : public ::testing::Test {
 protected:
  using Told = std::vector<std::pair<std::uint64_t, bool>>;

  static WalOptions options() {
    WalOptions options;
    options.folder = "/bucket/wal";
    options.bucket_identity = bucket_identity;
    return options;
  }

  Result<std::unique_ptr<Wal>> try_open(const WalOptions& options, std::uint64_t flushed_to = 0) {
    replayed_.clear();
    return Wal::open(
        files_, executor_, options, flushed_to,
        [this](const ReplayedFrame& frame) {
          if (frame.content == FrameContent::kArrow) {
            EXPECT_TRUE(frame.record_bytes.empty());
            replayed_.push_back(std::to_string(frame.count) + " rows: ");
            replayed_.back() += frame.records;
            return ok_status();
          }
          EXPECT_EQ(frame.count, frame.record_bytes.size());
          std::size_t position = 0;
          for (const std::uint32_t length : frame.record_bytes) {
            replayed_.emplace_back(frame.records.substr(position, length));
            position += length;
          }
          return ok_status();
        },
        [this](std::uint64_t end, const Status& status) { tell(end, status); }, &recovery_);
  }
  std::unique_ptr<Wal> open(const WalOptions& options, std::uint64_t flushed_to = 0) {
    auto wal = try_open(options, flushed_to);
    EXPECT_TRUE(wal.ok()) << wal.error().message;
    next_ = recovery_.next_offset;
    return std::move(wal).value();
  }

  void tell(std::uint64_t end, const Status& status) {
    EXPECT_TRUE(!status || !must_be_synced_ || files_.all_synced());
    const std::lock_guard lock(told_mutex_);
    told_.emplace_back(end, status.ok());
    if (on_told_) on_told_();
  }
  Told told() {
    const std::lock_guard lock(told_mutex_);
    return told_;
  }

  // Enqueues one frame of one record; returns its end. Not thread-safe, as enqueue() is not.
  std::uint64_t enqueue(Wal& wal, std::string record) {
    records_.push_back(std::move(record));
    const std::array lengths{static_cast<std::uint32_t>(records_.back().size())};
    wal.enqueue({next_, 1000, lengths, records_.back()});
    return ++next_;
  }
  // The same with `rows` rows in Arrow data.
  Status put_arrow(Wal& wal, std::uint32_t rows, std::string stream) {
    records_.push_back(std::move(stream));
    wal.enqueue(WalFrame::arrow(next_, 1000, rows, records_.back()));
    next_ += rows;
    return wal.commit(next_);
  }
  Status put(Wal& wal, std::string record) { return wal.commit(enqueue(wal, std::move(record))); }
  std::vector<std::string> segments() {
    std::vector<std::string> names;
    for (const auto& [path, contents] : disk_.files()) names.push_back(path.substr(12));
    return names;
  }

  PowerCutFileSystem disk_;
  FaultyFileSystem files_{disk_};
  std::deque<std::string> records_;  // as enqueued; never moved
  std::vector<std::string> replayed_;
  WalRecovery recovery_;
  std::uint64_t next_ = 0;
  bool must_be_synced_ = false;
  std::mutex told_mutex_;
  Told told_;                           // under told_mutex_
  std::function<void()> on_told_;       // called under told_mutex_; set while nothing runs
  ThreadPool executor_{"wal-test", 2};  // last: its threads use the rest
};

// ---- bytes: the worked example of docs/formats.md ----

TEST_F(WalTest, HasTheBytesOfTheWorkedExample) {
  auto wal = open(options());
  ASSERT_TRUE(put(*wal, "\x81\xa1\x61\x01").ok());
  ASSERT_TRUE(wal->close().ok());
  ASSERT_THAT(segments(), ElementsAre("00000000000000000000-0000000001.wal"));
  const std::string bytes = disk_.files().begin()->second;
  ASSERT_EQ(bytes.size(), 64U + 56U + 48U);
  EXPECT_EQ(hex(bytes.substr(0, 64)),
            "50 52 53 54 57 41 4c 31\n"
            "02 00 00 00 00 00 00 00\n"
            "88 77 66 55 44 33 22 11\n"
            "01 00 00 00 00 00 00 00\n"
            "00 00 00 00 00 00 00 00\n"
            "00 00 00 00 00 00 00 00\n"
            "00 00 00 00 00 00 00 00\n"
            "00 00 00 00 f4 ce ed 1c");
  EXPECT_EQ(hex(bytes.substr(64, 56)),
            "30 00 00 00 5e 4a 74 d0\n"
            "01 00 00 00 01 00 00 00\n"
            "00 00 00 00 00 00 00 00\n"
            "00 00 00 00 00 00 00 00\n"
            "e8 03 00 00 00 00 00 00\n"
            "08 00 00 00 00 00 00 00\n"
            "04 00 00 00 81 a1 61 01");
  EXPECT_EQ(hex(bytes.substr(120)),
            "28 00 00 00 97 c0 5f 4f\n"
            "02 00 00 00 00 00 00 00\n"
            "01 00 00 00 00 00 00 00\n"
            "01 00 00 00 00 00 00 00\n"
            "00 00 00 00 00 00 00 00\n"
            "00 00 00 00 00 00 00 00");
}

TEST(WalFormat, BytesOfAnArrowFrame) {
  EXPECT_EQ(hex(arrow_frame_bytes(1, 1, wal::frame_seed(bucket_identity, 1))),
            "2c 00 00 00 82 1f 8c 6e\n"
            "03 00 00 00 02 00 00 00\n"
            "01 00 00 00 00 00 00 00\n"
            "01 00 00 00 00 00 00 00\n"
            "e8 03 00 00 00 00 00 00\n"
            "04 00 00 00 00 00 00 00\n"
            "72 6f 77 73 00 00 00 00");
}

TEST(WalFormat, NamesOfSegments) {
  EXPECT_EQ(wal::segment_name(42, 7), "00000000000000000042-0000000007.wal");
  EXPECT_EQ(wal::segment_name(UINT64_MAX, 99'999'999'999), "18446744073709551615-99999999999.wal");
  for (const auto& [offset, epoch] : std::vector<std::pair<std::uint64_t, std::uint64_t>>{
           {0, 1}, {42, 7}, {UINT64_MAX, 99'999'999'999}}) {
    const auto parsed = wal::parse_segment_name(wal::segment_name(offset, epoch));
    ASSERT_TRUE(parsed);
    EXPECT_EQ(parsed->first_offset, offset);
    EXPECT_EQ(parsed->epoch, epoch);
  }
  for (const char* other :
       {"", "LOCK", "00000000000000000042-0000000007.wal.tmp", "00000000000000000042-000000007.wal",
        "x0000000000000000042-0000000007.wal", "00000000000000000042_0000000007.wal",
        "99999999999999999999-0000000007.wal"}) {
    EXPECT_FALSE(wal::parse_segment_name(other)) << other;
  }
}

// ---- segments ----

TEST_F(WalTest, RotatesAndReplaysEverySegment) {
  WalOptions small = options();
  small.segment_bytes = 200;
  auto wal = open(small);
  std::vector<std::string> expected;
  for (int i = 0; i < 10; ++i) {
    expected.push_back("record " + std::to_string(i));
    ASSERT_TRUE(put(*wal, expected.back()).ok());
  }
  EXPECT_THAT(
      segments(),
      ElementsAre("00000000000000000000-0000000001.wal", "00000000000000000003-0000000001.wal",
                  "00000000000000000006-0000000001.wal", "00000000000000000009-0000000001.wal"));
  std::uint64_t bytes = 0;
  for (const auto& [path, contents] : disk_.files()) bytes += testing::log_end(contents);
  EXPECT_EQ(wal->size_bytes(), bytes);
  wal.reset();
  wal = open(small);
  EXPECT_EQ(replayed_, expected);
  EXPECT_EQ(recovery_.replayed_records, 10U);
  EXPECT_EQ(recovery_.next_offset, 10U);
}

TEST_F(WalTest, ReplaysEveryCompression) {
  for (const Compression codec :
       {Compression::kNone, Compression::kZstd, Compression::kLz4, Compression::kSnappy}) {
    WalOptions compressed = options();
    compressed.folder = "/bucket/wal" + std::to_string(static_cast<int>(codec));
    compressed.compression = codec;
    auto wal = open(compressed);
    const std::string large(100'000, 'a');
    ASSERT_TRUE(put(*wal, large).ok());
    ASSERT_TRUE(put(*wal, "b").ok());
    ASSERT_TRUE(put_arrow(*wal, 1000, large).ok());
    ASSERT_TRUE(put_arrow(*wal, 1, "c").ok());
    ASSERT_TRUE(put(*wal, "d").ok());
    EXPECT_EQ(wal->size_bytes() < 10'000, codec != Compression::kNone);
    wal.reset();
    compressed.compression = Compression::kNone;  // of what is written, not of what is read
    wal = open(compressed);
    EXPECT_THAT(replayed_, ElementsAre(large, "b", "1000 rows: " + large, "1 rows: c", "d"));
    EXPECT_EQ(recovery_.replayed_records, 1004U);
    EXPECT_EQ(recovery_.next_offset, 1004U);
  }
}

// Both contents in one round, and a segment's ends counted in rows.
TEST_F(WalTest, MixesRecordsAndArrowData) {
  WalOptions small = options();
  small.segment_bytes = 200;
  auto wal = open(small);
  enqueue(*wal, "a");
  records_.emplace_back("stream");
  wal->enqueue(WalFrame::arrow(1, 1000, 10, records_.back()));
  next_ = 11;
  ASSERT_TRUE(put(*wal, "b").ok());
  EXPECT_THAT(told(), ElementsAre(std::pair(std::uint64_t{12}, true)));
  ASSERT_TRUE(put_arrow(*wal, 5, "more").ok());
  EXPECT_THAT(segments(), ElementsAre("00000000000000000000-0000000001.wal",
                                      "00000000000000000012-0000000001.wal"));
  wal.reset();
  wal = open(small);
  EXPECT_THAT(replayed_, ElementsAre("a", "10 rows: stream", "b", "5 rows: more"));
  EXPECT_EQ(recovery_.next_offset, 17U);
  ASSERT_TRUE(wal->retire(16).ok());
  EXPECT_THAT(segments(), ElementsAre("00000000000000000012-0000000001.wal"));
  ASSERT_TRUE(wal->retire(17).ok());
  EXPECT_THAT(segments(), IsEmpty());
}

TEST_F(WalTest, RetireRemovesOnlyWhatIsFlushedTheActiveSegmentToo) {
  WalOptions small = options();
  small.segment_bytes = 200;
  auto wal = open(small);
  for (int i = 0; i < 8; ++i) ASSERT_TRUE(put(*wal, "record").ok());
  ASSERT_TRUE(wal->retire(5).ok());
  EXPECT_THAT(segments(), ElementsAre("00000000000000000003-0000000001.wal",
                                      "00000000000000000006-0000000001.wal"));
  ASSERT_TRUE(wal->retire(8).ok());
  EXPECT_THAT(segments(), IsEmpty());
  EXPECT_EQ(wal->size_bytes(), 0U);
  ASSERT_TRUE(put(*wal, "later").ok());
  EXPECT_THAT(segments(), ElementsAre("00000000000000000008-0000000001.wal"));
  wal.reset();
  wal = open(small, 8);
  EXPECT_THAT(replayed_, ElementsAre("later"));
}

TEST_F(WalTest, RecordsMissingAboveWhatIsFlushedAreCorruption) {
  WalOptions small = options();
  small.segment_bytes = 200;
  auto wal = open(small);
  for (int i = 0; i < 8; ++i) ASSERT_TRUE(put(*wal, "record").ok());
  wal.reset();
  ASSERT_TRUE(disk_.remove_file("/bucket/wal/00000000000000000003-0000000001.wal").ok());
  const auto refused = try_open(small, 5);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::kCorruption);
  EXPECT_THAT(refused.error().message, HasSubstr("00000000000000000006-0000000001.wal: byte 32"));
  EXPECT_TRUE(try_open(small, 6).ok());
}

TEST_F(WalTest, EveryOpeningHasAHigherEpoch) {
  EXPECT_EQ(open(options())->epoch(), 1U);
  EXPECT_EQ(open(options())->epoch(), 1U);  // nothing was written
  auto wal = open(options());
  ASSERT_TRUE(put(*wal, "a").ok());
  wal.reset();
  EXPECT_EQ(open(options())->epoch(), 2U);
  WalOptions later = options();
  later.minimum_epoch = 20;
  EXPECT_EQ(open(later)->epoch(), 21U);
}

// A log is recovered in windows of a mebibyte.
TEST_F(WalTest, ALargeSegmentIsReadToItsEndWhereverItsFramesLie) {
  const std::string large(3 << 20, 'l');
  std::vector<std::string> put_there;
  {
    auto wal = open(options());
    for (int i = 0; i < 12; ++i) {
      const std::string record = i == 5 ? large : std::string(300'000, static_cast<char>('a' + i));
      put_there.push_back(record);
      ASSERT_TRUE(put(*wal, record).ok());
    }
  }
  const std::string path = disk_.files().begin()->first;
  const std::string contents = disk_.files().begin()->second;
  open(options()).reset();
  EXPECT_EQ(replayed_, put_there);

  std::size_t begin = wal::segment_header_bytes;
  for (std::size_t i = 0; i < put_there.size(); ++i) {
    const std::vector before(put_there.begin(), put_there.begin() + static_cast<std::ptrdiff_t>(i));
    std::string damaged = contents;
    damaged[begin + 1000] ^= 1;
    disk_.set_file(path, damaged);
    const auto refused = try_open(options());
    ASSERT_FALSE(refused.ok()) << i;
    EXPECT_EQ(refused.error().code, ErrorCode::kCorruption);
    EXPECT_THAT(refused.error().message, HasSubstr("byte " + std::to_string(begin) + ": "));
    EXPECT_EQ(replayed_, before);

    disk_.set_file(path, contents.substr(0, begin + 1000));
    if (i > 0) open(options()).reset();
    EXPECT_EQ(replayed_, before);
    const std::size_t frame =
        wal::frame_header_bytes + wal::payload_head_bytes + 4 + put_there[i].size();
    begin += (frame + wal::frame_alignment - 1) / wal::frame_alignment * wal::frame_alignment;
  }
}

TEST_F(WalTest, ASegmentOfAnotherBucketIsRefused) {
  auto wal = open(options());
  ASSERT_TRUE(put(*wal, "a").ok());
  wal.reset();
  WalOptions other = options();
  other.bucket_identity = 1;
  const auto refused = try_open(other);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::kCorruption);
  EXPECT_THAT(refused.error().message, HasSubstr("another bucket"));
}

TEST_F(WalTest, ATornEndIsCutOff) {
  auto wal = open(options());
  ASSERT_TRUE(put(*wal, "a").ok());
  wal.reset();
  const auto [path, whole] = *disk_.files().begin();
  disk_.set_file(path, whole.substr(0, 120) + "\x30half a frame");
  wal = open(options());
  EXPECT_THAT(replayed_, ElementsAre("a"));
  EXPECT_EQ(recovery_.truncated_bytes, 13U);
  EXPECT_EQ(recovery_.truncated_file, path);
  EXPECT_EQ(disk_.files().at(path).size(), 120U);
}

// A record may hold a copy of some log: within a torn write its frames prove nothing.
TEST_F(WalTest, AFrameInsideATornRecordIsNoFrameOfThisLog) {
  const std::string path = "/bucket/wal/" + wal::segment_name(0, 1);
  const std::uint64_t own = wal::frame_seed(bucket_identity, 1);
  const std::string torn_head(8, '\x7f');
  for (const std::uint64_t other : {wal::frame_seed(7, 1), wal::frame_seed(bucket_identity, 2)}) {
    disk_.set_file(path, wal::encode_segment_header({bucket_identity, 1, 0, {}}) +
                             frame_bytes(0, 0, own) + torn_head + frame_bytes(9, 9, other));
    auto wal = open(options());
    EXPECT_EQ(recovery_.next_offset, 1U);
    EXPECT_GT(recovery_.truncated_bytes, 0U);
  }
}

// Whole frames that do not continue the offsets are no part of the log.
TEST_F(WalTest, AFrameWithAnotherFirstOffsetEndsTheLogOrIsCorruption) {
  const std::string path = "/bucket/wal/" + wal::segment_name(0, 1);
  const auto frame = [](std::uint64_t first, std::uint64_t durable) {
    return frame_bytes(first, durable, wal::frame_seed(bucket_identity, 1));
  };
  const std::string begin =
      wal::encode_segment_header({bucket_identity, 1, 0, {}}) + frame(0, 0) + frame(1, 1);
  for (const std::uint64_t first : {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{3}}) {
    disk_.set_file(path, begin + frame(first, 2));
    open(options());
    EXPECT_THAT(replayed_, ElementsAre("x", "x")) << first;
    EXPECT_EQ(disk_.files().at(path), begin);
  }
  disk_.set_file(path, begin + frame(3, 3));
  const auto refused = try_open(options());
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::kCorruption);
  EXPECT_THAT(refused.error().message, HasSubstr(path + ": byte " + std::to_string(begin.size())));
}

// ---- earlier format versions ----

// What tests/golden/segment-v1.wal holds, and a frame that only a later version has.
TEST_F(WalTest, ArrowDataInASegmentOfVersion1IsNoFrame) {
  const std::string path = "/bucket/wal/" + wal::segment_name(0, 1);
  const std::uint64_t seed = wal::frame_seed(bucket_identity, 1);
  const std::string frames = frame_bytes(0, 0, seed);
  const std::string arrow = arrow_frame_bytes(1, 1, seed);
  disk_.set_file(path, wal::encode_segment_header({bucket_identity, 1, 0, {}, 2}) + frames + arrow);
  open(options());
  EXPECT_THAT(replayed_, ElementsAre("x", "2 rows: rows"));

  const std::string begin = wal::encode_segment_header({bucket_identity, 1, 0, {}, 1}) + frames;
  disk_.set_file(path, begin + arrow);
  open(options());
  EXPECT_THAT(replayed_, ElementsAre("x"));
  EXPECT_EQ(disk_.files().at(path), begin);

  // It tells nothing about durability either; a frame behind it does.
  disk_.set_file(path, begin + arrow_frame_bytes(1, 3, seed));
  open(options());
  EXPECT_EQ(disk_.files().at(path), begin);
  disk_.set_file(path, begin + arrow + frame_bytes(3, 3, seed));
  const auto refused = try_open(options());
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::kCorruption);
}

// Nothing is ever appended to a segment that an earlier opening made: with an earlier version, say.
TEST_F(WalTest, ASegmentOfVersion1IsReadAndNotWrittenTo) {
  const std::string path = "/bucket/wal/" + wal::segment_name(0, 1);
  const std::string old = wal::encode_segment_header({bucket_identity, 1, 0, {}, 1}) +
                          frame_bytes(0, 0, wal::frame_seed(bucket_identity, 1));
  disk_.set_file(path, old);
  auto wal = open(options());
  ASSERT_TRUE(put_arrow(*wal, 2, "rows").ok());
  wal.reset();
  EXPECT_EQ(disk_.files().at(path), old);
  const std::string later = disk_.files().at("/bucket/wal/" + wal::segment_name(1, 2));
  EXPECT_EQ(wal::decode_segment_header(later)->version, 2U);
  open(options());
  EXPECT_THAT(replayed_, ElementsAre("x", "2 rows: rows"));
}

TEST(WalFormat, VersionsOfHeaders) {
  for (const std::uint32_t version : {0U, 1U, 2U, 3U}) {
    const std::string bytes = wal::encode_segment_header({bucket_identity, 1, 0, {}, version});
    const auto header = wal::decode_segment_header(bytes);
    const bool known = version == 1 || version == 2;
    EXPECT_EQ(header.has_value(), known);
    if (header) {
      EXPECT_EQ(header->version, version);
    }
    EXPECT_EQ(wal::foreign_format_version(bytes), known ? std::nullopt : std::optional(version));
  }
}

TEST(WalFormat, AnArrowFrameHasRows) {
  const std::uint64_t seed = wal::frame_seed(bucket_identity, 1);
  wal::FrameDecoder decoder(seed);
  wal::DecodedFrame frame;
  for (const std::uint32_t rows : {0U, 1U, 0xffffffffU}) {
    const std::string bytes =
        bytes_of(wal::encode_frame(WalFrame::arrow(0, 0, rows, "x"), 0, Compression::kNone, seed));
    EXPECT_EQ(decoder.decode(bytes, 0, &frame), rows > 0);
    if (rows == 0) continue;
    EXPECT_EQ(frame.count, rows);
    EXPECT_EQ(frame.content(), FrameContent::kArrow);
  }
}

// ---- groups and order ----

TEST_F(WalTest, ACommitWritesThenSyncsTheFileThenItsFolder) {
  auto wal = open(options());
  const std::size_t before = files_.trace().size();
  ASSERT_TRUE(put(*wal, "a").ok());
  ASSERT_TRUE(put(*wal, "b").ok());
  std::vector<std::string> trace = files_.trace();
  trace.erase(trace.begin(), trace.begin() + static_cast<std::ptrdiff_t>(before));
  const std::string name = "00000000000000000000-0000000001.wal";
  EXPECT_THAT(trace, ElementsAre("open_append " + name, "append " + name, "reserve " + name,
                                 "append " + name, "sync " + name, "sync_folder wal",
                                 "append " + name, "sync " + name));
}

TEST_F(WalTest, FramesThatComeDuringASyncShareTheNext) {
  must_be_synced_ = true;
  auto wal = open(options());
  std::latch syncing(1);
  std::latch may_sync(1);
  std::atomic<int> syncs = 0;
  files_.set_hook([&](const std::string& call) {
    if (!call.starts_with("sync ") || ++syncs > 1) return;
    syncing.count_down();
    may_sync.wait();
  });
  const std::uint64_t first = enqueue(*wal, "first");
  std::jthread leader([&] { EXPECT_TRUE(wal->commit(first).ok()); });
  syncing.wait();
  for (int i = 0; i < 20; ++i) {
    enqueue(*wal, "later");
    wal->commit_in_background();
  }
  EXPECT_THAT(told(), IsEmpty());
  may_sync.count_down();
  ASSERT_TRUE(wal->commit(next_).ok());
  EXPECT_THAT(told(),
              ElementsAre(std::pair(std::uint64_t{1}, true), std::pair(std::uint64_t{21}, true)));
  EXPECT_EQ(syncs, 2);
}

TEST_F(WalTest, ABackgroundCommitNeedsNobodyToWait) {
  std::latch done(1);
  on_told_ = [&done] { done.count_down(); };
  auto wal = open(options());
  enqueue(*wal, "a");
  wal->commit_in_background();
  done.wait();
  EXPECT_THAT(told(), ElementsAre(std::pair(std::uint64_t{1}, true)));
}

TEST_F(WalTest, WhatALeaderLeavesBehindIsCommittedInTheBackground) {
  std::latch done(2);
  on_told_ = [&done] { done.count_down(); };
  auto wal = open(options());
  std::latch syncing(1);
  std::latch may_sync(1);
  std::atomic<bool> blocked = false;
  files_.set_hook([&](const std::string& call) {
    if (!call.starts_with("sync ") || blocked.exchange(true)) return;
    syncing.count_down();
    may_sync.wait();
  });
  const std::uint64_t first = enqueue(*wal, "first");
  std::jthread leader([&] { EXPECT_TRUE(wal->commit(first).ok()); });
  syncing.wait();
  enqueue(*wal, "left behind");
  wal->commit_in_background();
  may_sync.count_down();
  done.wait();
}

TEST_F(WalTest, ManyThreadsCommitAndEachAcknowledgementIsSynced) {
  constexpr int threads = 8;
  constexpr int each = 100;
  must_be_synced_ = true;
  WalOptions small = options();
  small.segment_bytes = 2000;
  auto wal = open(small);
  std::mutex order;
  std::vector<std::jthread> writers;
  for (int t = 0; t < threads; ++t) {
    writers.emplace_back([&, t] {
      for (int i = 0; i < each; ++i) {
        std::uint64_t end = 0;
        {
          const std::lock_guard lock(order);
          end = enqueue(*wal, std::to_string(t) + "/" + std::to_string(i));
        }
        if (t % 2 == 0) {
          EXPECT_TRUE(wal->commit(end).ok());
        } else {
          wal->commit_in_background();
        }
      }
    });
  }
  writers.clear();
  ASSERT_TRUE(wal->commit(next_).ok());
  std::uint64_t last = 0;
  for (const auto& [end, ok] : told()) {
    EXPECT_TRUE(ok);
    EXPECT_GT(end, last);
    last = end;
  }
  EXPECT_EQ(last, static_cast<std::uint64_t>(threads * each));
  wal.reset();
  wal = open(small);
  EXPECT_TRUE(std::equal(replayed_.begin(), replayed_.end(), records_.begin(), records_.end()));
}

// ---- sync intervals ----

TEST_F(WalTest, ATimedSyncComesAndWritersDoNotWaitForIt) {
  std::latch syncing(1);
  std::latch may_sync(1);
  std::atomic<bool> blocked = false;
  files_.set_hook([&](const std::string& call) {
    if (!call.starts_with("sync ") || blocked.exchange(true)) return;
    syncing.count_down();
    may_sync.wait();
  });
  WalOptions timed = options();
  timed.sync_interval = 1ms;
  auto wal = open(timed);
  ASSERT_TRUE(put(*wal, "a").ok());
  syncing.wait();
  ASSERT_TRUE(put(*wal, "b").ok());
  enqueue(*wal, "c");
  wal->commit_in_background();
  EXPECT_EQ(told().back(), std::pair(std::uint64_t{3}, true));
  may_sync.count_down();
  ASSERT_TRUE(wal->sync().ok());
  EXPECT_TRUE(files_.all_synced());
}

TEST_F(WalTest, ASyncThatRunsDuringAWriteDoesNotCountForIt) {
  WalOptions timed = options();
  timed.sync_interval = 50ms;
  auto wal = open(timed);
  ASSERT_TRUE(put(*wal, "a").ok());
  std::latch synced(1);
  std::atomic<bool> first = true;
  files_.set_hook([&](const std::string& call) {
    if (call.starts_with("sync_folder") && first.exchange(false)) synced.count_down();
    if (call.starts_with("append ")) synced.wait();  // the timed sync's last call
  });
  ASSERT_TRUE(put(*wal, "b").ok());
  files_.set_hook({});
  ASSERT_TRUE(wal->sync().ok());
  EXPECT_TRUE(files_.all_synced());
}

TEST_F(WalTest, SyncCoversEverythingEnqueued) {
  WalOptions timed = options();
  timed.sync_interval = 1h;
  auto wal = open(timed);
  enqueue(*wal, "a");
  enqueue(*wal, "b");
  ASSERT_TRUE(wal->sync().ok());
  EXPECT_EQ(told().back(), std::pair(std::uint64_t{2}, true));
  EXPECT_TRUE(files_.all_synced());
}

// ---- failures ----

// The kernel may have dropped the pages of a failed sync and report the next one as a success.
TEST_F(WalTest, AFailedSyncIsNeverTriedAgain) {
  auto wal = open(options());
  ASSERT_TRUE(put(*wal, "a").ok());
  files_.fail(files_.calls() + 1, false, FaultyFileSystem::Fault::kError);  // behind the write
  const Status failed = put(*wal, "b");
  ASSERT_FALSE(failed.ok());
  EXPECT_EQ(failed.error().component, Component::kWal);
  const std::size_t syncs = files_.count("sync ");
  EXPECT_EQ(put(*wal, "c").error().message, failed.error().message);
  EXPECT_FALSE(wal->sync().ok());
  EXPECT_FALSE(wal->close().ok());
  EXPECT_EQ(files_.count("sync "), syncs);
}

class PoisonedWal : public WalTest, public ::testing::WithParamInterface<const char*> {};

TEST_P(PoisonedWal, EveryLaterCallFailsWithTheFirstError) {
  auto wal = open(options());
  files_.fail_calls(GetParam());
  const Status first = put(*wal, "a");
  ASSERT_FALSE(first.ok());
  EXPECT_EQ(first.error().component, Component::kWal);
  EXPECT_EQ(first.error().code, ErrorCode::kIo);
  EXPECT_THAT(first.error().message, HasSubstr("injected"));
  files_.fail_calls("");
  const std::uint64_t calls = files_.calls();
  const auto same = [&](const Status& status) {
    ASSERT_FALSE(status.ok());
    EXPECT_EQ(status.error().component, Component::kWal);
    EXPECT_EQ(status.error().message, first.error().message);
  };
  same(put(*wal, "b"));
  same(wal->sync());
  same(wal->retire(0));
  enqueue(*wal, "c");
  wal->commit_in_background();
  same(wal->close());
  EXPECT_EQ(files_.calls(), calls) << "nothing is tried again";
  EXPECT_THAT(told(), ElementsAre(std::pair(std::uint64_t{1}, false)));
  EXPECT_TRUE(wal->close().ok());
  wal.reset();
  open(options());
  EXPECT_THAT(replayed_, IsEmpty()) << "what was refused is taken back where that is possible";
}

INSTANTIATE_TEST_SUITE_P(Calls, PoisonedWal,
                         ::testing::Values("open_append", "append", "sync ", "sync_folder"));

TEST_F(WalTest, AFailedTimedSyncFailsTheRoundThatRunsBesideIt) {
  WalOptions timed = options();
  timed.sync_interval = 20ms;
  auto wal = open(timed);
  std::latch failed(1);
  ASSERT_TRUE(put(*wal, "a").ok());
  on_told_ = [&failed, this] {
    if (!told_.back().second && failed.try_wait() == false) failed.count_down();
  };
  files_.fail_calls("sync ");
  files_.set_hook([&](const std::string& call) {
    if (call.starts_with("append ")) failed.wait();
  });
  const Status status = put(*wal, "b");
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().component, Component::kWal);
  EXPECT_FALSE(told().back().second) << "no success after a failure";
  EXPECT_FALSE(wal->close().ok());
}

TEST_F(WalTest, AFailedFolderSyncOfARetirementPoisonsTheLog) {
  auto wal = open(options());
  ASSERT_TRUE(put(*wal, "a").ok());
  files_.fail_calls("sync_folder");
  const Status first = wal->retire(1);
  files_.fail_calls("");
  ASSERT_FALSE(first.ok());
  const Status later = put(*wal, "b");
  ASSERT_FALSE(later.ok());
  EXPECT_EQ(later.error().message, first.error().message);
}

TEST_F(WalTest, ASegmentThatCannotBeRemovedIsRetiredLater) {
  auto wal = open(options());
  ASSERT_TRUE(put(*wal, "a").ok());
  files_.fail_calls("remove_file");
  EXPECT_FALSE(wal->retire(1).ok());
  files_.fail_calls("");
  ASSERT_TRUE(put(*wal, "b").ok());
  ASSERT_TRUE(wal->retire(2).ok());
  EXPECT_THAT(segments(), IsEmpty());
}

// ---- closing ----

TEST_F(WalTest, ClosingCommitsWhatWaitsAndIsIdempotent) {
  auto wal = open(options());
  enqueue(*wal, "a");
  ASSERT_TRUE(wal->close().ok());
  EXPECT_THAT(told(), ElementsAre(std::pair(std::uint64_t{1}, true)));
  EXPECT_TRUE(files_.all_synced());
  EXPECT_TRUE(wal->close().ok());
  const Status closed = put(*wal, "b");
  ASSERT_FALSE(closed.ok());
  EXPECT_EQ(closed.error().code, ErrorCode::kClosed);
  EXPECT_EQ(wal->sync().error().code, ErrorCode::kClosed);
  EXPECT_EQ(wal->retire(1).error().code, ErrorCode::kClosed);
  wal.reset();
  open(options());
  EXPECT_THAT(replayed_, ElementsAre("a"));
  EXPECT_EQ(recovery_.truncated_bytes, 0U);
}

// The mark of a clean end tells recovery that all before it is durable: it must be.
TEST_F(WalTest, TheEndIsMarkedCleanOnlyOnceEverythingIsDurable) {
  WalOptions timed = options();
  timed.sync_interval = 1h;
  auto wal = open(timed);
  ASSERT_TRUE(put(*wal, "a").ok());
  bool synced_before = false;
  files_.set_hook([&](const std::string& call) {
    if (call.starts_with("append ")) synced_before = files_.all_synced();
  });
  ASSERT_TRUE(wal->close().ok());
  EXPECT_TRUE(synced_before);
}

// ---- one record at once ----

TEST_F(WalTest, OneRecordIsCommittedAtOnceWhereThereIsRoom) {
  WalOptions timed = options();
  timed.sync_interval = 1h;
  auto wal = open(timed);
  EXPECT_FALSE(wal->try_commit(0, 1000, "a")) << "there is no segment yet";
  ASSERT_TRUE(put(*wal, "a").ok());
  std::vector<std::string> expected{"a"};
  // Room is made in the background; the longer record finds it used up some time.
  while (expected.size() < 2000) {
    const std::string record = "record " + std::to_string(expected.size()) + std::string(90, 'x');
    if (wal->try_commit(next_, 1000, record)) {
      ++next_;
    } else {
      ASSERT_TRUE(put(*wal, record).ok());
    }
    expected.push_back(record);
  }
  wal.reset();
  wal = open(timed);
  EXPECT_EQ(replayed_, expected);
  EXPECT_EQ(recovery_.truncated_bytes, 0U);
}

TEST_F(WalTest, OneRecordIsDurableAfterASync) {
  WalOptions timed = options();
  timed.sync_interval = 1h;
  auto wal = open(timed);
  ASSERT_TRUE(put(*wal, "a").ok());
  while (!wal->try_commit(1, 1000, "b")) std::this_thread::yield();  // until there is room
  ASSERT_TRUE(wal->sync().ok());
  disk_.cut(1);
  wal.reset();
  wal = open(timed);
  EXPECT_THAT(replayed_, ElementsAre("a", "b"));
}

TEST_F(WalTest, OneRecordIsNotCommittedAtOnceWhereThatIsNotAllOfIt) {
  auto wal = open(options());
  ASSERT_TRUE(put(*wal, "a").ok());
  EXPECT_FALSE(wal->try_commit(1, 1000, "b")) << "it has to be synced";
  wal.reset();
  WalOptions other = options();
  other.sync_interval = 1h;
  other.compression = Compression::kZstd;
  wal = open(other);
  ASSERT_TRUE(put(*wal, "b").ok());
  EXPECT_FALSE(wal->try_commit(2, 1000, "c")) << "it has to be compressed";
  wal.reset();
  other.compression = Compression::kNone;
  wal = open(other);
  ASSERT_TRUE(put(*wal, "c").ok());
  while (!wal->try_commit(3, 1000, "d")) std::this_thread::yield();
  ++next_;
  enqueue(*wal, "e");
  EXPECT_FALSE(wal->try_commit(5, 1000, "f")) << "another one waits";
  ASSERT_TRUE(wal->commit(5).ok());
  ASSERT_TRUE(wal->close().ok());
  EXPECT_FALSE(wal->try_commit(5, 1000, "f")) << "the log is closed";
  wal.reset();
  wal = open(options());
  EXPECT_THAT(replayed_, ElementsAre("a", "b", "c", "d", "e"));
}

// Its room can be left by a crash; what was written into the next segment proves where it ended.
TEST_F(WalTest, RoomBehindAClosedSegmentIsNoDamage) {
  WalOptions small = options();
  small.segment_bytes = 100;
  auto wal = open(small);
  ASSERT_TRUE(put(*wal, std::string(200, 'a')).ok());
  ASSERT_TRUE(put(*wal, "b").ok());
  ASSERT_EQ(segments().size(), 2U);
  wal.reset();
  const auto [path, contents] = *disk_.files().begin();
  disk_.set_file(path, contents + std::string(5000, '\0'));
  wal = open(small);
  EXPECT_THAT(replayed_, ElementsAre(std::string(200, 'a'), "b"));
  wal.reset();
  disk_.set_file(path, contents.substr(0, 64) + std::string(5000, '\0'));
  const auto damaged = try_open(small);
  ASSERT_FALSE(damaged.ok());
  EXPECT_EQ(damaged.error().code, ErrorCode::kCorruption);
}

TEST_F(WalTest, MayBeDestroyedWithItsTimerPendingOrRunning) {
  WalOptions timed = options();
  for (int i = 0; i < 200; ++i) {
    timed.sync_interval = i % 2 == 0 ? std::chrono::microseconds(i) : 1h;
    auto wal = open(timed);
    ASSERT_TRUE(put(*wal, "a").ok());
    enqueue(*wal, "b");
    wal->commit_in_background();
  }
  EXPECT_EQ(open(timed)->epoch(), 201U);
  EXPECT_EQ(replayed_.size(), 400U);
}

}  // namespace
}  // namespace persisting
