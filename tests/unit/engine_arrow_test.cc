// Rows of Arrow in and out of a bucket: the same as records, wherever they lie.
#include <limits>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/arrow_tables.h"
#include "support/bucket_on_disk.h"
#include "support/page_records.h"
#include "wal/segment_scan.h"

namespace persisting {
namespace {

using ::testing::AllOf;
using testing::Answer;
using testing::arrow_column;
using testing::arrow_of;
using testing::BucketOnDisk;
using ::testing::HasSubstr;

using Rows = std::vector<Struct>;

Number float32(float value) { return Number::of(NumberType::kFloat32, value); }

class EngineArrowTest : public BucketOnDisk {
 protected:
  void SetUp() override {
    BucketOnDisk::SetUp();
    open();
  }
  Result<std::uint64_t> try_put(testing::Rows rows) {
    Answer<Result<std::uint64_t>> answer;
    engine_->put_arrow_async(rows.schema.get(), rows.array.get(), answer.callback());
    EXPECT_EQ(rows.schema->release, nullptr) << "the schema is not consumed";
    EXPECT_EQ(rows.array->release, nullptr) << "the rows are not consumed";
    executors_.run_all();
    return answer.get();
  }
  void put_arrow(testing::Rows rows) {
    const auto offset = try_put(std::move(rows));
    ASSERT_TRUE(offset.ok()) << offset.error().message;
  }
  void put_arrow(const Rows& rows) { put_arrow(arrow_of(rows)); }

