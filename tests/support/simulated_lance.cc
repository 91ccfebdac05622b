#include "support/simulated_lance.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <optional>
#include <random>
#include <set>
#include <utility>

#include "base/endian.h"
#include "lance/lance_format.h"
#include "schema/arrow_convert.h"
#include "schema/normalizer.h"
#include "support/records.h"

namespace persisting::testing {
namespace {

using Manifest = SimulatedLance::Manifest;
using Row = SimulatedLance::Row;
using Written = SimulatedLance::Written;

Error failure(std::string message) {
  return Error{ErrorCode::kIo, Component::kTable, std::move(message)};
}

// Reads what the files hold; every read is checked, as in a parser of damaged protobuf.
class Parser {
 public:
  explicit Parser(std::string_view bytes) : bytes_(bytes) {}
  template <typename T>
  T number() {
    if (bytes_.size() < sizeof(T)) {
      failed_ = true;
      return 0;
    }
    const T value = load_little_endian<T>(bytes_.data());
    bytes_.remove_prefix(sizeof(T));
    return value;
  }
  std::string text() {
    const auto size = number<std::uint32_t>();
    if (failed_ || size > bytes_.size()) {
      failed_ = true;
      return {};
    }
    std::string text(bytes_.substr(0, size));
    bytes_.remove_prefix(size);
    return text;
  }
  bool failed() const { return failed_; }

