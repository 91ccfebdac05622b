#include "engine/checkpoint.h"

#include <bit>

#include "engine/sealed_file.h"

namespace persisting {
namespace {

// Version 1 had schemas of version 1; see schema/schema.cc.
constexpr SealedFormat format{"PRSTCKPT", 2};

std::string checkpoint_path(const std::string& folder) { return folder + "/CHECKPOINT"; }

// MessagePack integers of records are signed; the bits are what counts.
std::int64_t to_signed(std::uint64_t value) { return std::bit_cast<std::int64_t>(value); }

Result<std::uint64_t> unsigned_entry(const Struct& payload, std::string_view name) {
  PERSISTING_ASSIGN_OR_RETURN(const std::int64_t value, sealed_integer(payload, name));
  return std::bit_cast<std::uint64_t>(value);
}

Result<TableFile> parse_file(const Value& entry) {
  const Struct* parts = entry.get_if<Struct>();
  if (parts == nullptr) return make_error(ErrorCode::kCorruption, "no valid entry 'files'");
  TableFile file;
  PERSISTING_ASSIGN_OR_RETURN(file.name, sealed_text(*parts, "name"));
  PERSISTING_ASSIGN_OR_RETURN(file.digest.bytes, unsigned_entry(*parts, "bytes"));
  PERSISTING_ASSIGN_OR_RETURN(file.digest.checksum, unsigned_entry(*parts, "checksum"));
  return file;
}

Result<Checkpoint> from_payload(const Struct& payload) {
  Checkpoint checkpoint;
  PERSISTING_ASSIGN_OR_RETURN(checkpoint.epoch, unsigned_entry(payload, "epoch"));
  PERSISTING_ASSIGN_OR_RETURN(checkpoint.flushed_to, unsigned_entry(payload, "flushed_to"));
  PERSISTING_ASSIGN_OR_RETURN(checkpoint.table.version, unsigned_entry(payload, "table_version"));
  PERSISTING_ASSIGN_OR_RETURN(checkpoint.table.manifest.bytes,
                              unsigned_entry(payload, "manifest_bytes"));
  PERSISTING_ASSIGN_OR_RETURN(checkpoint.table.manifest.checksum,
                              unsigned_entry(payload, "manifest_checksum"));
  PERSISTING_ASSIGN_OR_RETURN(const List files, sealed_list(payload, "files"));
  for (const Value& entry : files) {
    PERSISTING_ASSIGN_OR_RETURN(TableFile file, parse_file(entry));
    checkpoint.table.files.push_back(std::move(file));
  }
  PERSISTING_ASSIGN_OR_RETURN(const std::string schema, sealed_text(payload, "schema"));
  PERSISTING_ASSIGN_OR_RETURN(checkpoint.schema, Schema::parse(schema));
  return checkpoint;
}

}  // namespace

Result<std::optional<Checkpoint>> read_checkpoint(FileSystem& file_system,
                                                  const std::string& folder) {
  const std::string path = checkpoint_path(folder);
  PERSISTING_ASSIGN_OR_RETURN(const std::optional<Struct> payload,
                              read_sealed_file(file_system, path, format));
  if (!payload) return std::optional<Checkpoint>();
  Result<Checkpoint> checkpoint = from_payload(*payload);
  if (!checkpoint) return with_context(std::move(checkpoint).error(), path);
  return std::optional<Checkpoint>(std::move(checkpoint).value());
}

Status write_checkpoint(FileSystem& file_system, const std::string& folder,
                        const Checkpoint& checkpoint) {
  List files;
  for (const TableFile& file : checkpoint.table.files) {
    files.push_back(Struct{{"name", file.name},
                           {"bytes", to_signed(file.digest.bytes)},
                           {"checksum", to_signed(file.digest.checksum)}});
  }
  return write_sealed_file(
      file_system, checkpoint_path(folder), format,
      Struct{{"epoch", to_signed(checkpoint.epoch)},
             {"flushed_to", to_signed(checkpoint.flushed_to)},
             {"table_version", to_signed(checkpoint.table.version)},
             {"manifest_bytes", to_signed(checkpoint.table.manifest.bytes)},
             {"manifest_checksum", to_signed(checkpoint.table.manifest.checksum)},
             {"files", std::move(files)},
             {"schema", Bytes{checkpoint.schema.serialize()}}});
}

Status check_has_flushed_rows(const std::string& folder, const Checkpoint& checkpoint,
                              const TableSnapshot& table) {
  if (table.rows() >= checkpoint.flushed_to) return ok_status();
  return Error{ErrorCode::kCorruption, Component::kTable,
               folder + ": version " + std::to_string(table.version()) + " of the table holds " +
                   std::to_string(table.rows()) + " rows, but the checkpoint says that " +
                   std::to_string(checkpoint.flushed_to) + " were flushed"};
}

}  // namespace persisting
