// The table port over a simulated Lance: what it remembers of its files, and what it refuses on opening.
#include <cstring>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/file_digest.h"
#include "lance/table_format.h"
#include "support/power_cut_file_system.h"
#include "support/records.h"
#include "support/simulated_lance.h"

namespace persisting {
namespace {

using ::testing::HasSubstr;
using testing::PowerCutFileSystem;
using testing::SimulatedLance;

class LanceTableTest : public ::testing::Test {
 protected:
  Result<std::unique_ptr<Table>> open(const TableVersion& known,
                                      NewerVersions newer = NewerVersions::kAccept) {
    return lance_.opener()(path_, known, newer);
  }

  void append(Table& table, std::uint64_t rows) {
    const std::uint64_t first = table.snapshot() == nullptr ? 0 : table.snapshot()->rows();
    std::vector<Struct> records;
    for (std::uint64_t i = 0; i < rows; ++i)
      records.push_back({{"id", static_cast<std::int64_t>(first + i)}});
    nanoarrow::UniqueArrayStream stream = stream_of(records, first);
    const Status appended = table.append(stream.get(), {first, rows});
    ASSERT_TRUE(appended.ok()) << appended.error().message;
  }

  static nanoarrow::UniqueArrayStream stream_of(const std::vector<Struct>& records,
                                                std::uint64_t first) {
    return testing::stream_of(
        testing::rows_of(testing::schema_of(records), testing::batch(records), first));
  }

  std::string data_path(const TableFile& file) const { return path_ + "/data/" + file.name; }

  // A version's memory of its files against the files.
  void check_digests(const TableVersion& version) {
    for (const TableFile& file : version.files) {
      const auto digest = digest_file(disk_, data_path(file));
      ASSERT_TRUE(digest.ok());
      EXPECT_EQ(*digest, file.digest);
    }
  }

  const std::string path_ = "/bucket/data.lance";
  PowerCutFileSystem disk_;
  SimulatedLance lance_{disk_};
};

TEST_F(LanceTableTest, RemembersSizeAndChecksumOfEachFile) {
  auto table = open({}).value();
  append(*table, 10);
  EXPECT_EQ(table->version().files.size(), 2U);
  append(*table, 1);
  EXPECT_EQ(table->version().files.size(), 3U);
  check_digests(table->version());

  std::vector<Struct> wider;
  for (int i = 0; i < 11; ++i) wider.push_back({{"id", 0.5 + i}});
  nanoarrow::UniqueArrayStream stream = stream_of(wider, 0);
  ASSERT_TRUE(table->rewrite(stream.get()).ok());
  EXPECT_EQ(table->version().files.size(), 2U);  // the new ones alone
  check_digests(table->version());
}

TEST_F(LanceTableTest, ForgetsAFileThatAVersionWithoutItsColumnsDoesNotName) {
  // As Lance names the files of a version once a column with a file of its own is gone.
  persisting_lance_engine engine = lance_.engine();
  engine.data_files = [](void* context, persisting_lance_dataset* dataset, char** files,
                         char** error) {
    const auto& lance = *static_cast<SimulatedLance*>(context);
    const int code = lance.engine().data_files(context, dataset, files, error);
    if (code == 0) *(std::strchr(*files, '\n') + 1) = '\0';
    return code;
  };
  auto table =
      lance::make_table_format(disk_, engine).open(path_, {}, NewerVersions::kAccept).value();
  append(*table, 10);
  const std::vector<TableFile> files = table->version().files;
  ASSERT_EQ(files.size(), 2U);
  ASSERT_TRUE(table->drop_columns({"id"}).ok());
  EXPECT_EQ(table->version().version, 2U);
  EXPECT_EQ(table->version().files, std::vector<TableFile>{files.front()});
}

TEST_F(LanceTableTest, LearnsTheFilesOfAnotherProgramsVersion) {
  auto table = open({}).value();
  append(*table, 10);
  ASSERT_TRUE(lance_.compact(path_).ok());
  append(*table, 1);
  EXPECT_EQ(table->version().version, 3U);
  EXPECT_EQ(table->version().files.size(), 2U);  // the merged one and the new one
  check_digests(table->version());

  const TableVersion known = table->version();
  ASSERT_TRUE(lance_.compact(path_).ok());
  table = open(known).value();
  EXPECT_EQ(table->version().version, 4U);
  EXPECT_EQ(table->version().files.size(), 1U);
  check_digests(table->version());
}

TEST_F(LanceTableTest, AKnownVersionWithADamagedFileIsRefusedByName) {
  auto table = open({}).value();
  append(*table, 10);
  const TableVersion known = table->version();
  table.reset();
  const std::string path = data_path(known.files.front());
  const std::string whole = disk_.files().at(path);
  const auto refused = [&](std::string contents) {
    disk_.set_file(path, std::move(contents));
    const auto opened = open(known);
    ASSERT_FALSE(opened.ok());
    EXPECT_EQ(opened.error().code, ErrorCode::kCorruption);
    EXPECT_EQ(opened.error().component, Component::kTable);
    EXPECT_THAT(opened.error().message, HasSubstr(path));
  };
  refused("");
  refused(whole.substr(0, whole.size() / 2));
  refused(std::string(whole.size(), '\0'));
  disk_.set_file(path, whole);
  EXPECT_TRUE(open(known).ok());
  ASSERT_TRUE(disk_.remove_file(path).ok());
  EXPECT_THAT(open(known).error().message, HasSubstr(path));
}

TEST_F(LanceTableTest, NothingIsSetAsideForAVersionThatIsNotWhole) {
  auto table = open({}).value();
  append(*table, 10);
  const TableVersion known = table->version();
  append(*table, 10);
  table.reset();
  const std::string path = data_path(known.files.front());
  const std::string whole = disk_.files().at(path);
  disk_.set_file(path, "");
  const auto before = disk_.files();
  EXPECT_FALSE(open(known, NewerVersions::kSetAside).ok());
  EXPECT_EQ(disk_.files(), before);

  disk_.set_file(path, whole);
  table = open(known, NewerVersions::kSetAside).value();
  EXPECT_EQ(table->version(), known);
  EXPECT_EQ(table->snapshot()->rows(), 10U);
  append(*table, 3);
  EXPECT_EQ(table->snapshot()->rows(), 13U);
}

TEST_F(LanceTableTest, AnErrorHasTheEnginesMessage) {
  auto table = open({}).value();
  append(*table, 10);
  const TableVersion known = table->version();
  const auto snapshot = table->snapshot();
  ASSERT_TRUE(disk_.remove_file(data_path(known.files.front())).ok());
  nanoarrow::UniqueArrayStream rows;
  const Status read = snapshot->scan(0, 10, rows.get());
  ASSERT_FALSE(read.ok());
  EXPECT_THAT(read.error().message, HasSubstr("no such file"));
}

}  // namespace
}  // namespace persisting
