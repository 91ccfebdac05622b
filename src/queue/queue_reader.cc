#include <algorithm>
#include <utility>

#include "persisting/queue.h"

#include "base/wakeup.h"

namespace persisting {
namespace {

Error invalid(std::string message) {
  return make_error(ErrorCode::kInvalidArgument, std::move(message));
}

Result<std::vector<std::uint32_t>> choose_buckets(const Queue& queue,
                                                  const QueueReader::Options& options) {
  const std::uint32_t num_buckets = queue.options().num_buckets;
  if (options.rank.has_value() != options.world_size.has_value())
    return invalid("rank and world_size go together");
  if (options.bucket_ids && options.rank)
    return invalid("choose buckets by bucket_ids or by rank and world_size, not both");
  if (options.rank) return assign_buckets(num_buckets, *options.rank, *options.world_size);
  if (!options.bucket_ids) return assign_buckets(num_buckets, 0, 1);
  for (const std::uint32_t id : *options.bucket_ids) {
    if (id >= num_buckets) {
      return invalid("bucket " + std::to_string(id) + " does not exist: the topic has " +
                     std::to_string(num_buckets));
    }
  }
  return *options.bucket_ids;
}

}  // namespace

Result<QueueReader> QueueReader::open(std::shared_ptr<Queue> queue, Options options) {
  PERSISTING_ASSIGN_OR_RETURN(std::vector<std::uint32_t> bucket_ids,
                              choose_buckets(*queue, options));
  return QueueReader(std::move(queue), std::move(bucket_ids));
}

Result<RecordBatch> QueueReader::get(std::uint64_t limit, const Wait& wait) {
  if (!wait.wait || bucket_ids_.empty()) return take_available(limit);
  const Wakeup::Deadline deadline = Wakeup::deadline_of(wait.timeout);
  const auto wakeup = std::make_shared<Wakeup>();
  std::vector<std::unique_ptr<Subscription>> subscriptions;
  for (const std::uint32_t id : bucket_ids_) {
    PERSISTING_ASSIGN_OR_RETURN(const auto storage, queue_->bucket(id));
    subscriptions.push_back(storage->backend()->subscribe([wakeup] { wakeup->notify(); }));
  }
  while (true) {
    wakeup->reset();
    Result<RecordBatch> records = take_available(limit);
    if (!records || !records->empty() || !wakeup->wait(deadline)) return records;
  }
}

Result<RecordBatch> QueueReader::take_available(std::uint64_t limit) {
  RecordBatch taken;
  const std::size_t first = turn_++;
  for (std::size_t i = 0; i < bucket_ids_.size() && taken.size() < limit; ++i) {
    const std::uint32_t id = bucket_ids_[(first + i) % bucket_ids_.size()];
    Result<RecordBatch> records = queue_->get(id, limit - taken.size(), offsets_[id]);
    // What other buckets gave is handed over first; the error comes again with the next call.
    if (!records && !taken.empty()) return taken;
    if (!records) return records;
    offsets_[id] += records->size();
    taken.append(*records);
  }
  return taken;
}

void QueueReader::reset() { offsets_.clear(); }

Status QueueReader::set_offset(std::uint64_t offset, std::optional<std::uint32_t> bucket_id) {
  if (bucket_id &&
      std::find(bucket_ids_.begin(), bucket_ids_.end(), *bucket_id) == bucket_ids_.end()) {
    return invalid("bucket " + std::to_string(*bucket_id) + " is not among those of this reader");
  }
  for (const std::uint32_t id : bucket_ids_) {
    if (!bucket_id || id == *bucket_id) offsets_[id] = offset;
  }
  return ok_status();
}

std::uint64_t QueueReader::offset(std::uint32_t bucket_id) const {
  const auto found = offsets_.find(bucket_id);
  return found == offsets_.end() ? 0 : found->second;
}

}  // namespace persisting
