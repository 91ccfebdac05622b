// The records of a replayed frame.
#include "engine/frame_records.h"

#include <array>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace persisting {
namespace {

using ::testing::HasSubstr;

TEST(FrameRecords, AreThoseThatWereEnqueued) {
  const std::array lengths{4U, 1U};
  const auto records =
      frame_records({7, 1000, FrameContent::kRecords, 2, lengths, "\x81\xa1\x61\x01\x80"});
  ASSERT_TRUE(records.ok()) << records.error().message;
  ASSERT_EQ(records->size(), 2U);
  EXPECT_EQ((*records)[0], "\x81\xa1\x61\x01");
  EXPECT_EQ((*records)[1], "\x80");
}

TEST(FrameRecords, DamagedArrowDataNameTheirOffset) {
  const auto records = frame_records({7, 1000, FrameContent::kArrow, 2, {}, "stream"});
  ASSERT_FALSE(records.ok());
  EXPECT_EQ(records.error().code, ErrorCode::kCorruption);
  EXPECT_THAT(records.error().message, HasSubstr("at offset 7"));
}

}  // namespace
}  // namespace persisting
