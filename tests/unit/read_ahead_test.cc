#include "engine/read_ahead.h"

#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <nanoarrow/nanoarrow.hpp>

#include "schema/arrow_convert.h"
#include "support/seeds.h"

namespace persisting {
namespace {

struct Scan {
  std::uint64_t row = 0;
  std::uint64_t count = 0;
  bool operator==(const Scan&) const = default;
};

// Row i holds the number i, and a text.
class NumberedRows : public TableSnapshot {
 public:
  NumberedRows(std::uint64_t rows, std::size_t text_bytes) : rows_(rows), text_(text_bytes, 'x') {}

  std::uint64_t version() const override { return version_; }
  std::uint64_t rows() const override { return rows_; }
  Status schema(ArrowSchema* out) const override {
    ArrowSchemaInit(out);
    EXPECT_EQ(ArrowSchemaSetTypeStruct(out, 2), NANOARROW_OK);
    EXPECT_EQ(ArrowSchemaSetType(out->children[0], NANOARROW_TYPE_INT64), NANOARROW_OK);
    EXPECT_EQ(ArrowSchemaSetName(out->children[0], "number"), NANOARROW_OK);
    EXPECT_EQ(ArrowSchemaSetType(out->children[1], NANOARROW_TYPE_STRING), NANOARROW_OK);
    EXPECT_EQ(ArrowSchemaSetName(out->children[1], "text"), NANOARROW_OK);
    return ok_status();
  }
  Status scan(std::uint64_t row, std::uint64_t count, ArrowArrayStream* out) const override {
    scans_.push_back({row, count});
    const std::uint64_t end = std::min(row + count, rows_);
    if (end > damaged_from_) return make_error(ErrorCode::kIo, "damaged");
    nanoarrow::UniqueSchema type;
    EXPECT_TRUE(schema(type.get()));
    make_stream(
        type.get(),
        [this, row, end](ArrowArray* array) mutable -> Result<bool> {
          if (row == end) return false;
          // In arrays of their own, as a table has them.
          const std::uint64_t stop = std::min(end, row / 700 * 700 + 700);
          make_array(row, stop, array);
          row = stop;
          return true;
        },
        out);
    return ok_status();
  }

  std::uint64_t version_ = 1;
  std::uint64_t damaged_from_ = UINT64_MAX;
  mutable std::vector<Scan> scans_;

 private:
  void make_array(std::uint64_t row, std::uint64_t stop, ArrowArray* out) const {
    nanoarrow::UniqueSchema type;
    EXPECT_TRUE(schema(type.get()));
    EXPECT_EQ(ArrowArrayInitFromSchema(out, type.get(), nullptr), NANOARROW_OK);
    EXPECT_EQ(ArrowArrayStartAppending(out), NANOARROW_OK);
    for (; row < stop; ++row) {
      EXPECT_EQ(ArrowArrayAppendInt(out->children[0], static_cast<std::int64_t>(row)),
                NANOARROW_OK);
      EXPECT_EQ(
          ArrowArrayAppendString(out->children[1],
                                 {text_.data(), static_cast<std::int64_t>(text_.size() - row % 2)}),
          NANOARROW_OK);
      EXPECT_EQ(ArrowArrayFinishElement(out), NANOARROW_OK);
    }
    EXPECT_EQ(ArrowArrayFinishBuildingDefault(out, nullptr), NANOARROW_OK);
  }

