#include "support/memory_table.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "schema/arrow_convert.h"

namespace persisting::testing {
namespace {

Error table_error(std::string message) {
  return Error{ErrorCode::kIo, Component::kTable, std::move(message)};
}

}  // namespace

class MemoryTable : public Table {
 public:
  using Version = MemoryTables::Version;

  class Snapshot : public TableSnapshot {
   public:
    explicit Snapshot(std::shared_ptr<const Version> version) : version_(std::move(version)) {}
    std::uint64_t version() const override { return version_->number; }
    std::uint64_t rows() const override { return version_->rows; }
    Status schema(ArrowSchema* out) const override {
      if (ArrowSchemaDeepCopy(version_->schema.get(), out) != NANOARROW_OK)
        return table_error("copy schema");
      return ok_status();
    }
    // Gives one array a row, sliced from the stored batches: the reader must cope with offsets.
    Status scan(std::uint64_t row, std::uint64_t count, ArrowArrayStream* out) const override {
      // Batches written under an older schema are read under theirs: a stream has one schema, so rows are re-encoded.
      auto rows = std::make_shared<std::vector<std::pair<std::size_t, std::int64_t>>>();
      std::uint64_t first = 0;
      for (std::size_t b = 0; b < version_->batches.size(); ++b) {
        const auto length = static_cast<std::uint64_t>((*version_->batches[b])->length);
        for (std::uint64_t i = 0; i < length; ++i) {
          if (first + i >= row && first + i < row + count)
            rows->emplace_back(b, static_cast<std::int64_t>(i));
        }
        first += length;
      }
      std::vector<std::string> ignored;
      auto target = from_arrow_schema(*version_->schema.get(), &ignored);
      if (!target) return std::move(target).error();
      const auto schema = std::make_shared<const Schema>(std::move(target).value());
      auto builder = ArrowBatchBuilder::make(schema);
      if (!builder) return std::move(builder).error();
      auto shared_builder = std::make_shared<ArrowBatchBuilder>(std::move(builder).value());
      nanoarrow::UniqueSchema arrow;
      PERSISTING_RETURN_IF_ERROR(to_arrow_schema(*schema, arrow.get()));
      make_stream(
          arrow.get(),
          [version = version_, rows, schema, shared_builder, next = std::size_t{0},
           row](ArrowArray* array) mutable -> Result<bool> {
            if (next == rows->size()) return false;
            const auto [batch, index] = (*rows)[next];
            ArrowArray slice = *version->batches[batch]->get();
            slice.offset += index;
            slice.length = 1;
            slice.null_count = 0;  // rows are never null
            RecordBatch records;
            std::vector<std::int64_t> timestamps;
            PERSISTING_RETURN_IF_ERROR(decode_rows(*version->batch_schemas[batch]->get(), slice,
                                                   *schema, row + next, &records, &timestamps));
            PERSISTING_RETURN_IF_ERROR(
                shared_builder->append(row + next, timestamps[0], records[0]));
            ++next;
            PERSISTING_RETURN_IF_ERROR(shared_builder->finish(array));
            return true;
          },
          out);
      return ok_status();
    }

   private:
    const std::shared_ptr<const Version> version_;
  };

  MemoryTable(MemoryTables& owner, std::shared_ptr<MemoryTables::Stored> stored)
      : owner_(owner), stored_(std::move(stored)) {}

  std::shared_ptr<const TableSnapshot> snapshot() const override {
    if (stored_->versions.empty()) return nullptr;
    return std::make_shared<Snapshot>(stored_->versions.back());
  }
  const TableVersion& version() const override {
    version_.version = stored_->versions.empty() ? 0 : stored_->versions.back()->number;
    return version_;
  }

