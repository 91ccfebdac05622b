// Power cuts of a Lance table by itself, over the simulated Lance: every kind of change that the table port has.
// Rule: opening what the last change returned finds exactly that; a change that failed is there whole,
//       or not at all once it is set aside.
#include <algorithm>
#include <iostream>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "persisting/log.h"

#include "support/power_cut_file_system.h"
#include "support/records.h"
#include "support/seeds.h"
#include "support/simulated_lance.h"

namespace persisting {
namespace {

using testing::PowerCutFileSystem;
using testing::SimulatedLance;

class TableLives {
 public:
  struct Counts {
    std::uint64_t changes = 0;  // that ended well
    std::uint64_t power_cuts = 0;
    std::uint64_t taken_over = 0;  // versions of changes that failed
    std::uint64_t compactions = 0;
    std::uint64_t merges = 0;   // of the maintenance
    std::uint64_t removed = 0;  // old versions
    std::uint64_t torn = 0;     // versions that only what they hold tells from whole ones
  };

  TableLives(std::mt19937_64& random, Counts& counts) : random_(random), counts_(counts) {}

  void run() {
    for (int life = 0; life < 6 && !::testing::Test::HasFailure(); ++life) {
      open();
      if (::testing::Test::HasFailure()) return;
      disk_.stop_at(below(120));
      while (change()) ++counts_.changes;
      die();
    }
    open();
  }

 private:
  // What a table holds: a value a column in each row.
  struct Contents {
    std::vector<SchemaField> columns;
    std::vector<std::vector<Value>> rows;

    std::vector<Struct> records() const {
      std::vector<Struct> records;
      for (const std::vector<Value>& row : rows) {
        Struct record;
        for (std::size_t i = 0; i < columns.size(); ++i)
          record.emplace_back(columns[i].name, row[i]);
        records.push_back(std::move(record));
      }
      return records;
    }
  };

  // Opens the table, also by way of openings that the next cut ends, and decides which contents it has.
  void open() {
    if (below(3) == 0) disk_.stop_at(below(20));
    Result<std::unique_ptr<Table>> table = try_open(NewerVersions::kAccept);
    while (!table) {
      ASSERT_TRUE(disk_.stopped()) << table.error().message;
      die();
      table = try_open(NewerVersions::kAccept);
    }
    table_ = std::move(table).value();
    if (table_->version().version != known_.version && holds(next_)) {
      ++counts_.taken_over;
      now_ = next_;
      known_ = table_->version();
    } else if (table_->version().version != known_.version) {
      ++counts_.torn;
      reopen_known();
    }
    ASSERT_EQ(table_->version(), known_);
    ASSERT_TRUE(holds(now_)) << "version " << known_.version;
  }

  void reopen_known() {
    table_.reset();
    disk_.stop_at(UINT64_MAX);
    Result<std::unique_ptr<Table>> table = try_open(NewerVersions::kSetAside);
    ASSERT_TRUE(table.ok()) << table.error().message;
    table_ = std::move(table).value();
  }

  Result<std::unique_ptr<Table>> try_open(NewerVersions newer) {
    return lance_.opener()("/bucket/data.lance", known_, newer);
  }

  bool holds(const Contents& contents) const {
    const auto snapshot = table_->snapshot();
    if (snapshot == nullptr) return contents.rows.empty();
    const auto rows = testing::read_table(*snapshot);
    return rows.ok() && *rows == contents.records();
  }

  bool change() {
    next_ = now_;
    const Status status = table_->snapshot() == nullptr ? append() : change_existing();
    if (!status) {
      EXPECT_TRUE(disk_.stopped()) << status.error().message;
      EXPECT_EQ(table_->version(), known_);
      return false;
    }
    // A compaction has one before it, or none where nothing was to be merged.
    EXPECT_LE(table_->version().version, known_.version + 2);
    EXPECT_TRUE(holds(next_));
    if (::testing::Test::HasFailure()) return false;
    now_ = next_;
    known_ = table_->version();
    return true;
  }

  Status change_existing() {
    switch (below(9)) {
      case 8:
        return merge();
      case 6:
        return compact();
      case 7:
        return remove_old();
      case 0:
        return add();
      case 1:
        return next_.columns.empty() ? append() : drop();
      case 2:
        return next_.columns.empty() ? append() : rename();
      case 3:
        return below(3) == 0 ? rewrite() : append();
      default:
        return append();
    }
  }

  Status append() {
    if (next_.rows.empty()) next_.columns = {{"a", int64()}, {"b \"b\"", text()}};
    const std::size_t first = next_.rows.size();
    for (std::uint64_t count = 1 + below(5); count > 0; --count) {
      std::vector<Value> row;
      for (const SchemaField& column : next_.columns) row.push_back(value(column.type));
      next_.rows.push_back(std::move(row));
    }
    nanoarrow::UniqueArrayStream stream = stream_from(first);
    return table_->append(stream.get(), {first, next_.rows.size() - first});
  }

  Status rewrite() {
    nanoarrow::UniqueArrayStream stream = stream_from(0);
    return table_->rewrite(stream.get());
  }

