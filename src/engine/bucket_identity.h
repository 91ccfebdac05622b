// The BUCKET file: what a bucket is, written once when it is made.
// Guarantee: a bucket is never opened as another one, or as part of a topic with other settings.
// Threads:   free function; called with the bucket's lock file held.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/file_system.h"

namespace persisting {

// The topic as far as it is known; 0 and "" where it is not (Pulsing tells a backend none of it).
struct TopicSettings {
  std::string topic;
  std::uint64_t num_buckets = 0;
  std::string bucket_column;
  bool operator==(const TopicSettings&) const = default;
};

struct BucketIdentity {
  std::uint64_t id = 0;  // random; every segment of the bucket's log carries it
  std::uint32_t bucket_id = 0;
  TopicSettings topic;
};

// Nothing: the folder has no identity yet.
Result<std::optional<BucketIdentity>> read_identity(FileSystem& file_system,
                                                    const std::string& folder);

// Reads the identity in `folder`, or makes one. kInvalidArgument where the folder belongs to another bucket, or was
// written with other settings; the message has both. A new bucket is compared with its siblings (../bucket_*), so that
// a topic does not get buckets of two kinds.
Result<BucketIdentity> open_identity(FileSystem& file_system, const std::string& folder,
                                     std::uint32_t bucket_id, const TopicSettings& asked);

// What a bucket's topic is called: as its settings say, else like the folder above the bucket's.
std::string topic_name(const TopicSettings& topic, const std::string& folder);
// The number at the end of a folder's name, "bucket_7"; 0 where there is none.
std::uint32_t bucket_id_of(const std::string& folder);

}  // namespace persisting
