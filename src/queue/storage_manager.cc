#include "persisting/storage_manager.h"

#include <filesystem>
#include <optional>

#include "persisting/partition.h"

namespace persisting {
namespace {

std::string text_of(const OptionMap& options, const std::string& name) {
  const auto option = options.find(name);
  if (option == options.end()) return "no value";
  const Result<std::string> text = partition_text(option->second);
  return text ? "'" + *text + "'" : "another value";
}

// What the open bucket has otherwise than asked, with both values; nothing where it is the same.
std::optional<std::string> difference(const BucketStorage& open, const std::string& backend_name,
                                      const OptionMap& options) {
  if (open.backend_name() != backend_name) {
    return "backend '" + open.backend_name() + "', now asked for '" + backend_name + "'";
  }
  const OptionMap& had = open.config().options;
  if (had == options) return std::nullopt;
  OptionMap all = had;
  all.insert(options.begin(), options.end());
  for (const auto& [name, value] : all) {
    const auto left = had.find(name);
    const auto right = options.find(name);
    if (left == had.end() || right == options.end() || left->second != right->second) {
      return name + " " + text_of(had, name) + ", now asked for " + text_of(options, name);
    }
  }
  return std::nullopt;
}

}  // namespace

const std::shared_ptr<StorageManager>& StorageManager::process() {
  static const auto* const manager =
      new std::shared_ptr<StorageManager>(std::make_shared<StorageManager>());
  return *manager;
}

Result<std::shared_ptr<BucketStorage>> StorageManager::open_bucket(const BackendConfig& config,
                                                                   const std::string& backend_name,
                                                                   const BackendFactory& factory) {
  const Key key{std::filesystem::absolute(config.storage_path).lexically_normal().string(),
                config.bucket_id};
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] {
    const auto entry = buckets_.find(key);
    return entry == buckets_.end() || !entry->second.opening;
  });
  if (const auto entry = buckets_.find(key); entry != buckets_.end()) {
    if (auto open = entry->second.bucket.lock()) {
      const auto differs = difference(*open, backend_name, config.options);
      if (!differs) return open;
      return make_error(
          ErrorCode::kInvalidArgument,
          config.storage_path + " is open with " + *differs + "; use the same, or close it first");
    }
  }
  buckets_[key] = Entry{};
  lock.unlock();
  Result<std::shared_ptr<StorageBackend>> backend = factory(config);
  lock.lock();
  changed_.notify_all();
  if (!backend) {
    buckets_.erase(key);
    return std::move(backend).error();
  }
  auto bucket = std::make_shared<BucketStorage>(config, backend_name, std::move(backend).value());
  buckets_[key] = Entry{false, bucket};
  return bucket;
}

std::size_t StorageManager::bucket_count() const {
  const std::lock_guard lock(mutex_);
  std::size_t count = 0;
  for (const auto& [key, entry] : buckets_)
    if (!entry.bucket.expired()) ++count;
  return count;
}

}  // namespace persisting