  Status append(ArrowArrayStream* stream, const AppendSummary& summary) override {
    if (owner_.on_append_) owner_.on_append_();
    ++owner_.appends_;
    auto next = next_version();
    const std::uint64_t rows_before = next->rows;
    PERSISTING_RETURN_IF_ERROR(take(stream, next.get()));
    if (summary.first_offset != rows_before || next->rows != rows_before + summary.rows) {
      return table_error("append of wrong rows");
    }
    return publish(std::move(next));
  }
  Status add_columns(ArrowSchema* columns) override {
    nanoarrow::UniqueSchema owned(columns);
    ++owner_.added_columns_;
    auto next = next_version();
    nanoarrow::UniqueSchema wider;
    const std::int64_t before = next->schema->n_children;
    ArrowSchemaInit(wider.get());
    if (ArrowSchemaSetTypeStruct(wider.get(), before + owned->n_children) != NANOARROW_OK)
      return table_error("schema");
    for (std::int64_t i = 0; i < before + owned->n_children; ++i) {
      ArrowSchema* from = i < before ? next->schema->children[i] : owned->children[i - before];
      wider->children[i]->release(wider->children[i]);
      if (ArrowSchemaDeepCopy(from, wider->children[i]) != NANOARROW_OK)
        return table_error("schema");
    }
    next->schema = std::move(wider);
    return publish(std::move(next));
  }
  // A dropped column stays in the batches under a name that no field has.
  Status drop_columns(const std::vector<std::string>& names) override {
    auto next = next_version();
    for (const std::string& name : names) {
      const std::int64_t column = find_column(*next->schema.get(), name);
      if (column < 0) return table_error("no column " + name);
      nanoarrow::UniqueSchema narrower;
      ArrowSchemaInit(narrower.get());
      if (ArrowSchemaSetTypeStruct(narrower.get(), next->schema->n_children - 1) != NANOARROW_OK)
        return table_error("schema");
      for (std::int64_t i = 0; i < narrower->n_children; ++i) {
        narrower->children[i]->release(narrower->children[i]);
        ArrowSchemaMove(next->schema->children[i < column ? i : i + 1], narrower->children[i]);
      }
      next->schema = std::move(narrower);
      PERSISTING_RETURN_IF_ERROR(rename_in_batches({{name, "dropped.column"}}, next.get()));
    }
    return publish(std::move(next));
  }
  Status rename_columns(const std::vector<std::pair<std::string, std::string>>& renames) override {
    auto next = next_version();
    for (const auto& [from, to] : renames) {
      if (find_column(*next->schema.get(), from) < 0) return table_error("no column " + from);
    }
    PERSISTING_RETURN_IF_ERROR(rename_children(renames, next->schema.get()));
    for (std::int64_t i = 0; i < next->schema->n_children; ++i) {
      const std::string name = next->schema->children[i]->name;
      if (find_column(*next->schema.get(), name) != i) return table_error("two columns " + name);
    }
    PERSISTING_RETURN_IF_ERROR(rename_in_batches(renames, next.get()));
    return publish(std::move(next));
  }
  Status rewrite(ArrowArrayStream* stream) override {
    ++owner_.rewrites_;
    auto next = std::make_shared<Version>();
    next->number = version().version + 1;
    PERSISTING_RETURN_IF_ERROR(take(stream, next.get()));
    if (next->rows != stored_->versions.back()->rows)
      return table_error("rewrite changed the number of rows");
    return publish(std::move(next));
  }
  // The batches are its fragments. They stay: a version of the same rows stands for a merged one.
  Result<CompactedFragments> compact(const TableCompaction& compaction) override {
    if (owner_.on_compact_) owner_.on_compact_();
    if (stored_->versions.empty()) return CompactedFragments{};
    const std::uint64_t fragments = stored_->versions.back()->batches.size();
    if (compaction.progress) PERSISTING_RETURN_IF_ERROR(compaction.progress(fragments, fragments));
    PERSISTING_RETURN_IF_ERROR(publish(next_version()));
    return CompactedFragments{fragments, 1};
  }
  std::unique_ptr<TableMerge> begin_merge() override { return nullptr; }
  Result<CompactedFragments> commit_merge(TableMerge&) override { return CompactedFragments{}; }
  Result<RemovedVersions> remove_old_versions(std::uint64_t kept) override {
    const std::uint64_t old = stored_->versions.size() - std::min(stored_->versions.size(), kept);
    for (std::uint64_t i = 0; i < old; ++i) stored_->versions.erase(stored_->versions.begin());
    return RemovedVersions{old, 0};
  }

