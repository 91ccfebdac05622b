// Buckets whose schemas grow, widen, refuse, become text, are declared, lose and rename fields: whatever happens, a record
// reads the same, bit for bit, from the log, from a table of any schema since, and after rewrites of that table.
// PERSISTING_TEST_SEED replays one run.
#include <algorithm>
#include <cstdint>
#include <iostream>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "persisting/msgpack_reader.h"
#include "persisting/msgpack_writer.h"

#include "base/record_check.h"
#include "schema/admission.h"
#include "schema/arrow_convert.h"
#include "schema/arrow_rows.h"
#include "schema/declaration.h"
#include "schema/json_text.h"
#include "schema/normalizer.h"
#include "schema/record_fit.h"
#include "schema/schema_growth.h"
#include "support/random_records.h"
#include "support/records.h"
#include "support/seeds.h"

namespace persisting {
namespace {

using testing::Plan;
using testing::RandomValues;
using testing::Rows;

RecordBatch normalized(const Schema& schema, const RecordBatch& records) {
  RecordBatch out;
  for (std::size_t i = 0; i < records.size(); ++i) normalize(schema, records[i], &out);
  return out;
}

RecordBatch first_of(const RecordBatch& records, std::size_t count) {
  RecordBatch out;
  for (std::size_t i = 0; i < count; ++i) out.add_encoded(records[i]);
  return out;
}

std::string text_of(const RecordBatch& records, std::size_t index) {
  std::string text;
  msgpack::Reader reader(records[index]);
  append_canonical_text(reader, text);
  return text;
}

void expect_same(const RecordBatch& found, const RecordBatch& expected, const std::string& what) {
  if (found.bytes() == expected.bytes() && found.size() == expected.size()) return;
  for (std::size_t i = 0; i < std::min(found.size(), expected.size()); ++i) {
    if (found[i] != expected[i]) {
      ADD_FAILURE() << what << ": record " << i << " reads\n"
                    << text_of(found, i) << "\ninstead of\n"
                    << text_of(expected, i);
      return;
    }
  }
  ADD_FAILURE() << what << ": " << found.size() << " records instead of " << expected.size();
}

RecordBatch decoded(const Rows& rows, const Schema& schema, std::uint64_t first_offset = 0) {
  RecordBatch out;
  const Status status =
      decode_rows(*rows.schema.get(), *rows.array.get(), schema, first_offset, &out);
  EXPECT_TRUE(status.ok()) << (status ? "" : status.error().message);
  return out;
}

// Normalized records without a field, or with another name for it: what dropping and renaming leave of them.
RecordBatch without(const RecordBatch& records, std::string_view field, const char* new_name) {
  RecordBatch out;
  for (std::size_t i = 0; i < records.size(); ++i) {
    Struct fields = records.fields(i);
    if (new_name == nullptr) {
      std::erase_if(fields, [&](const auto& member) { return member.first == field; });
    } else {
      std::ranges::find(fields, field, &std::pair<std::string, Value>::first)->first = new_name;
    }
    msgpack::write_value(out.bytes(), fields);
    out.end_record();
  }
  return out;
}

class Scenario {
 public:
  explicit Scenario(std::mt19937_64& random) : values_(random) {
    surprises_ = values_.one_of<std::uint64_t>({6, 25, 1000});
    for (std::size_t i = 0; i < 1 + values_.below(std::size(names)); ++i)
      plans_.push_back(testing::random_plan(values_, 2));
    rules_.on_conflict = values_.one_of({ConflictPolicy::kReject, ConflictPolicy::kDeadLetter,
                                         ConflictPolicy::kStringify, ConflictPolicy::kStringify});
    rules_.refuse_single_records = values_.one_in(2);
    begin_epoch(testing::empty_schema(), {});
    if (values_.one_in(3)) declare_types();
  }

  void run() {
    for (std::uint64_t left = 3 + values_.below(8); left > 0; --left) {
      put();
      if (values_.one_in(5)) alter();
      if (::testing::Test::HasFailure()) return;
    }
    check_epoch();
  }

  std::uint64_t admitted() const { return admitted_; }
  std::uint64_t refused() const { return refused_; }
  const std::vector<SchemaChange>& history() const { return schema()->history(); }

 private:
  static constexpr const char* names[] = {"a", "b", "c", "grün", "a name beyond small strings"};

