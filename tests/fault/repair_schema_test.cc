// verify and repair of a bucket with declared types, defaults, a history, and rows that came in Arrow.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/verify.h"
#include "support/arrow_tables.h"
#include "support/bucket_on_disk.h"

namespace persisting {
namespace {

using testing::arrow_of;
using testing::BucketOnDisk;
using ::testing::HasSubstr;

using Rows = std::vector<Struct>;

class RepairSchemaTest : public BucketOnDisk {
 protected:
  void SetUp() override {
    BucketOnDisk::SetUp();
    options_.declaration = parse_schema_option({{"id", "int64"},
                                                {"price", "decimal<2>"},
                                                {"v", "vector<float32, 2>"},
                                                {"any", "tensor<int8>"},
                                                {"m", "map<string, int64>"},
                                                {"j", "json"},
                                                {"f", "float32"},
                                                {"text", "string"},
                                                {"old", "string"},
                                                {"later", "int64"}})
                               .value();
    options_.declaration.defaults = {{"text", "none"}};
    open();
    put_arrow({{{"id", 1}, {"v", vector_}}, {{"id", 2}, {"text", "a"}}});
    put({{{"id", 3},
          {"price", Decimal{1234, 2}},
          {"any", Tensor{NumberType::kInt8, {2, 1}, "ab"}},
          {"m", Struct{{"k", 1}}},
          {"j", Struct{{"x", List{1, "y", Null{}}}}},
          {"f", 0.1}}});
    ASSERT_TRUE(flush().ok());
    ASSERT_TRUE(drop("old").ok());
    ASSERT_TRUE(rename("later", "number").ok());
    close();
    options_.declaration = SchemaDeclaration();
    options_.declaration.defaults = {{"text", "new"}, {"number", 7}};
    open();
    ASSERT_TRUE(flush().ok());
    put_arrow({{{"id", 4}, {"price", Decimal{5, 1}}}, {{"id", 5}, {"v", vector_}}});
    put({{{"id", 6}, {"j", "z"}, {"number", Null{}}}});
    options_.declaration = SchemaDeclaration();
    rows_ = read();
    schema_ = schema();
    history_ = history();
    close();
  }
  void put_arrow(const Rows& rows) {
    testing::Rows arrow = arrow_of(rows);
    const auto offset = engine_->put_arrow(arrow.schema.get(), arrow.array.get());
    ASSERT_TRUE(offset.ok()) << offset.error().message;
  }
  void repair() {
    const auto report = repair_bucket(disk_, lance_.format(), options_.folder, "/new/bucket_3");
    ASSERT_TRUE(report.ok()) << report.error().message;
    EXPECT_TRUE(report->lost.empty());
    EXPECT_EQ(report->records, rows_.size());
    options_.folder = "/new/bucket_3";
    open();
  }

  const Tensor vector_{NumberType::kFloat32, {2}, std::string(8, '\1')};
  Rows rows_;
  std::string schema_;
  std::vector<std::string> history_;
};

TEST_F(RepairSchemaTest, AWholeBucketHasNoFindings) {
  const auto report = verify_bucket(disk_, lance_.format(), options_.folder);
  ASSERT_TRUE(report.ok()) << report.error().message;
  EXPECT_TRUE(report->findings.empty()) << report->findings.front().message;
  EXPECT_EQ(report->records, rows_.size());
}

TEST_F(RepairSchemaTest, TypesDefaultsAndHistoryAreKept) {
  repair();
  EXPECT_EQ(read(), rows_);
  EXPECT_EQ(schema(), schema_);
  EXPECT_EQ(history(), history_);
  EXPECT_EQ(try_put({{{"other", 1}}}).error().code, ErrorCode::kSchema);
  EXPECT_EQ(try_put({{{"id", 0.5}}}).error().code, ErrorCode::kSchema);
  put({{{"id", 7}}});
  const Struct last = read().back();
  for (const auto& [name, value] : last) {
    if (name == "text") {
      EXPECT_EQ(value, Value("new"));
    }
    if (name == "number") {
      EXPECT_EQ(value, Value(7));
    }
  }
  ASSERT_TRUE(flush().ok());
  EXPECT_EQ(read().back(), last);
}

TEST_F(RepairSchemaTest, WithoutTheCheckpointTheRecordsAreKept) {
  std::string damaged = disk_.files().at(options_.folder + "/CHECKPOINT");
  damaged[20] = static_cast<char>(damaged[20] ^ 1);
  disk_.set_file(options_.folder + "/CHECKPOINT", damaged);
  repair();
  const Rows found = read();
  ASSERT_EQ(found.size(), rows_.size());
  for (std::size_t i = 0; i < found.size(); ++i) EXPECT_EQ(found[i][0], rows_[i][0]);
}

}  // namespace
}  // namespace persisting
