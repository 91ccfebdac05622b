// Metrics of a bucket that another process has open.
#include <optional>

#include "persisting/metrics.h"

#include "base/clocks.h"
#include "engine/bucket_identity.h"
#include "metrics/metrics_memory.h"

namespace persisting {

Result<std::vector<MetricFamily>> read_metrics(const std::string& folder) {
  FileSystem& file_system = FileSystem::posix();
  PERSISTING_ASSIGN_OR_RETURN(const std::optional<BucketIdentity> identity,
                              read_identity(file_system, folder));
  if (!identity) {
    return make_error(ErrorCode::kInvalidArgument,
                      folder + " is no bucket's folder: it has no file BUCKET");
  }
  PERSISTING_ASSIGN_OR_RETURN(const std::optional<std::int64_t> holder,
                              file_system.lock_holder(folder + "/LOCK"));
  if (!holder) return std::vector<MetricFamily>();
  PERSISTING_ASSIGN_OR_RETURN(const auto metrics, read_metrics_of(*holder, identity->id));
  if (metrics == nullptr) return std::vector<MetricFamily>();
  return to_families(*metrics, topic_name(identity->topic, folder), identity->bucket_id,
                     wall_clock_us());
}

}  // namespace persisting