  const SchemaPtr& schema() const { return schemas_.back(); }

  void begin_epoch(SchemaPtr schema, RecordBatch records) {
    schemas_ = {std::move(schema)};
    known_ = {records.size()};
    records_ = std::move(records);
    first_new_ = records_.size();
  }

  Struct fields() {
    Struct made;
    for (std::size_t i = 0; i < plans_.size(); ++i) {
      if (!values_.one_in(4))
        made.emplace_back(names[i], testing::random_value(values_, plans_[i], surprises_));
    }
    if (values_.one_in(4)) std::ranges::reverse(made);
    return made;
  }

  void put() {
    std::vector<Struct> records(1 + values_.below(4));
    for (Struct& record : records) record = fields();
    const RecordBatch batch = testing::batch(records);
    for (std::size_t i = 0; i < batch.size(); ++i) check_fit(batch[i]);

    const std::uint64_t offset = records_.size();
    const std::string before = schema()->serialize();
    const Result<Admission> admission = admit(schema(), batch, offset, rules_);
    EXPECT_EQ(schema()->serialize(), before);
    if (!admission) return check_refusal(batch, admission.error());
    std::size_t refused = 0;
    for (std::size_t i = 0; i < batch.size(); ++i) {
      if (refused < admission->refused.size() && admission->refused[refused].index == i) {
        check_message(admission->refused[refused].error, i, offset + i - refused, batch.fields(i));
        ++refused;
        ++refused_;
      } else {
        records_.add_encoded(batch[i]);
        ++admitted_;
      }
    }
    EXPECT_EQ(refused, admission->refused.size());
    schemas_.push_back(admission->schema);
    known_.push_back(records_.size());
  }

  // What fits leaves the schema as it is, and nothing else does.
  void check_fit(std::string_view record) const {
    std::vector<SchemaField> grown = schema()->fields();
    const Status status = grow(&grown, record, {false, schema()->is_closed()});
    EXPECT_EQ(record_fits(*schema(), record), status.ok() && grown == schema()->fields());
  }

  static void check_message(const Error& error, std::size_t index, std::uint64_t offset,
                            const Struct& record) {
    EXPECT_EQ(error.code, ErrorCode::kSchema);
    const std::string start = "record " + std::to_string(index) + " of the batch (offset " +
                              std::to_string(offset) + "): field '";
    EXPECT_TRUE(error.message.starts_with(start)) << error.message << "\nnot " << start;
    const std::string_view rest = std::string_view(error.message).substr(start.size());
    EXPECT_TRUE(std::ranges::any_of(record, [&](const auto& field) {
      return rest.starts_with(field.first);
    })) << error.message;
    EXPECT_TRUE(rest.find(" but the bucket holds ") != std::string_view::npos ||
                rest.find(" is not in the declared schema") != std::string_view::npos)
        << error.message;
  }

  void check_refusal(const RecordBatch& batch, const Error& error) {
    ++refused_;
    std::size_t fitting = 0;
    while (fitting < batch.size() &&
           admit(schema(), first_of(batch, fitting + 1), records_.size(), rules_).ok()) {
      ++fitting;
    }
    ASSERT_LT(fitting, batch.size());
    check_message(error, fitting, records_.size() + fitting, batch.fields(fitting));
  }

  void alter() {
    check_epoch();
    if (::testing::Test::HasFailure()) return;
    const RecordBatch seen = normalized(*schema(), records_);
    Rows table = testing::rows_of(schema(), records_);
    switch (values_.below(4)) {
      case 0:
        return declare_types();
      case 1:
        return declare_default();
      case 2: {
        const char* const name = values_.one_of(names);
        const Result<SchemaPtr> dropped = drop_field(schema(), name, records_.size());
        EXPECT_EQ(dropped.ok(), schema()->find(name).has_value());
        if (!dropped) return;
        rename_column(table, name, "dropped");
        return altered(*dropped, without(seen, name, nullptr), table);
      }
      default: {
        const char* const from = values_.one_of(names);
        const char* const to = values_.one_of(names);
        const Result<SchemaPtr> renamed = rename_field(schema(), from, to, records_.size());
        EXPECT_EQ(renamed.ok(), schema()->find(from) && !schema()->find(to));
        if (!renamed) return;
        rename_column(table, from, to);
        return altered(*renamed, without(seen, from, to), table);
      }
    }
  }

