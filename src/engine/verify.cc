#include "engine/verify.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "engine/backend_options.h"
#include "engine/bucket_engine.h"
#include "engine/bucket_inspection.h"
#include "engine/log_salvage.h"

namespace persisting {
namespace {

// Decodes every record of the log that the table does not hold.
Status check_log_records(FileSystem& file_system, BucketInspection* inspection) {
  const std::uint64_t first = inspection->table_rows();
  return LogSalvage(file_system, inspection->log())
      .read(first, UINT64_MAX,
            [&](std::uint64_t offset, std::int64_t, const std::vector<std::string_view>& records) {
              for (const std::string_view record : records) {
                const auto decoded = Record::from_encoded(std::string(record));
                if (!decoded) {
                  inspection->add_damage(inspection->report().folder + "/wal",
                                         decoded.error().message, OffsetRange{offset, offset + 1});
                }
                ++offset;
              }
              inspection->count_records(records.size());
              return ok_status();
            });
}

Result<VerifyReport> finish_verify(FileSystem& file_system, BucketInspection* inspection) {
  PERSISTING_RETURN_IF_ERROR(inspection->read_table(
      [&](std::uint64_t, const RecordBatch& records, const std::vector<std::int64_t>&) {
        inspection->count_records(records.size());
        return ok_status();
      }));
  PERSISTING_RETURN_IF_ERROR(check_log_records(file_system, inspection));
  return inspection->report();
}

// Fills a new bucket with what is whole of a damaged one.
class Salvage {
 public:
  Salvage(FileSystem& file_system, BucketInspection& inspection)
      : file_system_(file_system), inspection_(inspection), log_(file_system, inspection.log()) {}

  Status run(const TableFormat& format, const std::string& into) {
    EngineOptions options;
    options.backend = "lance";
    options.folder = into;
    options.has_table = true;
    options.allow_network_storage = true;  // nobody relies on it before it is complete
    options.bucket_id = bucket_id_of(inspection_.report().folder);
    if (inspection_.identity()) {
      options.bucket_id = inspection_.identity()->bucket_id;
      options.topic = inspection_.identity()->topic;
    }
    if (const auto& checkpoint = inspection_.checkpoint())
      options.initial_schema = std::make_shared<const Schema>(checkpoint->schema);
    // Without that schema values may come before the type that held them all.
    options.admission.on_conflict = ConflictPolicy::kStringify;
    EngineEnvironment environment = default_environment();
    environment.file_system = &file_system_;
    environment.open_table = format.open;
    environment.now_us = [this] { return timestamp_us_; };
    PERSISTING_ASSIGN_OR_RETURN(engine_, BucketEngine::open(options, environment));
    Status status = copy();
    if (status) status = engine_->flush();
    Status ended = engine_->shut_down();
    return status ? std::move(ended) : std::move(status);
  }

  std::uint64_t records() const { return records_; }
  const std::vector<OffsetRange>& lost() const { return lost_; }

 private:
  Status copy() {
    PERSISTING_RETURN_IF_ERROR(
        inspection_.read_table([this](std::uint64_t first, const RecordBatch& records,
                                      const std::vector<std::int64_t>& timestamps) {
          return copy_rows(first, records, timestamps);
        }));
    return copy_log(inspection_.end_offset());
  }

  Status copy_rows(std::uint64_t first, const RecordBatch& records,
                   const std::vector<std::int64_t>& timestamps) {
    PERSISTING_RETURN_IF_ERROR(copy_log(first));
    for (std::size_t begin = 0; begin < records.size();) {
      RecordBatch same_time;
      std::size_t end = begin;
      for (; end < records.size() && timestamps[end] == timestamps[begin]; ++end)
        same_time.add_encoded(records[end]);
      PERSISTING_RETURN_IF_ERROR(put(first + begin, timestamps[begin], std::move(same_time)));
      begin = end;
    }
    return ok_status();
  }

  // The records below `end` that the table did not give.
  Status copy_log(std::uint64_t end) {
    PERSISTING_RETURN_IF_ERROR(log_.read(next_, end,
                                         [this](std::uint64_t first, std::int64_t timestamp_us,
                                                const std::vector<std::string_view>& records) {
                                           RecordBatch batch;
                                           for (const std::string_view record : records)
                                             batch.add_encoded(record);
                                           return put(first, timestamp_us, std::move(batch));
                                         }));
    lose_up_to(end);
    return ok_status();
  }

  Status put(std::uint64_t first, std::int64_t timestamp_us, RecordBatch records) {
    lose_up_to(first);
    timestamp_us_ = timestamp_us;
    next_ = first + records.size();
    records_ += records.size();
    const auto put = engine_->put_batch(std::move(records));
    if (put) return ok_status();
    return with_context(put.error(), "offset " + std::to_string(first));
  }

  void lose_up_to(std::uint64_t offset) {
    if (next_ < offset) lost_.push_back({next_, offset});
    next_ = std::max(next_, offset);
  }

  FileSystem& file_system_;
  BucketInspection& inspection_;
  LogSalvage log_;
  std::shared_ptr<BucketEngine> engine_;
  std::int64_t timestamp_us_ =
      0;                    // of what is being put; read under the engine's lock while put() waits
  std::uint64_t next_ = 0;  // offset in the damaged bucket
  std::uint64_t records_ = 0;
  std::vector<OffsetRange> lost_;
};

Status check_absent(FileSystem& file_system, const std::string& path, const std::string& advice) {
  PERSISTING_ASSIGN_OR_RETURN(const bool there, file_system.exists(path));
  if (!there) return ok_status();
  return make_error(ErrorCode::kInvalidArgument, path + " is there already; " + advice);
}

}  // namespace

bool VerifyReport::is_whole() const {
  return std::none_of(findings.begin(), findings.end(), [](const Finding& finding) {
    return finding.kind == Finding::Kind::kDamage;
  });
}

Result<VerifyReport> verify_bucket(FileSystem& file_system, const TableFormat& format,
                                   const std::string& folder) {
  PERSISTING_ASSIGN_OR_RETURN(const std::unique_ptr<BucketInspection> inspection,
                              BucketInspection::open(file_system, format, folder));
  return finish_verify(file_system, inspection.get());
}

Result<RepairReport> repair_bucket(FileSystem& file_system, const TableFormat& format,
                                   const std::string& folder, const std::string& into) {
  const std::string partial = into + ".partial";
  PERSISTING_RETURN_IF_ERROR(check_absent(file_system, into, "name a folder that is not"));
  PERSISTING_RETURN_IF_ERROR(
      check_absent(file_system, partial, "an earlier repair did not end; remove it"));
  PERSISTING_ASSIGN_OR_RETURN(const std::unique_ptr<BucketInspection> inspection,
                              BucketInspection::open(file_system, format, folder));
  Salvage salvage(file_system, *inspection);
  PERSISTING_RETURN_IF_ERROR(salvage.run(format, partial));
  PERSISTING_RETURN_IF_ERROR(file_system.rename(partial, into));
  PERSISTING_RETURN_IF_ERROR(file_system.sync_folder(parent_folder(into)));
  RepairReport report;
  report.before = inspection->report();
  report.records = salvage.records();
  report.lost = salvage.lost();
  return report;
}

Result<VerifyReport> verify_bucket(const std::string& folder) {
  return verify_bucket(FileSystem::posix(), table_format(), folder);
}

Result<RepairReport> repair_bucket(const std::string& folder, const std::string& into) {
  return repair_bucket(FileSystem::posix(), table_format(), folder, into);
}

}  // namespace persisting
