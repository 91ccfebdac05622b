#include "engine/bucket_identity.h"

#include <bit>
#include <charconv>
#include <filesystem>
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
  PERSISTING_ASSIGN_OR_RETURN(identity.topic.topic, sealed_text(payload, "topic"));
  PERSISTING_ASSIGN_OR_RETURN(identity.topic.bucket_column, sealed_text(payload, "bucket_column"));
  if (bucket_id < 0 || bucket_id > std::int64_t{UINT32_MAX})
    return make_error(ErrorCode::kCorruption, "no valid entry 'bucket_id'");
  identity.id = std::bit_cast<std::uint64_t>(id);
  identity.bucket_id = static_cast<std::uint32_t>(bucket_id);
  identity.topic.num_buckets = std::bit_cast<std::uint64_t>(num_buckets);
  return identity;
}

Error differs(const std::string& folder, const std::string& what, const std::string& was,
              const std::string& is) {
  return make_error(ErrorCode::kInvalidArgument, folder + " was written with " + what + " " + was +
                                                     ", but is opened with " + what + " " + is +
                                                     "; use " + was + ", or another storage path");
}

Status check_same_topic(const std::string& folder, const TopicSettings& stored,
                        const TopicSettings& asked) {
  if (!asked.topic.empty() && !stored.topic.empty() && asked.topic != stored.topic) {
    return differs(folder, "topic", "'" + stored.topic + "'", "'" + asked.topic + "'");
  }
  if (asked.num_buckets != 0 && stored.num_buckets != 0 &&
      asked.num_buckets != stored.num_buckets) {
    return differs(folder, "num_buckets", std::to_string(stored.num_buckets),
                   std::to_string(asked.num_buckets));
  }
  if (!asked.bucket_column.empty() && !stored.bucket_column.empty() &&
      asked.bucket_column != stored.bucket_column) {
    return differs(folder, "bucket_column", "'" + stored.bucket_column + "'",
                   "'" + asked.bucket_column + "'");
  }
  return ok_status();
}

Status write_identity(FileSystem& file_system, const std::string& folder,
                      const BucketIdentity& identity) {
  return write_sealed_file(
      file_system, folder + "/BUCKET", format,
      Struct{{"id", std::bit_cast<std::int64_t>(identity.id)},
             {"bucket_id", static_cast<std::int64_t>(identity.bucket_id)},
             {"topic", identity.topic.topic},
             {"num_buckets", std::bit_cast<std::int64_t>(identity.topic.num_buckets)},
             {"bucket_column", identity.topic.bucket_column}});
}

// One sibling is enough: each was compared when it was made.
Status check_same_as_siblings(FileSystem& file_system, const std::string& folder,
                              const TopicSettings& asked) {
  const std::string parent = parent_folder(folder);
  PERSISTING_ASSIGN_OR_RETURN(const std::vector<std::string> names,
                              file_system.list_folder(parent));
  for (const std::string& name : names) {
    if (!name.starts_with("bucket_")) continue;
    PERSISTING_ASSIGN_OR_RETURN(const auto sibling,
                                read_identity(file_system, parent + "/" + name));
    if (sibling) return check_same_topic(parent + "/" + name, sibling->topic, asked);
  }
  return ok_status();
}

// Takes over what `asked` knows and `known` does not. Whether there was any such thing.
bool complete(TopicSettings* known, const TopicSettings& asked) {
  const TopicSettings before = *known;
  if (known->topic.empty()) known->topic = asked.topic;
  if (known->num_buckets == 0) known->num_buckets = asked.num_buckets;
  if (known->bucket_column.empty()) known->bucket_column = asked.bucket_column;
  return *known != before;
}

std::uint64_t random_id() {
  std::random_device device;
  return (static_cast<std::uint64_t>(device()) << 32) | device();
}

}  // namespace

Result<std::optional<BucketIdentity>> read_identity(FileSystem& file_system,
                                                    const std::string& folder) {
  const std::string path = folder + "/BUCKET";
  PERSISTING_ASSIGN_OR_RETURN(const std::optional<Struct> payload,
                              read_sealed_file(file_system, path, format));
  if (!payload) return std::optional<BucketIdentity>();
  Result<BucketIdentity> stored = from_payload(*payload);
  if (!stored) return with_context(std::move(stored).error(), path);
  return std::optional<BucketIdentity>(std::move(stored).value());
}

Result<BucketIdentity> open_identity(FileSystem& file_system, const std::string& folder,
                                     std::uint32_t bucket_id, const TopicSettings& asked) {
  PERSISTING_ASSIGN_OR_RETURN(std::optional<BucketIdentity> identity,
                              read_identity(file_system, folder));
  if (!identity) {
    PERSISTING_RETURN_IF_ERROR(check_same_as_siblings(file_system, folder, asked));
    identity = BucketIdentity{random_id(), bucket_id, asked};
    PERSISTING_RETURN_IF_ERROR(write_identity(file_system, folder, *identity));
    return *identity;
  }
  if (identity->bucket_id != bucket_id) {
    return differs(folder, "bucket_id", std::to_string(identity->bucket_id),
                   std::to_string(bucket_id));
  }
  PERSISTING_RETURN_IF_ERROR(check_same_topic(folder, identity->topic, asked));
  // A bucket that Pulsing's own writer made does not know its topic; the first who does tells it.
  if (complete(&identity->topic, asked))
    PERSISTING_RETURN_IF_ERROR(write_identity(file_system, folder, *identity));
  return *identity;
}

std::string topic_name(const TopicSettings& topic, const std::string& folder) {
  if (!topic.topic.empty() || folder.empty()) return topic.topic;
  return std::filesystem::absolute(folder).lexically_normal().parent_path().filename().string();
}

std::uint32_t bucket_id_of(const std::string& folder) {
  const std::size_t digits = folder.find_last_not_of("0123456789") + 1;
  std::uint32_t id = 0;
  std::from_chars(folder.data() + digits, folder.data() + folder.size(), id);
  return id;
}

}  // namespace persisting