  Rows read_arrow(std::uint64_t limit = UINT64_MAX, std::uint64_t offset = 0) {
    Answer<Result<ArrowStreamPtr>> answer;
    engine_->get_arrow_async(limit, offset, answer.callback());
    executors_.run_all();
    EXPECT_TRUE(answer.get().ok()) << answer.get().error().message;
    if (!answer.get()) return {};
    return testing::rows_of_stream(answer.get()->get(), **engine_->schema());
  }
  // Both ways of reading, every page, in the tail, after a crash, in the table.
  void expect_everywhere(const Rows& rows) {
    expect(rows);
    reopen(true);
    expect(rows);
    ASSERT_TRUE(flush().ok());
    expect(rows);
    reopen(false);
    expect(rows);
  }
  void expect(const Rows& rows) {
    EXPECT_EQ(read(), rows);
    EXPECT_EQ(read_arrow(), rows);
    for (std::size_t limit = 0; limit <= rows.size() + 1; ++limit) {
      for (std::size_t offset = 0; offset <= rows.size() + 1; ++offset) {
        Rows page;
        for (std::size_t i = offset; i < rows.size() && i - offset < limit; ++i)
          page.push_back(rows[i]);
        EXPECT_EQ(read_arrow(limit, offset), page) << limit << " from " << offset;
        EXPECT_EQ(testing::all_fields(engine_->get(limit, offset).value()), page);
        EXPECT_EQ(testing::records_of(*engine_->read(limit, offset).value()), page);
      }
    }
  }
  std::vector<wal::FrameKind> frames() {
    std::vector<wal::FrameKind> kinds;
    const auto log = wal::scan_log(disk_, options_.folder + "/wal", {});
    for (const auto& segment : *log) {
      for (const auto& frame : segment.frames) {
        if (frame.records > 0) kinds.push_back(frame.kind);
      }
    }
    return kinds;
  }
};

const Rows many_types{{{"id", 1},
                       {"name", "grün"},
                       {"tags", List{"a", Null{}}},
                       {"inner", Struct{{"x", 0.5}, {"y", Null{}}}},
                       {"at", Timestamp{5, true}},
                       {"day", Date{3}},
                       {"raw", Bytes{"\x00\x01"}},
                       {"price", Decimal{12345, 2}},
                       {"vector", Tensor{NumberType::kFloat32, {2}, std::string(8, '\1')}},
                       {"key", Uuid{{1, 2, 3}}},
                       {"small", Number::of<std::int8_t>(NumberType::kInt8, -3)}},
                      {{"id", 2}},
                      {{"name", ""}, {"inner", Struct{{"x", Null{}}, {"y", "z"}}}}};

TEST_F(EngineArrowTest, ReadsAsTheSameRecordsWould) {
  put_arrow(many_types);
  Rows expected;
  for (const Struct& row : many_types)
    expected.push_back(testing::normalized(*testing::schema_of(many_types), row));
  EXPECT_EQ(frames(), (std::vector{wal::FrameKind::kArrow}));
  expect_everywhere(expected);
}

TEST_F(EngineArrowTest, OneFrameABatchAndOffsetsCountRows) {
  EXPECT_EQ(try_put(arrow_of({{{"id", 1}}, {{"id", 2}}})).value(), 0U);
  put({{{"id", 3}}});
  EXPECT_EQ(try_put(arrow_of({{{"id", 4}}})).value(), 3U);
  EXPECT_EQ(frames(), (std::vector{wal::FrameKind::kArrow, wal::FrameKind::kRecords,
                                   wal::FrameKind::kArrow}));
  expect_everywhere({{{"id", 1}}, {{"id", 2}}, {{"id", 3}}, {{"id", 4}}});
}

// Records and rows in Arrow, in the table and in the tail: wherever a sink has had enough, it gets no more.
TEST_F(EngineArrowTest, SinkThatWantsNoMoreGetsNoMore) {
  put({{{"id", 0}}, {{"id", 1}}});
  put_arrow({{{"id", 2}}, {{"id", 3}}});
  ASSERT_TRUE(flush().ok());
  put({{{"id", 4}}, {{"id", 5}}});
  put_arrow({{{"id", 6}}, {{"id", 7}}});
  const RecordPagePtr page = engine_->read(UINT64_MAX, 0).value();
  EXPECT_EQ(page->size(), 8U);
  for (std::size_t most = 1; most <= 8; ++most) {
    testing::RecordKeeper keeper(most);
    ASSERT_TRUE(page->write_to(keeper).ok());
    ASSERT_EQ(keeper.records().size(), most);
    EXPECT_EQ(keeper.records().back(), (Struct{{"id", static_cast<std::int64_t>(most - 1)}}));
  }
}

// In the tail records keep the order in which their fields came, and what they lack; a reader sees neither.
TEST_F(EngineArrowTest, RecordsOfOtherOrderAndWithGaps) {
  put({{{"a", 1}, {"b", 0.5}, {"c", "x"}, {"d", true}},
       {{"d", false}, {"c", "y"}, {"b", 1.5}, {"a", 2}},
       {{"a", 3}, {"c", "z"}},
       {{"d", true}},
       {{"a", 5}, {"d", Null{}}, {"b", 2}},
       {{"b", 3.5}, {"a", 6}}});
  expect_everywhere({{{"a", 1}, {"b", 0.5}, {"c", "x"}, {"d", true}},
                     {{"a", 2}, {"b", 1.5}, {"c", "y"}, {"d", false}},
                     {{"a", 3}, {"b", Null{}}, {"c", "z"}, {"d", Null{}}},
                     {{"a", Null{}}, {"b", Null{}}, {"c", Null{}}, {"d", true}},
                     {{"a", 5}, {"b", 2.0}, {"c", Null{}}, {"d", Null{}}},
                     {{"a", 6}, {"b", 3.5}, {"c", Null{}}, {"d", Null{}}}});
}

TEST_F(EngineArrowTest, AcrossTableAndTail) {
  put_arrow({{{"id", 1}}, {{"id", 2}}});
  ASSERT_TRUE(flush().ok());
  put_arrow({{{"id", 3}}, {{"id", 4}, {"new", "x"}}});
  put({{{"id", 5}, {"new", "y"}}});
  expect_everywhere({{{"id", 1}, {"new", Null{}}},
                     {{"id", 2}, {"new", Null{}}},
                     {{"id", 3}, {"new", Null{}}},
                     {{"id", 4}, {"new", "x"}},
                     {{"id", 5}, {"new", "y"}}});
}

TEST_F(EngineArrowTest, TheSchemaGrowsBetweenBatches) {
  put_arrow({{{"v", 1}, {"in", Struct{{"a", 1}}}}});
  put_arrow({{{"v", 0.5}, {"in", Struct{{"b", "x"}}}}});
  put_arrow({{{"v", 2}}});
  put({{{"list", List{}}}});
  put_arrow({{{"list", List{1}}}});
  EXPECT_EQ(schema(), "struct<v: double, in: struct<a: int64, b: string>, list: list<int64>>");
  const Struct none{{"a", Null{}}, {"b", Null{}}};
  expect_everywhere({{{"v", 1.0}, {"in", Struct{{"a", 1}, {"b", Null{}}}}, {"list", Null{}}},
                     {{"v", 0.5}, {"in", Struct{{"a", Null{}}, {"b", "x"}}}, {"list", Null{}}},
                     {{"v", 2.0}, {"in", Null{}}, {"list", Null{}}},
                     {{"v", Null{}}, {"in", Null{}}, {"list", List{}}},
                     {{"v", Null{}}, {"in", Null{}}, {"list", List{1}}}});
}

TEST_F(EngineArrowTest, SlicesOfArrays) {
  testing::Rows rows = arrow_of({{{"id", 0}, {"s", "a"}, {"l", List{1}}},
                                 {{"id", 1}, {"s", "b"}, {"l", List{2, 3}}},
                                 {{"id", 2}, {"s", "c"}, {"l", List{}}},
                                 {{"id", 3}, {"s", "d"}, {"l", List{4}}}});
  rows.array->offset = 1;
  rows.array->length = 2;
  put_arrow(std::move(rows));
  expect_everywhere(
      {{{"id", 1}, {"s", "b"}, {"l", List{2, 3}}}, {{"id", 2}, {"s", "c"}, {"l", List{}}}});
}

TEST_F(EngineArrowTest, ColumnsOfWhichOnlyNullsAreKnown) {
  const auto nulls = [] {
    return arrow_column("x", "n", nullptr, [](ArrowArray* array) {
      EXPECT_EQ(ArrowArrayAppendNull(array, 2), NANOARROW_OK);
    });
  };
  put_arrow(nulls());
  expect({{{"x", Null{}}}, {{"x", Null{}}}});
  put_arrow({{{"x", "text"}}});
  put_arrow(nulls());
  expect_everywhere(
      {{{"x", Null{}}}, {{"x", Null{}}}, {{"x", "text"}}, {{"x", Null{}}}, {{"x", Null{}}}});
}

TEST_F(EngineArrowTest, ATypeWithoutValuesIsTheSameAfterACrash) {
  put_arrow(arrow_column("x", "l", nullptr, [](ArrowArray* array) {
    EXPECT_EQ(ArrowArrayAppendNull(array, 2), NANOARROW_OK);
  }));
  EXPECT_EQ(schema(), "struct<x: int64>");
  const auto changes = history();
  expect_everywhere({{{"x", Null{}}}, {{"x", Null{}}}});
  EXPECT_EQ(schema(), "struct<x: int64>");
  EXPECT_EQ(history(), changes);
}

TEST_F(EngineArrowTest, MissingColumnsReadTheirDefault) {
  close();
  options_.declaration.defaults = {{"lang", "de"}};
  open();
  put_arrow({{{"id", 1}}});
  put_arrow({{{"id", 2}, {"lang", "fr"}}, {{"id", 3}, {"lang", Null{}}}});
  const Rows expected{
      {{"lang", "de"}, {"id", 1}}, {{"lang", "fr"}, {"id", 2}}, {{"lang", Null{}}, {"id", 3}}};
  expect_everywhere(expected);
  // For which the table has no column yet.
  close();
  options_.declaration.defaults = {{"more", 5}};
  open();
  Rows wider = expected;
  for (Struct& row : wider) row.emplace_back("more", 5);
  expect_everywhere(wider);
}

TEST_F(EngineArrowTest, SingleValuesDecideWhereTypesCannot) {
  put({{{"v", 0.5}}});
  put_arrow({{{"v", 7}}});
  const std::int64_t large = (std::int64_t{1} << 53) + 1;
  const auto refused = try_put(arrow_of({{{"v", 8}}, {{"v", large}}}));
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::kSchema);
  EXPECT_THAT(refused.error().message, AllOf(HasSubstr("'v'"), HasSubstr("2^53")));
  EXPECT_EQ(try_put(arrow_of({{{"v", "text"}, {"new", 1}}})).error().code, ErrorCode::kSchema);
  EXPECT_EQ(*engine_->stats()->extra["rejected"].get_if<std::int64_t>(), 3);
  EXPECT_EQ(schema(), "struct<v: double>");  // nothing of it stays
  expect_everywhere({{{"v", 0.5}}, {{"v", 7.0}}});
}

TEST_F(EngineArrowTest, DeclaredTypesConvert) {
  close();
  options_.declaration =
      parse_schema_option({{"v", "float32"}, {"t", "vector<float32, 2>"}}).value();
  open();
  put_arrow({{{"v", 0.1}}});
  put_arrow({{{"v", 1}}});
  put_arrow({{{"v", float32(2)}}});
  EXPECT_EQ(try_put(arrow_of({{{"other", 1}}})).error().code, ErrorCode::kSchema);
  expect_everywhere({{{"v", float32(0.1F)}, {"t", Null{}}},
                     {{"v", float32(1)}, {"t", Null{}}},
                     {{"v", float32(2)}, {"t", Null{}}}});
}

TEST_F(EngineArrowTest, PoliciesHoldForRowsToo) {
  close();
  options_.admission.on_conflict = ConflictPolicy::kDeadLetter;
  open();
  put({{{"v", 1}}});
  EXPECT_EQ(try_put(arrow_of({{{"v", "x"}}})).value(), 1U);
  EXPECT_EQ(engine_->dead_letters()->total_count(), 1U);
  close();
  options_.admission.on_conflict = ConflictPolicy::kStringify;
  open();
  put_arrow({{{"v", "y"}}});
  put_arrow({{{"v", 3}}});
  expect_everywhere({{{"v", "1"}}, {{"v", "y"}}, {{"v", "3"}}});
}

TEST_F(EngineArrowTest, OnEveryComposition) {
  for (const bool has_table : {false, true}) {
    close();
    options_.has_table = has_table;
    options_.has_wal = false;
    options_.folder = has_table ? "/topic/bucket_4" : "";
    open();
    put_arrow({{{"id", 1}}, {{"id", 2}, {"x", "a"}}});
    put({{{"id", 3}}});
    ASSERT_TRUE(rename("x", "y").ok());
    put_arrow({{{"id", 4}, {"y", "b"}}});
    const Rows expected{{{"id", 1}, {"y", Null{}}},
                        {{"id", 2}, {"y", "a"}},
                        {{"id", 3}, {"y", Null{}}},
                        {{"id", 4}, {"y", "b"}}};
    expect(expected);
    ASSERT_TRUE(flush().ok());
    expect(expected);
  }
}

TEST_F(EngineArrowTest, NoRowsAtAll) {
  put_arrow({{{"id", 1}}});
  testing::Rows none = arrow_of({{{"id", 1}}});
  none.array->length = 0;
  EXPECT_EQ(try_put(std::move(none)).value(), 1U);
  EXPECT_EQ(frames().size(), 1U);
  expect_everywhere({{{"id", 1}}});
}

TEST_F(EngineArrowTest, LargeVariants) {
  put_arrow(arrow_column("s", "U", nullptr, [](ArrowArray* array) {
    EXPECT_EQ(ArrowArrayAppendString(array, ArrowCharView("a")), NANOARROW_OK);
    EXPECT_EQ(ArrowArrayAppendNull(array, 1), NANOARROW_OK);
  }));
  put_arrow(arrow_column("l", "+L", "U", [](ArrowArray* array) {
    EXPECT_EQ(ArrowArrayAppendString(array->children[0], ArrowCharView("b")), NANOARROW_OK);
    EXPECT_EQ(ArrowArrayFinishElement(array), NANOARROW_OK);
  }));
  expect_everywhere({{{"s", "a"}, {"l", Null{}}},
                     {{"s", Null{}}, {"l", Null{}}},
                     {{"s", Null{}}, {"l", List{"b"}}}});
}

TEST_F(EngineArrowTest, WhatIsNoRowsIsRefused) {
  put_arrow({{{"id", 1}}});
  testing::Rows null_row = arrow_of({{{"id", 1}}, {{"id", 2}}});
  std::uint8_t bits = 1;
  null_row.array->null_count = 1;
  const void* const before = null_row.array->buffers[0];
  null_row.array->buffers[0] = &bits;
  EXPECT_EQ(before, nullptr);
  EXPECT_THAT(try_put(std::move(null_row)).error().message, HasSubstr("row 1 is null"));

  testing::Rows dictionary = arrow_column("d", "i", nullptr, [](ArrowArray* array) {
    EXPECT_EQ(ArrowArrayAppendInt(array, 0), NANOARROW_OK);
  });
  EXPECT_EQ(ArrowSchemaAllocateDictionary(dictionary.schema->children[0]), NANOARROW_OK);
  ArrowSchemaInit(dictionary.schema->children[0]->dictionary);
  EXPECT_EQ(ArrowSchemaSetFormat(dictionary.schema->children[0]->dictionary, "u"), NANOARROW_OK);
  EXPECT_EQ(ArrowArrayAllocateDictionary(dictionary.array->children[0]), NANOARROW_OK);
  EXPECT_EQ(
      ArrowArrayInitFromType(dictionary.array->children[0]->dictionary, NANOARROW_TYPE_STRING),
      NANOARROW_OK);
  EXPECT_EQ(ArrowArrayStartAppending(dictionary.array->children[0]->dictionary), NANOARROW_OK);
  EXPECT_EQ(ArrowArrayAppendString(dictionary.array->children[0]->dictionary, ArrowCharView("x")),
            NANOARROW_OK);
  EXPECT_EQ(ArrowArrayFinishBuildingDefault(dictionary.array->children[0]->dictionary, nullptr),
            NANOARROW_OK);
  const auto refused = try_put(std::move(dictionary));
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::kInvalidArgument);
  EXPECT_THAT(refused.error().message, AllOf(HasSubstr("'d'"), HasSubstr("dictionary")));

