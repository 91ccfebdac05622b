#include <algorithm>
#include <utility>

#include "persisting/storage_backend.h"

#include "base/wakeup.h"

namespace persisting {

RecordStream::RecordStream(std::shared_ptr<StorageBackend> backend, Options options)
    : backend_(std::move(backend)), options_(options), wakeup_(std::make_shared<Wakeup>()) {
  if (options_.wait) subscription_ = backend_->subscribe([wakeup = wakeup_] { wakeup->notify(); });
}

RecordStream::~RecordStream() = default;

Result<RecordBatch> RecordStream::next() {
  const Wakeup::Deadline deadline = Wakeup::deadline_of(options_.timeout);
  while (options_.limit > 0) {
    wakeup_->reset();
    Result<RecordBatch> records =
        backend_->get(std::min(options_.limit, options_.page), options_.offset);
    if (!records) return records;
    if (!records->empty()) {
      options_.offset += records->size();
      options_.limit -= records->size();
      return records;
    }
    if (!options_.wait || !wakeup_->wait(deadline)) break;
  }
  return RecordBatch();
}

}  // namespace persisting