  static void rename_column(Rows& table, std::string_view from, const char* to) {
    for (std::int64_t i = 0; i < table.schema->n_children; ++i) {
      ArrowSchema* const column = table.schema->children[i];
      if (column->name == from) {
        EXPECT_EQ(ArrowSchemaSetName(column, to), NANOARROW_OK);
        return;
      }
    }
  }

  void declare_types() {
    Struct types;
    for (std::size_t i = 0; i < plans_.size(); ++i) {
      if (values_.one_in(2))
        types.emplace_back(names[i], testing::random_declaration(values_, plans_[i]));
    }
    if (!values_.one_in(3)) types.emplace_back("*", "any");
    const Result<SchemaDeclaration> declaration = parse_schema_option(types);
    ASSERT_TRUE(declaration.ok()) << declaration.error().message;
    declare_all(*declaration);
  }

  void declare_default() {
    const std::size_t field = values_.below(plans_.size());
    const std::optional<std::size_t> known = schema()->find(names[field]);
    // Records that had only None there have no column to say so.
    if (known && schema()->fields()[*known].type.kind == TypeKind::kUndecided) return;
    SchemaDeclaration declaration;
    declaration.defaults = {
        {names[field], testing::random_value(values_, plans_[field], surprises_)}};
    declare_all(declaration);
  }

  void declare_all(const SchemaDeclaration& declaration) {
    const Result<SchemaPtr> declared = declare(schema(), declaration, records_.size());
    if (!declared) {
      EXPECT_EQ(declared.error().code, ErrorCode::kSchema);
      return;
    }
    const Result<SchemaPtr> again = declare(*declared, declaration, records_.size());
    ASSERT_TRUE(again.ok());
    EXPECT_EQ(*again, *declared);
    altered(*declared, normalized(*schema(), records_), testing::rows_of(schema(), records_));
  }

  // `seen`: the records so far as readers saw them, changed likewise; `table`: as the table has them.
  void altered(const SchemaPtr& schema, const RecordBatch& seen, const Rows& table) {
    expect_same(decoded(table, *schema), normalized(*schema, seen), "table of before the change");
    begin_epoch(schema, normalized(*schema, seen));
  }

  // All since the last explicit change.
  void check_epoch() {
    const RecordBatch expected = normalized(*schema(), records_);
    expect_same(normalized(*schema(), expected), expected, "normalized twice");
    for (std::size_t i = 0; i < records_.size(); ++i) {
      EXPECT_TRUE(record_fits(*schema(), records_[i]));
      EXPECT_TRUE(record_fits(*schema(), expected[i]));
      EXPECT_TRUE(check_record(expected[i]).ok());
    }
    for (std::size_t i = 0; i < schemas_.size(); ++i) check_table_of(i, expected);
    check_replay();
    check_schema();
  }

  // A flush under an earlier schema, and one more rewrite on the way.
  void check_table_of(std::size_t index, const RecordBatch& expected) {
    const RecordBatch flushed = first_of(records_, known_[index]);
    const Rows table = testing::rows_of(schemas_[index], flushed);
    const RecordBatch wanted = first_of(expected, flushed.size());
    expect_same(decoded(table, *schema()), wanted, "table of schema " + std::to_string(index));
    const SchemaPtr& between = schemas_[index + values_.below(schemas_.size() - index)];
    const Rows rewritten = testing::rows_of(between, decoded(table, *between));
    expect_same(decoded(rewritten, *schema()), wanted,
                "table of schema " + std::to_string(index) + ", rewritten");
    check_arrow(index, wanted);
  }

  // What the log gives after a crash, whatever the checkpoint knew.
  void check_replay() {
    RecordBatch log;
    for (std::size_t i = first_new_; i < records_.size(); ++i) log.add_encoded(records_[i]);
    const AdmissionRules tolerant{ConflictPolicy::kStringify, false};
    const Result<Admission> replayed = admit(schemas_.front(), log, first_new_, tolerant);
    ASSERT_TRUE(replayed.ok()) << replayed.error().message;
    EXPECT_TRUE(*replayed->schema == *schema()) << testing::describe(*replayed->schema) << "\n"
                                                << testing::describe(*schema());
    EXPECT_EQ(replayed->schema->history().size(), schema()->history().size());
    const SchemaPtr& checkpoint = schemas_[values_.below(schemas_.size())];
    const Result<Admission> resumed = admit(checkpoint, log, first_new_, tolerant);
    ASSERT_TRUE(resumed.ok()) << resumed.error().message;
    EXPECT_TRUE(*resumed->schema == *schema());
  }