  EXPECT_EQ(try_put(arrow_column("_offset", "l", nullptr,
                                 [](ArrowArray* array) {
                                   EXPECT_EQ(ArrowArrayAppendInt(array, 0), NANOARROW_OK);
                                 }))
                .error()
                .code,
            ErrorCode::kInvalidArgument);
  expect({{{"id", 1}}});
}

TEST_F(EngineArrowTest, AClosedBucketConsumesWhatItIsGiven) {
  ASSERT_TRUE(engine_->shut_down().ok());
  EXPECT_EQ(try_put(arrow_of({{{"id", 1}}})).error().code, ErrorCode::kClosed);
  EXPECT_EQ(engine_->get_arrow(1, 0).error().code, ErrorCode::kClosed);
}

TEST_F(EngineArrowTest, AReplyOutlivesTheBucket) {
  put_arrow({{{"id", 1}}});
  ASSERT_TRUE(flush().ok());
  put_arrow({{{"id", 2}}});
  const ArrowStreamPtr reply = engine_->get_arrow(UINT64_MAX, 0).value();
  const SchemaPtr schema = engine_->schema().value();
  ASSERT_TRUE(engine_->shut_down().ok());
  engine_.reset();
  EXPECT_EQ(testing::rows_of_stream(reply.get(), *schema), (Rows{{{"id", 1}}, {{"id", 2}}}));
}

TEST_F(EngineArrowTest, AFlushThatWasNotCheckpointedIsComparedWithTheLog) {
  put_arrow({{{"id", 1}, {"x", Null{}}}, {{"id", 2}, {"x", 0.5}}});
  put({{{"id", 3}}});
  files_.fail_calls("append CHECKPOINT.tmp");
  EXPECT_FALSE(flush().ok());
  files_.fail_calls("");
  reopen(true);
  EXPECT_EQ(engine_->stats()->persisted_count, 3U);
  expect_everywhere(
      {{{"id", 1}, {"x", Null{}}}, {{"id", 2}, {"x", 0.5}}, {{"id", 3}, {"x", Null{}}}});
}

}  // namespace
}  // namespace persisting
