// Files of earlier format versions, as the library wrote them then (tests/golden), are read for ever. (Whole buckets:
// tests/python/test_golden.py.)
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "engine/bucket_identity.h"
#include "engine/checkpoint.h"
#include "support/power_cut_file_system.h"
#include "wal/wal.h"
#include "wal/wal_format.h"

namespace persisting {
namespace {

std::string golden(const std::string& name) {
  std::ifstream file(PERSISTING_GOLDEN_FOLDER "/" + name, std::ios::binary);
  EXPECT_TRUE(file.good()) << name;
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

class GoldenTest : public ::testing::Test {
 protected:
  testing::PowerCutFileSystem disk_;
};

TEST_F(GoldenTest, BucketOfVersion1) {
  disk_.set_file("/bucket/BUCKET", golden("BUCKET-v1"));
  const auto identity = read_identity(disk_, "/bucket");
  ASSERT_TRUE(identity.ok()) << identity.error().message;
  ASSERT_TRUE(identity->has_value());
  EXPECT_NE((*identity)->id, 0U);
  EXPECT_EQ((*identity)->bucket_id, 0U);
  EXPECT_EQ((*identity)->topic, TopicSettings());
}

TEST_F(GoldenTest, CheckpointOfVersion1) {
  disk_.set_file("/bucket/CHECKPOINT", golden("CHECKPOINT-v1"));
  const auto read = read_checkpoint(disk_, "/bucket");
  ASSERT_TRUE(read.ok()) << read.error().message;
  ASSERT_TRUE(read->has_value());
  const Checkpoint& checkpoint = **read;
  EXPECT_EQ(checkpoint.epoch, 3U);
  EXPECT_EQ(checkpoint.flushed_to, 40U);
  EXPECT_EQ(checkpoint.table.version, 3U);
  EXPECT_EQ(checkpoint.table.files.size(), 2U);
  for (const auto& [name, type] :
       {std::pair("integer", TypeKind::kInt64), std::pair("widened", TypeKind::kDouble),
        std::pair("nothing", TypeKind::kUndecided), std::pair("struct", TypeKind::kStruct)}) {
    const auto field = checkpoint.schema.find(name);
    ASSERT_TRUE(field.has_value()) << name;
    EXPECT_EQ(checkpoint.schema.fields()[*field].type.kind, type) << name;
  }
}

// The worked example of docs/formats.md, as version 1 wrote it.
TEST_F(GoldenTest, SegmentOfVersion1) {
  const std::string path = "/bucket/wal/" + wal::segment_name(0, 1);
  const std::string segment = golden("segment-v1.wal");
  disk_.set_file(path, segment);
  WalOptions options;
  options.folder = "/bucket/wal";
  options.bucket_identity = 0x1122334455667788;
  std::vector<std::string> replayed;
  WalRecovery recovery;
  auto wal = Wal::open(
      disk_, Executors::instance().commit, options, 0,
      [&](const ReplayedFrame& frame) {
        EXPECT_EQ(frame.timestamp_us, 1000);
        EXPECT_EQ(frame.record_bytes.size(), 1U);
        replayed.emplace_back(frame.records);
        return ok_status();
      },
      [](std::uint64_t, const Status&) {}, &recovery);
  ASSERT_TRUE(wal.ok()) << wal.error().message;
  EXPECT_EQ(replayed, std::vector<std::string>{"\x81\xa1\x61\x01"});
  EXPECT_EQ(recovery.next_offset, 1U);
  EXPECT_EQ((*wal)->epoch(), 2U);
  // What comes later goes to a segment of its own.
  const std::vector<std::uint32_t> lengths{4};
  (*wal)->enqueue({1, 2000, lengths, "\x81\xa1\x61\x02"});
  ASSERT_TRUE((*wal)->close().ok());
  EXPECT_EQ(disk_.files().at(path), segment);
  EXPECT_EQ(disk_.files().size(), 2U);
}

}  // namespace
}  // namespace persisting
