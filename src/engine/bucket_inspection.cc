#include "engine/bucket_inspection.h"

#include <algorithm>
#include <utility>

#include <nanoarrow/nanoarrow.hpp>

#include "base/dry_run_file_system.h"
#include "engine/table_rows.h"
#include "schema/arrow_convert.h"
#include "wal/recovery.h"

namespace persisting {
namespace {

constexpr std::uint64_t rows_at_a_time = 4096;

std::string of_bytes(const FileDigest& is, const FileDigest& was) {
  if (is.bytes != was.bytes) {
    return "has " + std::to_string(is.bytes) + " bytes instead of " + std::to_string(was.bytes);
  }
  return "its contents differ from what was written (checksum)";
}

}  // namespace

Result<std::unique_ptr<TableInspection>> inspect_table(const TableFormat& format,
                                                       const std::string& folder) {
  if (!format.inspect) {
    return make_error(ErrorCode::kUnsupported,
                      "no Lance engine is registered; import persisting in Python, or call "
                      "persisting::register_lance_engine");
  }
  return format.inspect(folder + "/data.lance");
}

Status check_is_bucket(FileSystem& file_system, const std::string& folder) {
  for (const char* const name : {"/BUCKET", "/CHECKPOINT", "/wal", "/data.lance"}) {
    PERSISTING_ASSIGN_OR_RETURN(const bool there, file_system.exists(folder + name));
    if (there) return ok_status();
  }
  return make_error(
      ErrorCode::kInvalidArgument,
      folder + " is no bucket: it has neither BUCKET, CHECKPOINT, wal nor data.lance");
}

BucketInspection::BucketInspection(FileSystem& file_system, std::string folder)
    : file_system_(file_system) {
  report_.folder = std::move(folder);
}

Result<std::unique_ptr<BucketInspection>> BucketInspection::open(FileSystem& file_system,
                                                                 const TableFormat& format,
                                                                 const std::string& folder) {
  std::unique_ptr<BucketInspection> inspection(new BucketInspection(file_system, folder));
  PERSISTING_RETURN_IF_ERROR(check_is_bucket(file_system, folder));
  PERSISTING_RETURN_IF_ERROR(inspection->lock());
  PERSISTING_RETURN_IF_ERROR(inspection->read_sealed_files());
  PERSISTING_RETURN_IF_ERROR(inspection->inspect_table(format));
  PERSISTING_RETURN_IF_ERROR(inspection->inspect_log());
  return inspection;
}

// Nobody may write meanwhile. On a medium that cannot be written to nobody does.
Status BucketInspection::lock() {
  Result<std::unique_ptr<FileLock>> lock = file_system_.lock_file(report_.folder + "/LOCK");
  if (lock) {
    lock_ = std::move(lock).value();
  } else if (lock.error().code == ErrorCode::kBusy) {
    return std::move(lock).error();
  }
  return ok_status();
}

Status BucketInspection::read_sealed_files() {
  const auto take = [this](auto read, const char* name, auto* into) -> Status {
    const std::string path = report_.folder + "/" + name;
    if (read && !*read) {
      add_damage(path, "is missing");
    } else if (read) {
      *into = *std::move(read);
      PERSISTING_ASSIGN_OR_RETURN(const std::uint64_t bytes, file_system_.file_size(path));
      ++report_.files;
      report_.bytes += bytes;
    } else if (read.error().code == ErrorCode::kUnsupported) {
      return std::move(read).error();
    } else {
      add_damage(path, read.error().message);
    }
    return ok_status();
  };
  PERSISTING_RETURN_IF_ERROR(
      take(read_identity(file_system_, report_.folder), "BUCKET", &identity_));
  return take(read_checkpoint(file_system_, report_.folder), "CHECKPOINT", &checkpoint_);
}

// ---- the table ----

Status BucketInspection::inspect_table(const TableFormat& format) {
  PERSISTING_ASSIGN_OR_RETURN(table_, persisting::inspect_table(format, report_.folder));
  PERSISTING_RETURN_IF_ERROR(check_manifest());
  PERSISTING_RETURN_IF_ERROR(open_readable_version());
  return check_data_files();
}

Status BucketInspection::check_manifest() {
  PERSISTING_ASSIGN_OR_RETURN(const std::vector<std::uint64_t> versions, table_->versions());
  const std::uint64_t known = checkpoint_ ? checkpoint_->table.version : UINT64_MAX;
  for (const std::uint64_t version : versions) {
    if (version <= known) break;
    PERSISTING_ASSIGN_OR_RETURN(const std::string path, table_->manifest_path(version));
    add_unfinished(path, "version " + std::to_string(version) +
                             " of the table is newer than the checkpoint's " +
                             std::to_string(known) + "; opening takes it over or sets it aside");
  }
  if (!checkpoint_ || known == 0) return ok_status();
  const OffsetRange all{0, checkpoint_->flushed_to};
  PERSISTING_ASSIGN_OR_RETURN(const std::string path, table_->manifest_path(known));
  if (path.empty()) {
    add_damage(report_.folder + "/data.lance/_versions",
               "the manifest of version " + std::to_string(known) +
                   ", which the checkpoint names, is missing",
               all);
    return ok_status();
  }
  const Result<FileDigest> found = digest(path);
  if (!found) {
    add_damage(path, found.error().message, all);
  } else if (*found != checkpoint_->table.manifest) {
    add_damage(path, of_bytes(*found, checkpoint_->table.manifest), all);
  } else {
    manifest_is_whole_ = true;
  }
  return ok_status();
}

Status BucketInspection::open_readable_version() {
  if (checkpoint_ && checkpoint_->table.version == 0) return ok_status();
  if (manifest_is_whole_) {
    Result<InspectedVersion> opened = table_->open(checkpoint_->table.version);
    if (opened) {
      version_ = std::move(opened).value();
      return ok_status();
    }
    add_damage(report_.folder + "/data.lance", opened.error().message);
  }
  PERSISTING_ASSIGN_OR_RETURN(const std::vector<std::uint64_t> versions, table_->versions());
  for (const std::uint64_t version : versions) {
    if (checkpoint_ && version >= checkpoint_->table.version)
      continue;  // damaged, or not vouched for
    Result<InspectedVersion> opened = table_->open(version);
    if (!opened) continue;
    version_ = std::move(opened).value();
    return ok_status();
  }
  return ok_status();
}

Status BucketInspection::check_data_files() {
  if (!checkpoint_) return ok_status();
  for (const TableFile& file : checkpoint_->table.files) {
    const std::string path = table_->data_path(file.name);
    const Result<FileDigest> found = digest(path);
    if (found && *found == file.digest) continue;
    std::optional<OffsetRange> rows;
    if (version_) {
      const auto of_file =
          std::find_if(version_->files.begin(), version_->files.end(),
                       [&file](const TableFileRows& each) { return each.name == file.name; });
      if (of_file != version_->files.end()) {
        rows = OffsetRange{of_file->first_row, of_file->first_row + of_file->rows};
        damaged_rows_.push_back(*rows);
      }
    }
    add_damage(path, found ? of_bytes(*found, file.digest) : found.error().message, rows);
  }
  return ok_status();
}

std::uint64_t BucketInspection::table_rows() const {
  return version_ ? version_->snapshot->rows() : 0;
}

std::vector<OffsetRange> BucketInspection::whole_rows() const {
  std::vector<OffsetRange> damaged = damaged_rows_;
  std::sort(damaged.begin(), damaged.end(),
            [](const OffsetRange& a, const OffsetRange& b) { return a.first < b.first; });
  std::vector<OffsetRange> whole;
  std::uint64_t next = 0;
  for (const OffsetRange& range : damaged) {
    if (range.first > next) whole.push_back({next, range.first});
    next = std::max(next, range.end);
  }
  if (next < table_rows()) whole.push_back({next, table_rows()});
  return whole;
}

Status BucketInspection::read_table(const Consumer& consume) {
  if (!version_) return ok_status();
  nanoarrow::UniqueSchema arrow;
  std::vector<std::string> foreign;
  Status described = version_->snapshot->schema(arrow.get());
  Result<Schema> schema = described ? from_arrow_schema(*arrow.get(), &foreign)
                                    : Result<Schema>(std::move(described).error());
  if (!schema) {
    add_damage(report_.folder + "/data.lance", schema.error().message,
               OffsetRange{0, table_rows()});
    return ok_status();
  }
  for (const OffsetRange& whole : whole_rows()) {
    for (std::uint64_t first = whole.first; first < whole.end; first += rows_at_a_time)
      PERSISTING_RETURN_IF_ERROR(
          read_rows(*schema, {first, std::min(whole.end, first + rows_at_a_time)}, consume));
  }
  return ok_status();
}

Status BucketInspection::read_rows(const Schema& schema, const OffsetRange& rows,
                                   const Consumer& consume) {
  std::vector<std::int64_t> timestamps;
  const Result<RecordBatch> records = persisting::read_rows(
      *version_->snapshot, rows.first, rows.end - rows.first, schema, &timestamps);
  if (!records) {
    add_damage(report_.folder + "/data.lance", records.error().message, rows);
    return ok_status();
  }
  return consume(rows.first, *records, timestamps);
}

// ---- the log ----

Status BucketInspection::inspect_log() {
  const std::string folder = report_.folder + "/wal";
  std::optional<std::uint64_t> id;
  if (identity_) id = identity_->id;
  Result<std::vector<wal::SegmentScan>> log = wal::scan_log(file_system_, folder, id);
  if (!log) {
    add_damage(folder, log.error().message);
    return ok_status();
  }
  log_ = std::move(log).value();
  for (const wal::SegmentScan& segment : log_) {
    ++report_.files;
    report_.bytes += segment.bytes;
  }
  return judge_log();
}

// Whether opening would accept the log; then what is not whole in it is what a crash left.
Status BucketInspection::judge_log() {
  if (log_.empty()) return ok_status();
  DryRunFileSystem dry_run(file_system_);
  WalOptions options;
  options.folder = report_.folder + "/wal";
  // Without an identity each segment is taken at its word.
  options.bucket_identity =
      identity_ ? identity_->id : (log_.front().header ? log_.front().header->bucket_identity : 0);
  const std::uint64_t flushed_to = checkpoint_ ? checkpoint_->flushed_to : table_rows();
  const Result<wal::RecoveredLog> recovered = wal::recover_log(
      dry_run, options, flushed_to, [](const ReplayedFrame&) { return ok_status(); });
  if (!recovered) {
    if (recovered.error().code == ErrorCode::kUnsupported) return recovered.error();
    add_damage(options.folder, "the log does not open: " + recovered.error().message);
  }
  std::uint64_t next_offset = 0;
  for (std::size_t i = 0; i < log_.size(); ++i) {
    const wal::SegmentScan& segment = log_[i];
    std::size_t frame = 0;
    for (const wal::DamagedBytes& bytes : segment.damaged) {
      for (; frame < segment.frames.size() && segment.frames[frame].position < bytes.begin; ++frame)
        next_offset = segment.frames[frame].first_offset + segment.frames[frame].records;
      const std::string length = std::to_string(bytes.end - bytes.begin) + " bytes";
      if (recovered) {
        add_unfinished(segment.path, length + " of a write that never finished", bytes.begin);
        continue;
      }
      std::optional<OffsetRange> at_stake;
      if (frame < segment.frames.size()) {
        at_stake = OffsetRange{next_offset, segment.frames[frame].first_offset};
      } else if (i + 1 < log_.size()) {
        at_stake = OffsetRange{next_offset, log_[i + 1].name.first_offset};
      }
      add_damage(segment.path, length + " are no whole frame", at_stake, bytes.begin);
    }
    if (!segment.frames.empty()) {
      const wal::ScannedFrame& last = segment.frames.back();
      next_offset = last.first_offset + last.records;
    }
  }
  return ok_status();
}

std::uint64_t BucketInspection::end_offset() const {
  std::uint64_t end = std::max(table_rows(), checkpoint_ ? checkpoint_->flushed_to : 0);
  for (const wal::SegmentScan& segment : log_) {
    for (const wal::ScannedFrame& frame : segment.frames)
      end = std::max({end, frame.first_offset + frame.records, frame.durable_up_to});
  }
  return end;
}

// ---- findings ----

Result<FileDigest> BucketInspection::digest(const std::string& path) {
  PERSISTING_ASSIGN_OR_RETURN(const bool there, file_system_.exists(path));
  if (!there) return make_error(ErrorCode::kCorruption, "is missing");
  PERSISTING_ASSIGN_OR_RETURN(const FileDigest found, digest_file(file_system_, path));
  ++report_.files;
  report_.bytes += found.bytes;
  return found;
}

void BucketInspection::add_damage(std::string file, std::string message,
                                  std::optional<OffsetRange> at_stake,
                                  std::optional<std::uint64_t> byte) {
  report_.findings.push_back(
      {Finding::Kind::kDamage, std::move(file), byte, std::move(message), at_stake});
}

void BucketInspection::add_unfinished(std::string file, std::string message,
                                      std::optional<std::uint64_t> byte) {
  report_.findings.push_back(
      {Finding::Kind::kUnfinished, std::move(file), byte, std::move(message), std::nullopt});
}

}  // namespace persisting