  Status compact() {
    const std::uint64_t before = table_->version().version;
    PERSISTING_RETURN_IF_ERROR(table_->compact({1 + below(12), {}}));
    counts_.compactions += table_->version().version != before;
    return ok_status();
  }

  Status merge() {
    const std::unique_ptr<TableMerge> merge = table_->begin_merge();
    PERSISTING_ASSIGN_OR_RETURN(const bool written, merge->write());
    if (!written) return ok_status();
    PERSISTING_ASSIGN_OR_RETURN(const CompactedFragments figures, table_->commit_merge(*merge));
    counts_.merges += figures.after < figures.before;
    return ok_status();
  }

  // The checkpoint names known_.
  Status remove_old() {
    PERSISTING_ASSIGN_OR_RETURN(const RemovedVersions removed,
                                table_->remove_old_versions(1 + below(3)));
    counts_.removed += removed.versions;
    return ok_status();
  }

  Status add() {
    const SchemaField column{free_name(), below(2) == 0 ? int64() : text()};
    next_.columns.push_back(column);
    for (std::vector<Value>& row : next_.rows) row.emplace_back();
    nanoarrow::UniqueSchema columns;
    PERSISTING_RETURN_IF_ERROR(to_arrow_columns(Schema({column}), columns.get()));
    return table_->add_columns(columns.get());
  }

  Status drop() {
    const std::size_t column = below(next_.columns.size());
    const std::string name = next_.columns[column].name;
    next_.columns.erase(next_.columns.begin() + static_cast<std::ptrdiff_t>(column));
    for (std::vector<Value>& row : next_.rows)
      row.erase(row.begin() + static_cast<std::ptrdiff_t>(column));
    return table_->drop_columns({name});
  }

  Status rename() {
    std::string& first = next_.columns[below(next_.columns.size())].name;
    std::string& second = next_.columns[below(next_.columns.size())].name;
    if (&first != &second && below(2) == 0) {
      std::swap(first, second);
      return table_->rename_columns({{first, second}, {second, first}});
    }
    const std::string old = std::exchange(first, free_name());
    return table_->rename_columns({{old, first}});
  }

  // One that no column has; often one that a column had.
  std::string free_name() {
    std::string name;
    do {
      name = "column " + std::to_string(below(next_.columns.size() + 3));
    } while (std::any_of(next_.columns.begin(), next_.columns.end(),
                         [&name](const SchemaField& column) { return column.name == name; }));
    return name;
  }

  nanoarrow::UniqueArrayStream stream_from(std::size_t first) const {
    std::vector<Struct> records = next_.records();
    records.erase(records.begin(), records.begin() + static_cast<std::ptrdiff_t>(first));
    return testing::stream_of(testing::rows_of(std::make_shared<const Schema>(next_.columns),
                                               testing::batch(records), first));
  }

  void die() {
    table_.reset();
    if (below(4) == 0) return disk_.restart();
    disk_.cut(random_());
    ++counts_.power_cuts;
  }

  static FieldType int64() { return testing::type_of(TypeKind::kInt64); }
  static FieldType text() { return testing::type_of(TypeKind::kString); }
  Value value(const FieldType& type) {
    if (below(4) == 0) return {};
    if (type.kind == TypeKind::kInt64) return static_cast<std::int64_t>(below(1000));
    return std::string(below(200), 'x');
  }
  std::uint64_t below(std::uint64_t end) { return random_() % end; }

  std::mt19937_64& random_;
  Counts& counts_;
  PowerCutFileSystem disk_;
  SimulatedLance lance_{disk_};
  std::unique_ptr<Table> table_;
  TableVersion known_;  // what the last change returned
  Contents now_;        // what it holds
  Contents next_;       // what the change that failed would have made of it
};

TEST(TablePowerCut, KeepsEveryVersionThatAChangeReturned) {
  set_log_sink({});  // openings tell of every version they set aside
  constexpr std::uint64_t runs = 1000;
  TableLives::Counts counts;
  testing::with_seeds(runs, [&](std::mt19937_64& random) { TableLives(random, counts).run(); });
  std::cout << counts.power_cuts << " power cuts, " << counts.changes << " changes, "
            << counts.compactions << " of them compactions, " << counts.merges
            << " merges of the maintenance, " << counts.removed << " versions removed, "
            << counts.taken_over << " taken over, " << counts.torn << " torn\n";
  if (testing::replays_one_seed() || ::testing::Test::HasFailure()) return;
  EXPECT_GE(counts.power_cuts, 3 * testing::scaled(runs));
  EXPECT_GE(counts.changes, 5 * testing::scaled(runs));
  EXPECT_GE(counts.compactions * 2, testing::scaled(runs));
  EXPECT_GE(counts.merges * 20, testing::scaled(runs));
  EXPECT_GE(counts.removed, testing::scaled(runs));
  EXPECT_GE(counts.taken_over * 10, testing::scaled(runs));
  EXPECT_LT(counts.torn * 10, counts.taken_over);
}

}  // namespace
}  // namespace persisting