 private:
  using Renames = std::vector<std::pair<std::string, std::string>>;

  static std::int64_t find_column(const ArrowSchema& schema, const std::string& name) {
    for (std::int64_t i = 0; i < schema.n_children; ++i) {
      if (schema.children[i]->name == name) return i;
    }
    return -1;
  }

  static Status rename_children(const Renames& renames, ArrowSchema* schema) {
    std::vector<std::pair<std::int64_t, std::string>> found;
    for (const auto& [from, to] : renames) {
      const std::int64_t column = find_column(*schema, from);
      if (column >= 0) found.emplace_back(column, to);
    }
    for (const auto& [column, to] : found) {
      if (ArrowSchemaSetName(schema->children[column], to.c_str()) != NANOARROW_OK)
        return table_error("schema");
    }
    return ok_status();
  }

  // Other versions keep their schemas.
  static Status rename_in_batches(const Renames& renames, Version* version) {
    for (auto& schema : version->batch_schemas) {
      auto renamed = std::make_shared<nanoarrow::UniqueSchema>();
      if (ArrowSchemaDeepCopy(schema->get(), renamed->get()) != NANOARROW_OK)
        return table_error("schema");
      PERSISTING_RETURN_IF_ERROR(rename_children(renames, renamed->get()));
      schema = std::move(renamed);
    }
    return ok_status();
  }

  std::shared_ptr<Version> next_version() const {
    auto next = std::make_shared<Version>();
    next->number = version().version + 1;
    if (!stored_->versions.empty()) {
      const Version& last = *stored_->versions.back();
      ArrowSchemaDeepCopy(last.schema.get(), next->schema.get());
      next->batches = last.batches;
      next->batch_schemas = last.batch_schemas;
      next->rows = last.rows;
    }
    return next;
  }

  static Status take(ArrowArrayStream* stream, Version* version) {
    nanoarrow::UniqueArrayStream owned(stream);
    auto schema = std::make_shared<nanoarrow::UniqueSchema>();
    if (owned->get_schema(owned.get(), schema->get()) != 0) return table_error("stream schema");
    if (version->schema->release == nullptr)
      ArrowSchemaDeepCopy(schema->get(), version->schema.get());
    while (true) {
      auto array = std::make_shared<nanoarrow::UniqueArray>();
      if (owned->get_next(owned.get(), array->get()) != 0) {
        return table_error(std::string("stream: ") + owned->get_last_error(owned.get()));
      }
      if ((*array)->release == nullptr) return ok_status();
      version->rows += static_cast<std::uint64_t>((*array)->length);
      version->batches.push_back(array);
      version->batch_schemas.push_back(schema);
    }
  }

  Status publish(std::shared_ptr<Version> next) {
    if (broken_) return table_error("must be opened again");
    if (owner_.fail_before_ > 0) {
      --owner_.fail_before_;
      return table_error("injected before the commit");
    }
    stored_->versions.push_back(std::move(next));
    if (owner_.fail_after_ > 0) {
      --owner_.fail_after_;
      broken_ = true;
      return table_error("injected after the commit");
    }
    return ok_status();
  }

  MemoryTables& owner_;
  mutable TableVersion version_;
  bool broken_ = false;  // as LanceTable: after a failure behind a commit only opening again helps
  const std::shared_ptr<MemoryTables::Stored> stored_;
};

TableOpener MemoryTables::opener() {
  return [this](const std::string& path, const TableVersion&,
                NewerVersions) -> Result<std::unique_ptr<Table>> {
    const std::lock_guard lock(mutex_);
    auto& stored = tables_[path];
    if (stored == nullptr) stored = std::make_shared<Stored>();
    return std::unique_ptr<Table>(std::make_unique<MemoryTable>(*this, stored));
  };
}

}  // namespace persisting::testing
