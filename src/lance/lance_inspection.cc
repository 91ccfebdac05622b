#include "lance/lance_inspection.h"

#include <optional>
#include <utility>
#include <vector>

#include "lance/dataset.h"
#include "lance/lance_format.h"
#include "lance/manifests.h"

namespace persisting::lance {
namespace {

class LanceInspection final : public TableInspection {
 public:
  LanceInspection(FileSystem& file_system, const persisting_lance_engine& engine, std::string path)
      : file_system_(file_system), engine_(engine), path_(std::move(path)) {}

  Result<std::vector<std::uint64_t>> versions() override {
    PERSISTING_ASSIGN_OR_RETURN(const auto manifests, list_manifests(file_system_, path_));
    std::vector<std::uint64_t> found;
    for (auto newest = manifests.rbegin(); newest != manifests.rend(); ++newest)
      found.push_back(newest->first);
    return found;
  }
  Result<std::string> manifest_path(std::uint64_t version) override {
    return find_manifest(file_system_, path_, version);
  }
  std::string data_path(const std::string& name) const override {
    return path_ + data_folder + "/" + name;
  }

  Result<InspectedVersion> open(std::uint64_t version) override {
    PERSISTING_ASSIGN_OR_RETURN(const std::shared_ptr<const Dataset> dataset,
                                Dataset::open(engine_, path_, version));
    PERSISTING_ASSIGN_OR_RETURN(const std::vector<DataFile> files, dataset->data_files());
    InspectedVersion inspected;
    inspected.snapshot = dataset;
    std::optional<std::uint64_t> fragment;
    std::uint64_t first_row = 0;
    std::uint64_t end_row = 0;
    for (const DataFile& file : files) {
      if (file.fragment != fragment) {
        fragment = file.fragment;
        first_row = end_row;
        end_row += file.rows;
      }
      inspected.files.push_back({file.name, first_row, file.rows});
    }
    return inspected;
  }

 private:
  FileSystem& file_system_;
  const persisting_lance_engine& engine_;
  const std::string path_;
};

}  // namespace

std::unique_ptr<TableInspection> inspect_table(FileSystem& file_system,
                                               const persisting_lance_engine& engine,
                                               std::string path) {
  return std::make_unique<LanceInspection>(file_system, engine, std::move(path));
}

}  // namespace persisting::lance
