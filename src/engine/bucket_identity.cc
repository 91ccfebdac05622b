#include "engine/bucket_identity.h"

#include <bit>
#include <optional>
#include <random>

#include "engine/sealed_file.h"

namespace persisting {
namespace {

constexpr SealedFormat format{"PRSTBCKT", 1};

Result<BucketIdentity> from_payload(const Struct& payload) {
  BucketIdentity identity;
  PERSISTING_ASSIGN_OR_RETURN(const std::int64_t id, sealed_integer(payload, "id"));
  PERSISTING_ASSIGN_OR_RETURN(const std::int64_t bucket_id, sealed_integer(payload, "bucket_id"));
  PERSISTING_ASSIGN_OR_RETURN(const std::int64_t num_buckets,
                              sealed_integer(payload, "num_buckets"));
  PERSISTING_ASSIGN_OR_RETURN(identity.topic.bucket_column, sealed_text(payload, "bucket_column"));
  identity.id = std::bit_cast<std::uint64_t>(id);
  identity.bucket_id = static_cast<std::uint32_t>(bucket_id);
  identity.topic.num_buckets = std::bit_cast<std::uint64_t>(num_buckets);
  return identity;
}

Status check_same(const std::string& folder, const BucketIdentity& stored, std::uint32_t bucket_id,
                  const TopicSettings& asked) {
  const auto differs = [&folder](const std::string& what, const std::string& was,
                                 const std::string& is) {
    return make_error(ErrorCode::kInvalidArgument,
                      folder + " was written with " + what + " " + was + ", but is opened with " +
                          what + " " + is + "; use " + was + ", or another storage path");
  };
  if (stored.bucket_id != bucket_id) {
    return differs("bucket_id", std::to_string(stored.bucket_id), std::to_string(bucket_id));
  }
  if (asked.num_buckets != 0 && stored.topic.num_buckets != 0 &&
      asked.num_buckets != stored.topic.num_buckets) {
    return differs("num_buckets", std::to_string(stored.topic.num_buckets),
                   std::to_string(asked.num_buckets));
  }
  if (!asked.bucket_column.empty() && !stored.topic.bucket_column.empty() &&
      asked.bucket_column != stored.topic.bucket_column) {
    return differs("bucket_column", "'" + stored.topic.bucket_column + "'",
                   "'" + asked.bucket_column + "'");
  }
  return ok_status();
}

std::uint64_t random_id() {
  std::random_device device;
  return (static_cast<std::uint64_t>(device()) << 32) | device();
}

}  // namespace

Result<BucketIdentity> open_identity(FileSystem& file_system, const std::string& folder,
                                     std::uint32_t bucket_id, const TopicSettings& asked) {
  const std::string path = folder + "/BUCKET";
  PERSISTING_ASSIGN_OR_RETURN(const std::optional<Struct> payload,
                              read_sealed_file(file_system, path, format));
  BucketIdentity identity{random_id(), bucket_id, asked};
  if (payload) {
    Result<BucketIdentity> stored = from_payload(*payload);
    if (!stored) return with_context(std::move(stored).error(), path);
    PERSISTING_RETURN_IF_ERROR(check_same(folder, *stored, bucket_id, asked));
    const bool learned = (stored->topic.num_buckets == 0 && asked.num_buckets != 0) ||
                         (stored->topic.bucket_column.empty() && !asked.bucket_column.empty());
    if (!learned) return stored;
    // A bucket that Pulsing's own writer made does not know its topic; the first who does tells it.
    identity = *stored;
    if (identity.topic.num_buckets == 0) identity.topic.num_buckets = asked.num_buckets;
    if (identity.topic.bucket_column.empty()) identity.topic.bucket_column = asked.bucket_column;
  }
  PERSISTING_RETURN_IF_ERROR(write_sealed_file(
      file_system, path, format,
      Struct{{"id", std::bit_cast<std::int64_t>(identity.id)},
             {"bucket_id", static_cast<std::int64_t>(identity.bucket_id)},
             {"num_buckets", std::bit_cast<std::int64_t>(identity.topic.num_buckets)},
             {"bucket_column", identity.topic.bucket_column}}));
  return identity;
}

}  // namespace persisting