 private:
  std::string_view bytes_;
  bool failed_ = false;
};

// What the column `name` is called after `renames`; null where that is unchanged.
const std::string* new_name(const SimulatedLance::Renames& renames, std::string_view name) {
  const auto found = std::find_if(renames.begin(), renames.end(),
                                  [name](const auto& each) { return each.first == name; });
  return found == renames.end() ? nullptr : &found->second;
}

Result<std::string> with_names(const std::string& encoded, const SimulatedLance::Renames& renames) {
  PERSISTING_ASSIGN_OR_RETURN(const Record stored, Record::from_encoded(encoded));
  Struct fields;
  for (auto& [name, value] : stored.fields()) {
    const std::string* const renamed = new_name(renames, name);
    if (renamed == nullptr || !renamed->empty())
      fields.emplace_back(renamed == nullptr ? name : *renamed, value);
  }
  PERSISTING_ASSIGN_OR_RETURN(const Record record, Record::make(fields));
  return std::string(record.encoded());
}

void append_text(std::string& out, std::string_view text) {
  append_little_endian(out, static_cast<std::uint32_t>(text.size()));
  out += text;
}

std::string manifest_path(const std::string& path, std::uint64_t version) {
  std::string digits = std::to_string(UINT64_MAX - version);
  digits.insert(0, 20 - digits.size(), '0');
  return path + lance::versions_folder + "/" + digits + ".manifest";
}

// ---- the C ABI ----

struct Handle {
  std::string path;
  Manifest manifest;
};

SimulatedLance& lance_of(void* context) { return *static_cast<SimulatedLance*>(context); }
Handle& handle_of(persisting_lance_dataset* dataset) { return *reinterpret_cast<Handle*>(dataset); }
persisting_lance_dataset* to_dataset(std::string path, Manifest manifest) {
  return reinterpret_cast<persisting_lance_dataset*>(
      new Handle{std::move(path), std::move(manifest)});
}

char* copy_string(const std::string& text) {
  char* const copy = new char[text.size() + 1];
  std::memcpy(copy, text.c_str(), text.size() + 1);
  return copy;
}
int fail(char** error, const Error& why) {
  *error = copy_string(why.message);
  return 1;
}

std::string file_list(const std::vector<SimulatedLance::Fragment>& fragments) {
  std::string list;
  std::size_t id = 0;
  for (const auto& fragment : fragments) {
    list += std::to_string(id++) + "\t" + std::to_string(fragment.rows) + "\t" +
            std::to_string(fragment.bytes) + "\t" + fragment.file + "\n";
  }
  return list;
}

// The rows as a stream of one _offset column.
Status offsets_stream(const std::vector<Row>& rows, ArrowArrayStream* out) {
  Rows stream;
  nanoarrow::UniqueSchema& schema = stream.schema;
  nanoarrow::UniqueArray& array = stream.array;
  ArrowSchemaInit(schema.get());
  bool failed = ArrowSchemaSetTypeStruct(schema.get(), 1) != NANOARROW_OK ||
                ArrowSchemaSetType(schema->children[0], NANOARROW_TYPE_UINT64) != NANOARROW_OK ||
                ArrowSchemaSetName(schema->children[0], offset_column) != NANOARROW_OK ||
                ArrowArrayInitFromSchema(array.get(), schema.get(), nullptr) != NANOARROW_OK ||
                ArrowArrayStartAppending(array.get()) != NANOARROW_OK;
  for (const Row& row : rows) {
    failed = failed || ArrowArrayAppendUInt(array->children[0], row.offset) != NANOARROW_OK ||
             ArrowArrayFinishElement(array.get()) != NANOARROW_OK;
  }
  if (failed || ArrowArrayFinishBuildingDefault(array.get(), nullptr) != NANOARROW_OK)
    return failure("cannot build the offsets");
  ArrowArrayStreamMove(stream_of(std::move(stream)).get(), out);
  return ok_status();
}

Status rows_stream(std::vector<Row> rows, const Schema& schema, ArrowArrayStream* out) {
  const auto shared = std::make_shared<const Schema>(schema);
  PERSISTING_ASSIGN_OR_RETURN(ArrowBatchBuilder made, ArrowBatchBuilder::make(shared));
  nanoarrow::UniqueSchema arrow;
  PERSISTING_RETURN_IF_ERROR(to_arrow_schema(schema, arrow.get()));
  make_stream(
      arrow.get(),
      [shared, rows = std::move(rows),
       builder = std::make_shared<ArrowBatchBuilder>(std::move(made)),
       next = std::size_t{0}](ArrowArray* array) mutable -> Result<bool> {
        if (next == rows.size()) return false;
        for (const std::size_t end = std::min(rows.size(), next + 100); next < end; ++next) {
          RecordBatch normalized;  // columns may have been added since
          normalize(*shared, rows[next].record, &normalized);
          PERSISTING_RETURN_IF_ERROR(
              builder->append(rows[next].offset, rows[next].timestamp_us, normalized[0]));
        }
        PERSISTING_RETURN_IF_ERROR(builder->finish(array));
        return true;
      },
      out);
  return ok_status();
}

int abi_open(void* context, const char* path, uint64_t version, persisting_lance_dataset** dataset,
             char** error) {
  auto manifest = lance_of(context).open(path, version);
  if (!manifest) return fail(error, manifest.error());
  *dataset = to_dataset(path, std::move(manifest).value());
  return 0;
}
void abi_close(void*, persisting_lance_dataset* dataset) { delete &handle_of(dataset); }

int abi_describe(void*, persisting_lance_dataset* dataset, uint64_t* version, uint64_t* rows,
                 ArrowSchema* schema, char** error) {
  const Manifest& manifest = handle_of(dataset).manifest;
  *version = manifest.version;
  *rows = manifest.rows();
  const Status described = to_arrow_schema(manifest.schema, schema);
  return described ? 0 : fail(error, described.error());
}

int abi_data_files(void*, persisting_lance_dataset* dataset, char** files, char**) {
  *files = copy_string(file_list(handle_of(dataset).manifest.fragments));
  return 0;
}

int abi_scan(void* context, persisting_lance_dataset* dataset, uint64_t offset, uint64_t limit,
             const char* const*, size_t column_count, ArrowArrayStream* stream, char** error) {
  const Handle& handle = handle_of(dataset);
  const std::uint64_t end = limit < UINT64_MAX - offset ? offset + limit : UINT64_MAX;
  auto rows = lance_of(context).read(handle.path, handle.manifest, offset, end);
  if (!rows) return fail(error, rows.error());
  const Status made = column_count > 0
                          ? offsets_stream(*rows, stream)
                          : rows_stream(*std::move(rows), handle.manifest.schema, stream);
  return made ? 0 : fail(error, made.error());
}

int abi_write_fragments(void* context, const char* path, persisting_lance_dataset* base, int mode,
                        ArrowArrayStream* stream, persisting_lance_fragments** fragments,
                        char** files, char** error) {
  const Manifest* const manifest = base == nullptr ? nullptr : &handle_of(base).manifest;
  auto written = lance_of(context).write(path, manifest, mode, stream);
  if (!written) return fail(error, written.error());
  *files = copy_string(file_list(written->fragments));
  *fragments =
      reinterpret_cast<persisting_lance_fragments*>(new Written(std::move(written).value()));
  return 0;
}
void abi_drop_fragments(void*, persisting_lance_fragments* fragments) {
  delete reinterpret_cast<Written*>(fragments);
}

int abi_commit(void* context, const char* path, uint64_t, int mode,
               persisting_lance_fragments* fragments, const persisting_key_value*, size_t,
               persisting_lance_dataset** dataset, char** error) {
  auto manifest =
      lance_of(context).commit(path, mode, *reinterpret_cast<const Written*>(fragments));
  if (!manifest) return fail(error, manifest.error());
  *dataset = to_dataset(path, std::move(manifest).value());
  return 0;
}

int abi_add_columns(void* context, persisting_lance_dataset* dataset, ArrowSchema* columns,
                    persisting_lance_dataset** evolved, char** error) {
  const Handle& handle = handle_of(dataset);
  auto manifest = lance_of(context).add_columns(handle.path, handle.manifest, columns);
  if (!manifest) return fail(error, manifest.error());
  *evolved = to_dataset(handle.path, std::move(manifest).value());
  return 0;
}

int abi_drop_columns(void* context, persisting_lance_dataset* dataset, const char* const* columns,
                     size_t column_count, persisting_lance_dataset** changed, char** error) {
  const std::string& path = handle_of(dataset).path;
  auto manifest = lance_of(context).drop_columns(path, {columns, columns + column_count});
  if (!manifest) return fail(error, manifest.error());
  *changed = to_dataset(path, std::move(manifest).value());
  return 0;
}

int abi_rename_columns(void* context, persisting_lance_dataset* dataset,
                       const persisting_key_value* renames, size_t rename_count,
                       persisting_lance_dataset** changed, char** error) {
  const std::string& path = handle_of(dataset).path;
  SimulatedLance::Renames pairs;
  for (size_t i = 0; i < rename_count; ++i) pairs.emplace_back(renames[i].key, renames[i].value);
  auto manifest = lance_of(context).rename_columns(path, pairs);
  if (!manifest) return fail(error, manifest.error());
  *changed = to_dataset(path, std::move(manifest).value());
  return 0;
}

int abi_merge_fragments(void* context, persisting_lance_dataset* dataset, uint64_t first,
                        uint64_t count, persisting_lance_fragments** merged, char** files,
                        char** error) {
  const Handle& handle = handle_of(dataset);
  auto written = lance_of(context).merge(handle.path, handle.manifest, first, count);
  if (!written) return fail(error, written.error());
  *files = copy_string(file_list(written->fragments));
  *merged = reinterpret_cast<persisting_lance_fragments*>(new Written(std::move(written).value()));
  return 0;
}

int abi_commit_merged(void* context, persisting_lance_dataset* dataset,
                      persisting_lance_fragments* const* merged, size_t merged_count,
                      persisting_lance_dataset** compacted, char** error) {
  const Handle& handle = handle_of(dataset);
  std::vector<const Written*> all;
  all.reserve(merged_count);
  for (size_t i = 0; i < merged_count; ++i)
    all.push_back(reinterpret_cast<const Written*>(merged[i]));
  auto manifest = lance_of(context).commit_merged(handle.path, handle.manifest, all);
  if (!manifest) return fail(error, manifest.error());
  *compacted = to_dataset(handle.path, std::move(manifest).value());
  return 0;
}

int abi_indexed_fragments(void* context, persisting_lance_dataset*, uint64_t* count, char**) {
  *count = lance_of(context).indexed_fragments();
  return 0;
}

int abi_commit_in_place(void* context, persisting_lance_dataset* dataset,
                        persisting_lance_fragments* merged, const persisting_key_value*, size_t,
                        persisting_lance_dataset** replaced, char** error) {
  const std::string& path = handle_of(dataset).path;
  auto manifest =
      lance_of(context).commit_in_place(path, *reinterpret_cast<const Written*>(merged));
  if (!manifest) return fail(error, manifest.error());
  *replaced = to_dataset(path, std::move(manifest).value());
  return 0;
}

int abi_remove_versions(void* context, persisting_lance_dataset* dataset, const uint64_t* versions,
                        size_t version_count, uint64_t* removed, uint64_t* bytes, char** error) {
  auto gone = lance_of(context).remove_versions(handle_of(dataset).path,
                                                {versions, versions + version_count});
  if (!gone) return fail(error, gone.error());
  *removed = gone->versions;
  *bytes = gone->bytes;
  return 0;
}

void abi_free_string(void*, char* string) { delete[] string; }

}  // namespace

SimulatedLance::SimulatedLance(FileSystem& file_system)
    : file_system_(file_system),
      engine_{.abi_version = PERSISTING_LANCE_ENGINE_ABI,
              .context = this,
              .open = abi_open,
              .close = abi_close,
              .describe = abi_describe,
              .data_files = abi_data_files,
              .scan = abi_scan,
              .write_fragments = abi_write_fragments,
              .drop_fragments = abi_drop_fragments,
              .commit = abi_commit,
              .add_columns = abi_add_columns,
              .drop_columns = abi_drop_columns,
              .rename_columns = abi_rename_columns,
              .merge_fragments = abi_merge_fragments,
              .commit_merged = abi_commit_merged,
              .indexed_fragments = abi_indexed_fragments,
              .commit_in_place = abi_commit_in_place,
              .remove_versions = abi_remove_versions,
              .free_string = abi_free_string} {}

std::uint64_t Manifest::rows() const {
  std::uint64_t rows = 0;
  for (const SimulatedLance::Fragment& fragment : fragments) rows += fragment.rows;
  return rows;
}

Result<Manifest> SimulatedLance::open(const std::string& path, std::uint64_t version) {
  PERSISTING_ASSIGN_OR_RETURN(const std::string bytes,
                              file_system_.read_file(manifest_path(path, version)));
  Manifest manifest;
  manifest.version = version;
  Parser parser(bytes);
  Result<Schema> schema = Schema::parse(parser.text());
  if (!schema) return std::move(schema).error();
  manifest.schema = std::move(schema).value();
  (void)parser.text();
  const auto fragments = parser.number<std::uint32_t>();
  for (std::uint32_t i = 0; i < fragments && !parser.failed(); ++i) {
    Fragment fragment;
    fragment.rows = parser.number<std::uint64_t>();
    fragment.bytes = parser.number<std::uint64_t>();
    fragment.file = parser.text();
    const auto renamed = parser.number<std::uint32_t>();
    for (std::uint32_t r = 0; r < renamed && !parser.failed(); ++r) {
      std::string name = parser.text();
      fragment.renamed.emplace_back(std::move(name), parser.text());
    }
    manifest.fragments.push_back(std::move(fragment));
  }
  if (parser.failed()) return failure(path + ": not a manifest");
  return manifest;
}

Result<std::vector<Row>> SimulatedLance::read(const std::string& path, const Manifest& manifest,
                                              std::uint64_t first, std::uint64_t end) {
  std::vector<Row> rows;
  std::uint64_t next = 0;
  for (const Fragment& fragment : manifest.fragments) {
    const std::uint64_t begin = std::exchange(next, next + fragment.rows);
    if (next <= first || begin >= end) continue;
    PERSISTING_ASSIGN_OR_RETURN(
        const std::string bytes,
        file_system_.read_file(path + lance::data_folder + "/" + fragment.file));
    Parser parser(bytes);
    for (std::uint64_t i = 0; i < fragment.rows; ++i) {
      Row row;
      row.offset = parser.number<std::uint64_t>();
      row.timestamp_us = parser.number<std::int64_t>();
      row.record = parser.text();
      if (parser.failed()) return failure(fragment.file + ": not a data file");
      if (begin + i < first || begin + i >= end) continue;
      if (!fragment.renamed.empty()) {
        PERSISTING_ASSIGN_OR_RETURN(row.record, with_names(row.record, fragment.renamed));
      }
      rows.push_back(std::move(row));
    }
  }
  return rows;
}

Result<Written> SimulatedLance::write(const std::string& path, const Manifest* base, int mode,
                                      ArrowArrayStream* stream) {
  nanoarrow::UniqueArrayStream owned(stream);
  nanoarrow::UniqueSchema arrow;
  if (owned->get_schema(owned.get(), arrow.get()) != 0) return failure("no schema");
  std::vector<std::string> foreign;
  PERSISTING_ASSIGN_OR_RETURN(const Schema schema, from_arrow_schema(*arrow.get(), &foreign));
  const std::uint64_t first = base != nullptr && mode == PERSISTING_LANCE_APPEND ? base->rows() : 0;
  RecordBatch records;
  std::vector<std::int64_t> timestamps;
  while (true) {
    nanoarrow::UniqueArray array;
    if (owned->get_next(owned.get(), array.get()) != 0)
      return failure(owned->get_last_error(owned.get()));
    if (array->release == nullptr) break;
    PERSISTING_RETURN_IF_ERROR(decode_rows(*arrow.get(), *array.get(), schema,
                                           first + records.size(), &records, &timestamps));
  }
  // Two files, as a writer with a limit on their size has.
  Written written{schema, {}, {}};
  const std::size_t middle = records.size() > 3 ? records.size() / 2 : records.size();
  std::vector<Row> rows;
  for (std::size_t i = 0; i < records.size(); ++i) {
    rows.push_back({first + i, timestamps[i], std::string(records[i])});
    if (i + 1 != middle && i + 1 != records.size()) continue;
    PERSISTING_ASSIGN_OR_RETURN(Fragment fragment, write_data_file(path, rows));
    written.fragments.push_back(std::move(fragment));
    rows.clear();
  }
  return written;
}

// Rebased on whatever is newest, which is what Lance does with an append or an overwrite.
Result<Manifest> SimulatedLance::commit(const std::string& path, int mode, Written written) {
  PERSISTING_ASSIGN_OR_RETURN(const std::uint64_t newest, newest_version(path));
  Manifest next;
  if (newest > 0) {
    PERSISTING_ASSIGN_OR_RETURN(next, open(path, newest));
  }
  if (mode == PERSISTING_LANCE_OVERWRITE) {
    next.schema = std::move(written.schema);
    next.fragments.clear();
  }
  next.version = newest + 1;
  next.fragments.insert(next.fragments.end(), written.fragments.begin(), written.fragments.end());
  PERSISTING_RETURN_IF_ERROR(write_manifest(path, next));
  return next;
}

Result<Manifest> SimulatedLance::add_columns(const std::string& path, const Manifest& base,
                                             ArrowSchema* columns) {
  nanoarrow::UniqueSchema owned(columns);
  std::vector<std::string> foreign;
  // As a table's schema, which has the system columns before the others.
  nanoarrow::UniqueSchema with_system;
  PERSISTING_RETURN_IF_ERROR(to_arrow_schema(Schema(), with_system.get()));
  nanoarrow::UniqueSchema table;
  ArrowSchemaInit(table.get());
  const std::int64_t system = with_system->n_children;
  if (ArrowSchemaSetTypeStruct(table.get(), system + owned->n_children) != NANOARROW_OK)
    return failure("schema");
  for (std::int64_t i = 0; i < table->n_children; ++i) {
    const ArrowSchema* from = i < system ? with_system->children[i] : owned->children[i - system];
    table->children[i]->release(table->children[i]);
    if (ArrowSchemaDeepCopy(from, table->children[i]) != NANOARROW_OK) return failure("schema");
  }
  PERSISTING_ASSIGN_OR_RETURN(const Schema added, from_arrow_schema(*table.get(), &foreign));
  std::vector<SchemaField> fields = base.schema.fields();
  fields.insert(fields.end(), added.fields().begin(), added.fields().end());
  PERSISTING_ASSIGN_OR_RETURN(const std::uint64_t newest, newest_version(path));
  Manifest next = base;
  if (newest != base.version) {
    PERSISTING_ASSIGN_OR_RETURN(next, open(path, newest));
  }
  next.schema = Schema(std::move(fields));
  next.version = newest + 1;
  PERSISTING_RETURN_IF_ERROR(write_manifest(path, next));
  return next;
}

Result<Manifest> SimulatedLance::drop_columns(const std::string& path,
                                              const std::vector<std::string>& names) {
  Renames renames;
  for (const std::string& name : names) renames.emplace_back(name, std::string());
  return rename_in_newest(path, renames);
}

Result<Manifest> SimulatedLance::rename_columns(const std::string& path, const Renames& renames) {
  return rename_in_newest(path, renames);
}

Result<Manifest> SimulatedLance::rename_in_newest(const std::string& path, const Renames& renames) {
  PERSISTING_ASSIGN_OR_RETURN(const std::uint64_t newest, newest_version(path));
  PERSISTING_ASSIGN_OR_RETURN(Manifest next, open(path, newest));
  for (const auto& [from, to] : renames) {
    if (!next.schema.find(from)) return failure(path + ": no column '" + from + "'");
  }
  std::vector<SchemaField> fields = next.schema.fields();
  for (SchemaField& field : fields) {
    if (const std::string* const name = new_name(renames, field.name)) field.name = *name;
  }
  std::erase_if(fields, [](const SchemaField& field) { return field.name.empty(); });
  std::set<std::string_view> names;
  for (const SchemaField& field : fields) {
    if (!names.insert(field.name).second)
      return failure(path + ": two columns '" + field.name + "'");
  }
  next.schema = Schema(std::move(fields));
  for (Fragment& fragment : next.fragments) {
    Renames added;
    for (const auto& [from, to] : renames) {
      // A column that the file has under this very name. (If it has none, the entry does nothing.)
      if (new_name(fragment.renamed, from) == nullptr) added.emplace_back(from, to);
    }
    for (auto& [stored, name] : fragment.renamed) {
      if (const std::string* const newer = new_name(renames, name)) name = *newer;
    }
    fragment.renamed.insert(fragment.renamed.end(), added.begin(), added.end());
  }
  next.version = newest + 1;
  PERSISTING_RETURN_IF_ERROR(write_manifest(path, next));
  return next;
}

Result<Written> SimulatedLance::merge(const std::string& path, const Manifest& manifest,
                                      std::size_t first, std::size_t count) {
  std::uint64_t begin = 0;
  for (std::size_t i = 0; i < first; ++i) begin += manifest.fragments[i].rows;
  std::uint64_t end = begin;
  for (std::size_t i = first; i < first + count; ++i) end += manifest.fragments[i].rows;
  PERSISTING_ASSIGN_OR_RETURN(const std::vector<Row> rows, read(path, manifest, begin, end));
  PERSISTING_ASSIGN_OR_RETURN(Fragment fragment, write_data_file(path, rows));
  Written written{manifest.schema, {std::move(fragment)}, {}};
  for (std::size_t i = first; i < first + count; ++i)
    written.merged.push_back(manifest.fragments[i].file);
  return written;
}

Result<Manifest> SimulatedLance::commit_merged(const std::string& path, const Manifest& base,
                                               const std::vector<const Written*>& merged) {
  PERSISTING_ASSIGN_OR_RETURN(const std::uint64_t newest, newest_version(path));
  if (newest != base.version) return failure(path + ": another program has committed");
  Manifest next = base;
  next.version = newest + 1;
  PERSISTING_RETURN_IF_ERROR(write_manifest(path, next));
  for (const Written* each : merged)
    next.fragments.resize(next.fragments.size() - each->merged.size());
  for (const Written* each : merged)
    next.fragments.insert(next.fragments.end(), each->fragments.begin(), each->fragments.end());
  next.version = newest + 2;
  PERSISTING_RETURN_IF_ERROR(write_manifest(path, next));
  return next;
}

Result<Manifest> SimulatedLance::commit_in_place(const std::string& path, const Written& merged) {
  PERSISTING_ASSIGN_OR_RETURN(const std::uint64_t newest, newest_version(path));
  PERSISTING_ASSIGN_OR_RETURN(Manifest next, open(path, newest));
  const auto replaced = std::ranges::search(next.fragments, merged.merged, {}, &Fragment::file);
  if (replaced.empty()) return failure(path + ": the fragments were changed meanwhile");
  const auto place = next.fragments.erase(replaced.begin(), replaced.end());
  next.fragments.insert(place, merged.fragments.begin(), merged.fragments.end());
  next.version = newest + 1;
  PERSISTING_RETURN_IF_ERROR(write_manifest(path, next));
  return next;
}

Result<SimulatedLance::Removed> SimulatedLance::remove_versions(
    const std::string& path, const std::vector<std::uint64_t>& versions) {
  std::set<std::string> kept;
  std::set<std::string> gone;
  PERSISTING_ASSIGN_OR_RETURN(const std::vector<std::string> names,
                              file_system_.list_folder(path + lance::versions_folder));
  for (const std::string& name : names) {
    const auto version = lance::version_of_manifest(name);
    if (!version) continue;
    PERSISTING_ASSIGN_OR_RETURN(const Manifest manifest, open(path, *version));
    const bool goes = std::find(versions.begin(), versions.end(), *version) != versions.end();
    for (const Fragment& fragment : manifest.fragments) (goes ? gone : kept).insert(fragment.file);
  }
  Removed removed;
  for (const std::string& name : gone) {
    const std::string file = path + lance::data_folder + "/" + name;
    // An earlier removal may have come only so far.
    PERSISTING_ASSIGN_OR_RETURN(const bool there, file_system_.exists(file));
    if (kept.contains(name) || !there) continue;
    PERSISTING_ASSIGN_OR_RETURN(const std::uint64_t bytes, file_system_.file_size(file));
    PERSISTING_RETURN_IF_ERROR(file_system_.remove_file(file));
    removed.bytes += bytes;
  }
  for (const std::uint64_t version : versions) {
    PERSISTING_RETURN_IF_ERROR(file_system_.remove_file(manifest_path(path, version)));
    ++removed.versions;
  }
  return removed;
}

Status SimulatedLance::compact(const std::string& path) {
  PERSISTING_ASSIGN_OR_RETURN(const std::uint64_t newest, newest_version(path));
  if (newest == 0) return ok_status();
  PERSISTING_ASSIGN_OR_RETURN(Manifest manifest, open(path, newest));
  PERSISTING_ASSIGN_OR_RETURN(const std::vector<Row> rows, read(path, manifest));
  PERSISTING_ASSIGN_OR_RETURN(Fragment merged, write_data_file(path, rows));
  const std::string data = path + lance::data_folder;
  PERSISTING_RETURN_IF_ERROR(file_system_.sync_file(data + "/" + merged.file));
  PERSISTING_RETURN_IF_ERROR(file_system_.sync_folder(data));
  manifest.version = newest + 1;
  manifest.fragments = {std::move(merged)};
  return write_manifest(path, manifest);
}

Result<std::uint64_t> SimulatedLance::newest_version(const std::string& path) {
  PERSISTING_ASSIGN_OR_RETURN(const std::vector<std::string> names,
                              file_system_.list_folder(path + lance::versions_folder));
  std::uint64_t newest = 0;
  for (const std::string& name : names)
    newest = std::max(newest, lance::version_of_manifest(name).value_or(0));
  return newest;
}

Result<SimulatedLance::Fragment> SimulatedLance::write_data_file(const std::string& path,
                                                                 const std::vector<Row>& rows) {
  std::string body;
  for (const Row& row : rows) {
    append_little_endian(body, row.offset);
    append_little_endian(body, row.timestamp_us);
    append_text(body, row.record);
  }
  const std::string name = next_name() + ".lance";
  PERSISTING_RETURN_IF_ERROR(write_file(path + lance::data_folder + "/" + name, body));
  return Fragment{rows.size(), body.size() + lance::footer_bytes, name, {}};
}

Status SimulatedLance::write_manifest(const std::string& path, const Manifest& manifest) {
  std::string body;
  append_text(body, manifest.schema.serialize());
  append_text(body, std::string(600, 'f'));  // so that a torn one can keep its end
  append_little_endian(body, static_cast<std::uint32_t>(manifest.fragments.size()));
  for (const Fragment& fragment : manifest.fragments) {
    append_little_endian(body, fragment.rows);
    append_little_endian(body, fragment.bytes);
    append_text(body, fragment.file);
    append_little_endian(body, static_cast<std::uint32_t>(fragment.renamed.size()));
    for (const auto& [stored, name] : fragment.renamed) {
      append_text(body, stored);
      append_text(body, name);
    }
  }
  PERSISTING_RETURN_IF_ERROR(file_system_.create_folders(path + lance::transactions_folder));
  PERSISTING_RETURN_IF_ERROR(file_system_.create_folders(path + lance::versions_folder));
  PERSISTING_RETURN_IF_ERROR(
      write_file(path + lance::transactions_folder + "/" + next_name() + ".txn", "transaction"));
  const std::string target = manifest_path(path, manifest.version);
  const std::string temporary = path + lance::versions_folder + "/" + next_name() + ".tmp";
  PERSISTING_RETURN_IF_ERROR(write_file(temporary, body));
  return file_system_.rename(temporary, target);
}

Status SimulatedLance::write_file(const std::string& path, std::string body) {
  body += std::string(lance::footer_bytes - lance::file_magic.size(), '\1');
  body += lance::file_magic;
  PERSISTING_ASSIGN_OR_RETURN(const auto file, file_system_.open_append(path));
  return file->append({body});
}

// As Lance's, a name that nobody else gives.
std::string SimulatedLance::next_name() {
  static const std::uint64_t process = std::random_device{}();
  static std::atomic<std::uint64_t> names{0};
  return std::to_string(process) + "-" + std::to_string(names++);
}

}  // namespace persisting::testing
