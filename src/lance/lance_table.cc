#include "lance/lance_table.h"

#include <array>
#include <map>
#include <string_view>
#include <utility>

#include <nanoarrow/nanoarrow.hpp>

#include "lance/head_check.h"
#include "lance/lance_format.h"
#include "lance/manifests.h"

namespace persisting::lance {

Result<std::unique_ptr<Table>> LanceTable::open(FileSystem& file_system,
                                                const persisting_lance_engine& engine,
                                                const std::string& path, const TableVersion& known,
                                                NewerVersions newer) {
  std::unique_ptr<LanceTable> table(new LanceTable(file_system, engine, path));
  PERSISTING_ASSIGN_OR_RETURN(table->dataset_,
                              choose_head(file_system, engine, path, known, newer));
  if (table->dataset_ == nullptr) return std::unique_ptr<Table>(std::move(table));
  table->version_ = known;
  if (table->dataset_->version() == known.version) {
    // What led to a version that a checkpoint names was made durable before that checkpoint.
    PERSISTING_ASSIGN_OR_RETURN(const std::vector<std::string> names,
                                file_system.list_folder(path + transactions_folder));
    table->synced_.insert(names.begin(), names.end());
    PERSISTING_ASSIGN_OR_RETURN(const auto manifests, list_manifests(file_system, path));
    table->version_count_ = manifests.size();
  } else {
    // Whoever committed it may not have lived to sync it.
    PERSISTING_ASSIGN_OR_RETURN(const std::vector<DataFile> files, table->dataset_->data_files());
    PERSISTING_RETURN_IF_ERROR(table->sync_data_files(files));
    PERSISTING_ASSIGN_OR_RETURN(std::vector<TableFile> digests, table->digest_files(files));
    PERSISTING_RETURN_IF_ERROR(
        table->sync_version_files(table->dataset_->version(), std::move(digests)));
  }
  return std::unique_ptr<Table>(std::move(table));
}

Status LanceTable::append(ArrowArrayStream* stream, const AppendSummary& summary) {
  const std::uint64_t rows_before = dataset_ == nullptr ? 0 : dataset_->rows();
  // A dataset is made by an overwrite of nothing: it brings the schema.
  const int mode = dataset_ == nullptr ? PERSISTING_LANCE_OVERWRITE : PERSISTING_LANCE_APPEND;
  return write_and_commit(stream, mode, {summary.first_offset, summary.rows},
                          rows_before + summary.rows);
}

Status LanceTable::rewrite(ArrowArrayStream* stream) {
  const std::uint64_t rows = dataset_->rows();
  return write_and_commit(stream, PERSISTING_LANCE_OVERWRITE, {0, rows}, rows);
}

Status LanceTable::write_and_commit(ArrowArrayStream* stream, int mode,
                                    const Properties& properties, std::uint64_t rows_after) {
  // Consumed whatever happens.
  nanoarrow::UniqueArrayStream owned(stream);
  PERSISTING_RETURN_IF_ERROR(check_usable());
  if (dataset_ == nullptr)
    PERSISTING_RETURN_IF_ERROR(file_system_.create_folders(path_ + data_folder));

  char* message = nullptr;
  char* files = nullptr;
  persisting_lance_fragments* handle = nullptr;
  persisting_lance_dataset* const base = dataset_ == nullptr ? nullptr : dataset_->handle();
  PERSISTING_RETURN_IF_ERROR(
      check(engine_,
            engine_.write_fragments(engine_.context, path_.c_str(), base, mode, owned.get(),
                                    &handle, &files, &message),
            &message, "write rows to " + path_));
  const Fragments fragments(engine_, handle);
  PERSISTING_ASSIGN_OR_RETURN(const std::vector<DataFile> written, take_file_list(engine_, files));
  PERSISTING_RETURN_IF_ERROR(sync_data_files(written));
  PERSISTING_ASSIGN_OR_RETURN(std::vector<TableFile> digests, digest_files(written));
  if (mode == PERSISTING_LANCE_APPEND) {
    digests.insert(digests.begin(), version_.files.begin(), version_.files.end());
  } else {
    ++layout_;
  }

  const std::string first = std::to_string(properties.first_offset);
  const std::string rows = std::to_string(properties.rows);
  const std::string end = std::to_string(rows_after);
  const std::array entries{persisting_key_value{"persisting.first_offset", first.c_str()},
                           persisting_key_value{"persisting.rows", rows.c_str()},
                           persisting_key_value{"persisting.flushed_to", end.c_str()}};
  const std::uint64_t read_version = dataset_ == nullptr ? 0 : dataset_->version();
  persisting_lance_dataset* committed = nullptr;
  Status status =
      check(engine_,
            engine_.commit(engine_.context, path_.c_str(), read_version, mode, fragments.handle(),
                           entries.data(), entries.size(), &committed, &message),
            &message, "commit to " + path_);
  if (!status) return refuse_after_failed_commit(std::move(status));
  auto next = Dataset::adopt(engine_, committed);
  if (!next) return refuse_after_failed_commit(std::move(next).error());
  return advance(std::move(next).value(), rows_after, std::move(digests));
}

Status LanceTable::add_columns(ArrowSchema* columns) {
  nanoarrow::UniqueSchema owned(columns);
  return change_columns("add columns to", [this, &owned](persisting_lance_dataset** changed,
                                                         char** message) {
    return engine_.add_columns(engine_.context, dataset_->handle(), owned.get(), changed, message);
  });
}

Status LanceTable::drop_columns(const std::vector<std::string>& names) {
  std::vector<const char*> columns;
  columns.reserve(names.size());
  for (const std::string& name : names) columns.push_back(name.c_str());
  return change_columns(
      "drop columns of", [this, &columns](persisting_lance_dataset** changed, char** message) {
        return engine_.drop_columns(engine_.context, dataset_->handle(), columns.data(),
                                    columns.size(), changed, message);
      });
}

Status LanceTable::rename_columns(const std::vector<std::pair<std::string, std::string>>& renames) {
  std::vector<persisting_key_value> pairs;
  pairs.reserve(renames.size());
  for (const auto& [from, to] : renames) pairs.push_back({from.c_str(), to.c_str()});
  return change_columns(
      "rename columns of", [this, &pairs](persisting_lance_dataset** changed, char** message) {
        return engine_.rename_columns(engine_.context, dataset_->handle(), pairs.data(),
                                      pairs.size(), changed, message);
      });
}

Status LanceTable::change_columns(
    const std::string& what,
    const std::function<int(persisting_lance_dataset** changed, char** message)>& change) {
  PERSISTING_RETURN_IF_ERROR(check_usable());
  ++layout_;
  char* message = nullptr;
  persisting_lance_dataset* changed = nullptr;
  Status status = check(engine_, change(&changed, &message), &message, what + " " + path_);
  if (!status) return refuse_after_failed_commit(std::move(status));
  auto next = Dataset::adopt(engine_, changed);
  if (!next) return refuse_after_failed_commit(std::move(next).error());
  // A version lets go of a file (of another program's making) whose columns were all dropped. It may
  // be cleaned up, and must not be asked for.
  auto named = (*next)->data_files();
  if (!named) return refuse_after_failed_commit(std::move(named).error());
  std::set<std::string_view> names;
  for (const DataFile& file : *named) names.insert(file.name);
  std::vector<TableFile> files = version_.files;
  std::erase_if(files, [&names](const TableFile& file) { return !names.contains(file.name); });
  const std::uint64_t rows = dataset_->rows();
  return advance(std::move(next).value(), rows, std::move(files));
}

Status LanceTable::advance(std::shared_ptr<const Dataset> next, std::uint64_t rows_after,
                           std::vector<TableFile> files) {
  const std::uint64_t expected = dataset_ == nullptr ? 1 : dataset_->version() + 1;
  if (next->rows() != rows_after) {
    return refuse_after_failed_commit(Error{ErrorCode::kCorruption, Component::kTable,
                                            path_ + ": version " + std::to_string(next->version()) +
                                                " has " + std::to_string(next->rows()) +
                                                " rows instead of " + std::to_string(rows_after) +
                                                "; another program has changed the table"});
  }
  if (next->version() != expected) {
    // Another program's version (say a compaction) lies between.
    auto learned = learn_files(*next);
    if (!learned) return refuse_after_failed_commit(std::move(learned).error());
    files = std::move(learned).value();
  }
  return make_durable(std::move(next), std::move(files));
}

Status LanceTable::make_durable(std::shared_ptr<const Dataset> next, std::vector<TableFile> files) {
  if (Status synced = sync_version_files(next->version(), std::move(files)); !synced)
    return refuse_after_failed_commit(std::move(synced));
  if (dataset_ != nullptr) older_.push_back(dataset_);
  std::erase_if(older_, [](const auto& dataset) { return dataset.expired(); });
  dataset_ = std::move(next);
  return ok_status();
}

// Makes the data files of a version durable that another program has a part in, and looks at where its rows are.
Result<std::vector<TableFile>> LanceTable::learn_files(const Dataset& dataset) {
  ++layout_;
  PERSISTING_ASSIGN_OR_RETURN(const std::vector<DataFile> files, dataset.data_files());
  PERSISTING_RETURN_IF_ERROR(check_positions(path_, dataset, files, version_.files));
  PERSISTING_RETURN_IF_ERROR(sync_data_files(files));
  return digest_files(files);
}

Status LanceTable::sync_data_files(const std::vector<DataFile>& files) {
  for (const DataFile& file : files) {
    if (synced_.contains(file.name)) continue;
    PERSISTING_RETURN_IF_ERROR(file_system_.sync_file(path_ + data_folder + "/" + file.name));
    synced_.insert(file.name);
  }
  return file_system_.sync_folder(path_ + data_folder);
}

// Syncs the manifest and what belongs to it, and remembers it as the newest durable version.
Status LanceTable::sync_version_files(std::uint64_t version, std::vector<TableFile> files) {
  const std::string transactions = path_ + transactions_folder;
  PERSISTING_ASSIGN_OR_RETURN(const std::vector<std::string> names,
                              file_system_.list_folder(transactions));
  for (const std::string& name : names) {
    if (synced_.contains(name)) continue;
    PERSISTING_RETURN_IF_ERROR(file_system_.sync_file(transactions + "/" + name));
    synced_.insert(name);
  }
  PERSISTING_RETURN_IF_ERROR(file_system_.sync_folder(transactions));
  // Those between too: the removal of old versions reads them, and a torn one would stop it.
  PERSISTING_ASSIGN_OR_RETURN(const auto manifests, list_manifests(file_system_, path_));
  for (auto newer = manifests.upper_bound(version_.version);
       newer != manifests.end() && newer->first <= version; ++newer) {
    PERSISTING_RETURN_IF_ERROR(file_system_.sync_file(newer->second));
  }
  const auto manifest = manifests.find(version);
  if (manifest == manifests.end()) {
    return Error{ErrorCode::kCorruption, Component::kTable,
                 path_ + versions_folder + ": no manifest of version " + std::to_string(version) +
                     ", which Lance has just committed"};
  }
  PERSISTING_RETURN_IF_ERROR(file_system_.sync_folder(path_ + versions_folder));
  PERSISTING_RETURN_IF_ERROR(file_system_.sync_folder(path_));
  PERSISTING_ASSIGN_OR_RETURN(const FileDigest digest, digest_file(file_system_, manifest->second));
  version_ = {version, digest, std::move(files)};
  version_count_ = manifests.size();
  return ok_status();
}

// Lance keeps no checksums of its data. A file is read right after it was written, from memory still.
Result<std::vector<TableFile>> LanceTable::digest_files(const std::vector<DataFile>& files) const {
  std::map<std::string_view, FileDigest> known;
  for (const TableFile& file : version_.files) known.emplace(file.name, file.digest);
  std::vector<TableFile> digests;
  for (const DataFile& file : files) {
    const auto found = known.find(file.name);
    if (found != known.end()) {
      digests.push_back({file.name, found->second});
      continue;
    }
    PERSISTING_ASSIGN_OR_RETURN(const FileDigest digest,
                                digest_file(file_system_, path_ + data_folder + "/" + file.name));
    digests.push_back({file.name, digest});
  }
  return digests;
}

// After a failure around a commit the new version may or may not be there. Appending again could add the rows twice.
Status LanceTable::refuse_after_failed_commit(Status failure) {
  const std::uint64_t current = dataset_ == nullptr ? 0 : dataset_->version();
  const auto manifests = list_manifests(file_system_, path_);
  const bool committed =
      !manifests || (!manifests->empty() && manifests->rbegin()->first > current);
  if (committed) broken_ = with_context(failure.error(), "the table must be opened again after");
  return failure;
}

Status LanceTable::check_usable() {
  if (broken_by_merge_ && set_merge_aside()) {
    broken_.reset();
    broken_by_merge_ = false;
  }
  if (broken_) return *broken_;
  return ok_status();
}

}  // namespace persisting::lance
