#include <gtest/gtest.h>

#include "schema/arrow_convert.h"
#include "support/records.h"

namespace persisting {
namespace {

using testing::batch;
using testing::Rows;
using testing::rows_of;
using testing::schema_of;

TEST(ArrowStream, CallsUntilTheEnd) {
  const SchemaPtr schema = schema_of({{{"a", 1}}});
  Rows rows = rows_of(schema, batch({{{"a", 1}}}));
  int calls = 0;
  nanoarrow::UniqueArrayStream stream;
  make_stream(
      rows.schema.get(),
      [&](ArrowArray* out) -> Result<bool> {
        if (++calls > 1) return false;
        rows.array.move(out);
        return true;
      },
      stream.get());
  nanoarrow::UniqueSchema given;
  ASSERT_EQ(stream->get_schema(stream.get(), given.get()), 0);
  EXPECT_EQ(given->n_children, 3);
  nanoarrow::UniqueArray array;
  ASSERT_EQ(stream->get_next(stream.get(), array.get()), 0);
  EXPECT_EQ(array->length, 1);
  for (int i = 0; i < 2; ++i) {
    nanoarrow::UniqueArray end;
    ASSERT_EQ(stream->get_next(stream.get(), end.get()), 0);
    EXPECT_EQ(end->release, nullptr);
  }
  EXPECT_EQ(calls, 2);
}

TEST(ArrowStream, FailureSticks) {
  nanoarrow::UniqueSchema schema;
  ASSERT_TRUE(to_arrow_schema(Schema(), schema.get()).ok());
  nanoarrow::UniqueArrayStream stream;
  int calls = 0;
  make_stream(
      schema.get(),
      [&](ArrowArray*) -> Result<bool> {
        ++calls;
        return make_error(ErrorCode::kIo, "the disk is gone");
      },
      stream.get());
  EXPECT_EQ(stream->get_last_error(stream.get()), nullptr);
  for (int i = 0; i < 2; ++i) {
    nanoarrow::UniqueArray array;
    EXPECT_NE(stream->get_next(stream.get(), array.get()), 0);
    EXPECT_STREQ(stream->get_last_error(stream.get()), "the disk is gone");
  }
  EXPECT_EQ(calls, 1);
}

}  // namespace
}  // namespace persisting