  void check_schema() const {
    const Result<Schema> parsed = Schema::parse(schema()->serialize());
    ASSERT_TRUE(parsed.ok()) << parsed.error().message;
    EXPECT_TRUE(*parsed == *schema());
    EXPECT_EQ(parsed->history(), schema()->history());
    nanoarrow::UniqueSchema arrow;
    ASSERT_TRUE(to_arrow_schema(*schema(), arrow.get()).ok());
    std::vector<std::string> ignored;
    const Result<Schema> table = from_arrow_schema(*arrow.get(), &ignored);
    ASSERT_TRUE(table.ok());
    EXPECT_TRUE(ignored.empty());
    EXPECT_EQ(plan_change(*table, *schema()).kind, TableChange::Kind::kNone);
    const Result<Schema> merged = merge(*schema(), *table);
    ASSERT_TRUE(merged.ok()) << merged.error().message;
    EXPECT_TRUE(*merged == *schema());
  }

  // What get_arrow() gave under an earlier schema can be put again now, and reads the same.
  void check_arrow(std::size_t index, const RecordBatch& expected) {
    const SchemaPtr& given_under = schemas_[index];
    Rows rows;
    ASSERT_TRUE(to_arrow_fields(*given_under, rows.schema.get()).ok());
    Result<ArrowBatchBuilder> builder =
        ArrowBatchBuilder::make(given_under, SystemColumns::kWithout);
    const RecordBatch given_records = normalized(*given_under, first_of(records_, known_[index]));
    for (std::size_t i = 0; i < given_records.size(); ++i)
      ASSERT_TRUE(builder->append(i, 0, given_records[i]).ok());
    ASSERT_TRUE(builder->finish(rows.array.get()).ok());
    const Result<ArrowRows> given = ArrowRows::make(rows.schema.get(), rows.array.get());
    ASSERT_TRUE(given.ok()) << given.error().message;
    const Result<Schema> fields = given->fields();
    ASSERT_TRUE(fields.ok()) << fields.error().message;
    for (std::size_t later = index; later < schemas_.size(); ++later) {
      const Result<SchemaPtr> admitted = admit_fields(schemas_[later], *fields, records_.size());
      ASSERT_TRUE(admitted.ok()) << admitted.error().message;
      EXPECT_EQ(*admitted, schemas_[later]);
    }
    RecordBatch read;
    ASSERT_TRUE(given->read(0, given->size(), *schema(), &read).ok());
    expect_same(read, expected, "rows in Arrow of schema " + std::to_string(index));
  }

  RandomValues values_;
  std::uint64_t surprises_ = 0;  // one value in so many is not as planned
  std::vector<Plan> plans_;
  AdmissionRules rules_;
  // Since the last explicit change: the schemas, oldest first, and how many records each held.
  std::vector<SchemaPtr> schemas_;
  std::vector<std::size_t> known_;
  RecordBatch records_;
  std::size_t first_new_ = 0;  // those before were put before the change
  std::uint64_t admitted_ = 0;
  std::uint64_t refused_ = 0;  // records, and batches refused for one
};

TEST(SchemaEvolution, RecordsReadTheSameWhateverBecomesOfTheSchema) {
  std::uint64_t admitted = 0;
  std::uint64_t refused = 0;
  std::map<std::string_view, std::uint64_t> changes;
  testing::with_seeds(4000, [&](std::mt19937_64& random) {
    Scenario scenario(random);
    scenario.run();
    admitted += scenario.admitted();
    refused += scenario.refused();
    for (const SchemaChange& change : scenario.history()) ++changes[name_of(change.kind)];
  });
  std::cout << admitted << " records admitted, " << refused << " refused; fields";
  for (const auto& [kind, count] : changes) std::cout << ' ' << kind << ' ' << count;
  std::cout << '\n';
  if (testing::replays_one_seed()) return;
  EXPECT_GE(admitted, testing::scaled(20'000));
  EXPECT_EQ(changes.size(), 8u) << "some kind of change never came";
}

}  // namespace
}  // namespace persisting
