// Columns that come, go and change their names, without a row being rewritten: what the port promises
// of any table.
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/memory_table.h"
#include "support/power_cut_file_system.h"
#include "support/records.h"
#include "support/simulated_lance.h"

namespace persisting {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::MemoryTables;
using testing::PowerCutFileSystem;
using testing::SimulatedLance;

struct InMemory {
  MemoryTables tables;
  TableOpener opener() { return tables.opener(); }
};

struct OverLance {
  PowerCutFileSystem disk;
  SimulatedLance lance{disk};
  TableOpener opener() { return lance.opener(); }
};

template <typename Store>
class TableColumns : public ::testing::Test {
 protected:
  void SetUp() override {
    table_ = this->store_.opener()("/bucket/data.lance", {}, NewerVersions::kAccept).value();
    append({{{"id", 0}, {"text", "a"}, {"score", 1}}, {{"id", 1}, {"text", "b"}, {"score", 2}}});
  }

  void append(const std::vector<Struct>& records) {
    const std::uint64_t first = table_->snapshot() == nullptr ? 0 : table_->snapshot()->rows();
    nanoarrow::UniqueArrayStream stream = testing::stream_of(
        testing::rows_of(testing::schema_of(records), testing::batch(records), first));
    const Status appended = table_->append(stream.get(), {first, records.size()});
    ASSERT_TRUE(appended.ok()) << appended.error().message;
  }

  // Adds the columns that a record like this one would bring.
  void add(const Struct& like) {
    nanoarrow::UniqueSchema columns;
    ASSERT_TRUE(to_arrow_columns(*testing::schema_of({like}), columns.get()).ok());
    const Status added = table_->add_columns(columns.get());
    ASSERT_TRUE(added.ok()) << added.error().message;
  }

  void check(const std::vector<Struct>& expected) {
    const auto snapshot = table_->snapshot();
    EXPECT_EQ(testing::table_rows(*snapshot), expected);
    EXPECT_EQ(snapshot->rows(), expected.size());
  }

  Store store_;
  std::unique_ptr<Table> table_;
};

using Stores = ::testing::Types<InMemory, OverLance>;
TYPED_TEST_SUITE(TableColumns, Stores);

TYPED_TEST(TableColumns, ADroppedColumnIsGoneAndTheRestAsBefore) {
  const auto before = this->table_->snapshot();
  const std::uint64_t version = this->table_->version().version;
  ASSERT_TRUE(this->table_->drop_columns({"text"}).ok());
  EXPECT_EQ(this->table_->version().version, version + 1);
  this->check({{{"id", 0}, {"score", 1}}, {{"id", 1}, {"score", 2}}});
  this->append({{{"id", 2}, {"score", 3}}});
  this->check({{{"id", 0}, {"score", 1}}, {{"id", 1}, {"score", 2}}, {{"id", 2}, {"score", 3}}});
  // An older snapshot is of an older version.
  EXPECT_THAT(testing::table_rows(*before),
              ElementsAre(Struct{{"id", 0}, {"text", "a"}, {"score", 1}},
                          Struct{{"id", 1}, {"text", "b"}, {"score", 2}}));
  ASSERT_TRUE(this->table_->drop_columns({"score", "id"}).ok());
  this->check({{}, {}, {}});
}

TYPED_TEST(TableColumns, ARenamedColumnKeepsItsValues) {
  const std::uint64_t version = this->table_->version().version;
  ASSERT_TRUE(this->table_->rename_columns({{"text", "a \"new\" näme"}}).ok());
  EXPECT_EQ(this->table_->version().version, version + 1);
  this->append({{{"id", 2}, {"a \"new\" näme", "c"}, {"score", 3}}});
  this->check({{{"id", 0}, {"a \"new\" näme", "a"}, {"score", 1}},
               {{"id", 1}, {"a \"new\" näme", "b"}, {"score", 2}},
               {{"id", 2}, {"a \"new\" näme", "c"}, {"score", 3}}});
}

TYPED_TEST(TableColumns, TwoColumnsSwapTheirNames) {
  ASSERT_TRUE(this->table_->rename_columns({{"text", "score"}, {"score", "text"}}).ok());
  this->check({{{"id", 0}, {"score", "a"}, {"text", 1}}, {{"id", 1}, {"score", "b"}, {"text", 2}}});
  ASSERT_TRUE(this->table_->rename_columns({{"text", "x"}, {"score", "text"}}).ok());
  this->check({{{"id", 0}, {"text", "a"}, {"x", 1}}, {{"id", 1}, {"text", "b"}, {"x", 2}}});
}

TYPED_TEST(TableColumns, AColumnUnderADroppedNameIsAnotherOne) {
  ASSERT_TRUE(this->table_->drop_columns({"text"}).ok());
  this->add({{"text", 0.5}});
  this->check(
      {{{"id", 0}, {"score", 1}, {"text", Value()}}, {{"id", 1}, {"score", 2}, {"text", Value()}}});
  this->append({{{"id", 2}, {"score", 3}, {"text", 2.5}}});
  ASSERT_TRUE(this->table_->drop_columns({"text"}).ok());
  // Nor is one that is renamed to it.
  ASSERT_TRUE(this->table_->rename_columns({{"score", "text"}}).ok());
  this->add({{"score", true}});
  this->append({{{"id", 3}, {"text", 4}, {"score", false}}});
  this->check({{{"id", 0}, {"text", 1}, {"score", Value()}},
               {{"id", 1}, {"text", 2}, {"score", Value()}},
               {{"id", 2}, {"text", 3}, {"score", Value()}},
               {{"id", 3}, {"text", 4}, {"score", false}}});
}

TYPED_TEST(TableColumns, NamesThatDoNotFitChangeNothing) {
  const std::uint64_t version = this->table_->version().version;
  EXPECT_THAT(this->table_->drop_columns({"text", "other"}).error().message, HasSubstr("other"));
  EXPECT_THAT(this->table_->rename_columns({{"text", "x"}, {"other", "y"}}).error().message,
              HasSubstr("other"));
  EXPECT_THAT(this->table_->rename_columns({{"text", "score"}}).error().message,
              HasSubstr("score"));
  EXPECT_EQ(this->table_->version().version, version);
  this->append({{{"id", 2}, {"text", "c"}, {"score", 3}}});
  this->check({{{"id", 0}, {"text", "a"}, {"score", 1}},
               {{"id", 1}, {"text", "b"}, {"score", 2}},
               {{"id", 2}, {"text", "c"}, {"score", 3}}});
}

}  // namespace
}  // namespace persisting
