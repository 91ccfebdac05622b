#include "lance/dataset.h"

#include <charconv>
#include <string_view>

#include <nanoarrow/nanoarrow.hpp>

namespace persisting::lance {
namespace {

Error table_error(ErrorCode code, std::string message) {
  return Error{code, Component::kTable, std::move(message)};
}

}  // namespace

Status check(const persisting_lance_engine& engine, int code, char** message,
             const std::string& what) {
  if (code == 0) return ok_status();
  std::string text = *message != nullptr ? *message : "no message";
  if (*message != nullptr) engine.free_string(engine.context, *message);
  return table_error(ErrorCode::kIo, "Lance could not " + what + ": " + text);
}

Result<std::vector<DataFile>> take_file_list(const persisting_lance_engine& engine, char* list) {
  const auto release = [&engine](char* text) { engine.free_string(engine.context, text); };
  const std::unique_ptr<char, decltype(release)> owned(list, release);
  std::vector<DataFile> files;
  std::string_view rest = list;
  while (!rest.empty()) {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(rest.size(), line.size() + 1));
    DataFile file;
    const char* next = line.data();
    const char* const end = next + line.size();
    for (std::uint64_t* const number : {&file.fragment, &file.rows, &file.bytes}) {
      const auto [after, failed] = std::from_chars(next, end, *number);
      if (failed != std::errc() || after == end || *after != '\t') {
        return table_error(ErrorCode::kUnsupported,
                           "the Lance engine lists a data file as '" + std::string(line) + "'");
      }
      next = after + 1;
    }
    file.name.assign(next, end);
    files.push_back(std::move(file));
  }
  return files;
}

Result<std::shared_ptr<const Dataset>> Dataset::adopt(const persisting_lance_engine& engine,
                                                      persisting_lance_dataset* handle) {
  std::shared_ptr<Dataset> dataset(new Dataset(engine, handle));
  char* message = nullptr;
  nanoarrow::UniqueSchema schema;
  PERSISTING_RETURN_IF_ERROR(check(engine,
                                   engine.describe(engine.context, handle, &dataset->version_,
                                                   &dataset->rows_, schema.get(), &message),
                                   &message, "describe the dataset"));
  return std::shared_ptr<const Dataset>(std::move(dataset));
}

Result<std::shared_ptr<const Dataset>> Dataset::open(const persisting_lance_engine& engine,
                                                     const std::string& path,
                                                     std::uint64_t version) {
  persisting_lance_dataset* handle = nullptr;
  char* message = nullptr;
  PERSISTING_RETURN_IF_ERROR(
      check(engine, engine.open(engine.context, path.c_str(), version, &handle, &message), &message,
            "open version " + std::to_string(version) + " of " + path));
  return adopt(engine, handle);
}

Dataset::~Dataset() { engine_.close(engine_.context, handle_); }

Status Dataset::schema(ArrowSchema* out) const {
  std::uint64_t version = 0;
  std::uint64_t rows = 0;
  char* message = nullptr;
  return check(engine_, engine_.describe(engine_.context, handle_, &version, &rows, out, &message),
               &message, "describe the dataset");
}

Status Dataset::scan(std::uint64_t row, std::uint64_t count, ArrowArrayStream* out) const {
  char* message = nullptr;
  return check(engine_,
               engine_.scan(engine_.context, handle_, row, count, nullptr, 0, out, &message),
               &message, "read rows from " + std::to_string(row) + " on");
}

Result<std::uint64_t> Dataset::offset_at(std::uint64_t row) const {
  const char* const column = "_offset";
  char* message = nullptr;
  nanoarrow::UniqueArrayStream stream;
  PERSISTING_RETURN_IF_ERROR(check(
      engine_, engine_.scan(engine_.context, handle_, row, 1, &column, 1, stream.get(), &message),
      &message, "read row " + std::to_string(row)));
  nanoarrow::UniqueSchema schema;
  nanoarrow::UniqueArray array;
  nanoarrow::UniqueArrayView view;
  if (stream->get_schema(stream.get(), schema.get()) != 0 ||
      stream->get_next(stream.get(), array.get()) != 0) {
    const char* text = stream->get_last_error(stream.get());
    return table_error(ErrorCode::kIo, "reading row " + std::to_string(row) + ": " +
                                           (text != nullptr ? text : "no message"));
  }
  if (array->release == nullptr || array->length != 1 ||
      ArrowArrayViewInitFromSchema(view.get(), schema.get(), nullptr) != NANOARROW_OK ||
      view->n_children != 1 || view->children[0]->storage_type != NANOARROW_TYPE_UINT64 ||
      ArrowArrayViewSetArray(view.get(), array.get(), nullptr) != NANOARROW_OK) {
    return table_error(ErrorCode::kCorruption,
                       "row " + std::to_string(row) + " has no _offset of type uint64");
  }
  return ArrowArrayViewGetUIntUnsafe(view->children[0], view->offset);
}

Result<std::vector<DataFile>> Dataset::data_files() const {
  char* message = nullptr;
  char* files = nullptr;
  PERSISTING_RETURN_IF_ERROR(check(engine_,
                                   engine_.data_files(engine_.context, handle_, &files, &message),
                                   &message, "list the data files"));
  return take_file_list(engine_, files);
}

Result<MergedFragments> Dataset::merge_fragments(std::uint64_t first, std::uint64_t count) const {
  char* message = nullptr;
  char* list = nullptr;
  persisting_lance_fragments* handle = nullptr;
  PERSISTING_RETURN_IF_ERROR(check(
      engine_,
      engine_.merge_fragments(engine_.context, handle_, first, count, &handle, &list, &message),
      &message, "merge fragments"));
  MergedFragments merged{std::make_unique<Fragments>(engine_, handle), {}};
  PERSISTING_ASSIGN_OR_RETURN(merged.files, take_file_list(engine_, list));
  return merged;
}

}  // namespace persisting::lance