  const std::uint64_t rows_;
  const std::string text_;
};

// Reads, and expects what the snapshot holds there.
void expect_read(ReadAhead& ahead, const NumberedRows& table, std::uint64_t row,
                 std::uint64_t count) {
  nanoarrow::UniqueArrayStream stream;
  ASSERT_TRUE(ahead.scan(table, row, count, stream.get()));
  nanoarrow::UniqueSchema type;
  ASSERT_EQ(ArrowArrayStreamGetSchema(stream.get(), type.get(), nullptr), NANOARROW_OK);
  nanoarrow::UniqueArrayView view;
  ASSERT_EQ(ArrowArrayViewInitFromSchema(view.get(), type.get(), nullptr), NANOARROW_OK);
  const std::uint64_t end = std::min(row + count, table.rows());
  for (;;) {
    nanoarrow::UniqueArray array;
    ASSERT_EQ(ArrowArrayStreamGetNext(stream.get(), array.get(), nullptr), NANOARROW_OK);
    if (array->release == nullptr) break;
    ASSERT_EQ(ArrowArrayViewSetArray(view.get(), array.get(), nullptr), NANOARROW_OK);
    for (std::int64_t i = 0; i < array->length; ++i, ++row) {
      ASSERT_EQ(ArrowArrayViewGetIntUnsafe(view->children[0], i), static_cast<std::int64_t>(row));
      ASSERT_GT(ArrowArrayViewGetStringUnsafe(view->children[1], i).size_bytes, 0);
    }
  }
  ASSERT_EQ(row, end);
}

TEST(ReadAhead, GivesEveryReaderTheRowsAskedFor) {
  testing::with_seeds(20, [](std::mt19937_64& random) {
    NumberedRows table(20'000, 50);
    ReadAhead ahead;
    std::vector<std::uint64_t> readers(1 + random() % 4);
    for (int read = 0; read < 100; ++read) {
      std::uint64_t& row = readers[random() % readers.size()];
      if (random() % 10 == 0) row = random() % table.rows();
      if (random() % 50 == 0) ++table.version_;
      const std::uint64_t count = 1 + random() % (random() % 20 == 0 ? 10'000 : 500);
      ASSERT_NO_FATAL_FAILURE(expect_read(ahead, table, row, count));
      row = row + count < table.rows() ? row + count : 0;
    }
  });
}

TEST(ReadAhead, PagesInOrderTakeFewScans) {
  const NumberedRows table(100'000, 20);
  ReadAhead ahead;
  for (std::uint64_t row = 0; row < table.rows(); row += 1000) {
    // Two readers, far from each other.
    expect_read(ahead, table, row, 1000);
    expect_read(ahead, table, (row + 50'000) % table.rows(), 1000);
  }
  EXPECT_LE(table.scans_.size(), 2U * 6);
}

TEST(ReadAhead, ReadsNoMoreAheadThanAWindow) {
  const NumberedRows table(2'000, 100'000);
  ReadAhead ahead;
  for (std::uint64_t row = 0; row < table.rows(); row += 10) expect_read(ahead, table, row, 10);
  for (const Scan& scan : table.scans_) EXPECT_LE(scan.count, ReadAhead::window_bytes / 100'000);
  EXPECT_LE(table.scans_.size(), 60U);
}

TEST(ReadAhead, LeavesSingleRowsAndLargeReadsAlone) {
  const NumberedRows table(100'000, 20);
  ReadAhead ahead;
  for (std::uint64_t row = 0; row < 5; ++row) expect_read(ahead, table, row, 1);
  for (std::uint64_t row = 0; row < 50'000; row += 10'000) expect_read(ahead, table, row, 10'000);
  EXPECT_EQ(table.scans_, (std::vector<Scan>{{0, 1},
                                             {1, 1},
                                             {2, 1},
                                             {3, 1},
                                             {4, 1},
                                             {0, 10'000},
                                             {10'000, 10'000},
                                             {20'000, 10'000},
                                             {30'000, 10'000},
                                             {40'000, 10'000}}));
}

TEST(ReadAhead, TellsWhetherRowsAreInMemory) {
  NumberedRows table(100'000, 20);
  ReadAhead ahead;
  EXPECT_FALSE(ahead.holds(table, 0, 100));
  expect_read(ahead, table, 0, 100);
  expect_read(ahead, table, 100, 100);
  EXPECT_TRUE(ahead.holds(table, 200, 100));
  EXPECT_FALSE(ahead.holds(table, 200, 50'000));
  ++table.version_;
  EXPECT_FALSE(ahead.holds(table, 200, 100));
  const std::size_t scans = table.scans_.size();
  expect_read(ahead, table, 200, 100);
  EXPECT_EQ(table.scans_.size(), scans + 1);
}

TEST(ReadAhead, DamageAheadIsNobodysUntilItIsAskedFor) {
  NumberedRows table(10'000, 20);
  table.damaged_from_ = 350;
  ReadAhead ahead;
  for (std::uint64_t row = 0; row < 300; row += 100) expect_read(ahead, table, row, 100);
  nanoarrow::UniqueArrayStream stream;
  EXPECT_FALSE(ahead.scan(table, 300, 100, stream.get()));
}

}  // namespace
}  // namespace persisting
