// A storage backend of one's own in C++: it keeps each record's encoded bytes, length first, in one file a bucket.
// It is registered under a name and used through the queue. Run by ctest, and explained in docs/backends.md.
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iostream>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "persisting/persisting.h"

namespace {

using persisting::BackendConfig;
using persisting::BackendStats;
using persisting::ErrorCode;
using persisting::Record;
using persisting::RecordBatch;
using persisting::Result;
using persisting::Status;
using persisting::StorageBackend;
using persisting::Subscription;

// Listeners by number; a subscription takes its own away. Listeners run under the mutex, so that none runs after its
// subscription has ended.
class Listeners {
 public:
  std::unique_ptr<Subscription> add(std::function<void()> listener) {
    const std::lock_guard lock(state_->mutex);
    const std::uint64_t id = state_->next++;
    state_->listeners[id] = std::move(listener);
    return std::make_unique<Entry>(state_, id);
  }
  void notify() const {
    const std::lock_guard lock(state_->mutex);
    for (const auto& [id, listener] : state_->listeners) listener();
  }

 private:
  struct State {
    std::mutex mutex;
    std::map<std::uint64_t, std::function<void()>> listeners;
    std::uint64_t next = 0;
  };
  class Entry : public Subscription {
   public:
    Entry(std::shared_ptr<State> state, std::uint64_t id) : state_(std::move(state)), id_(id) {}
    Entry(const Entry&) = delete;
    Entry& operator=(const Entry&) = delete;
    ~Entry() override {
      const std::lock_guard lock(state_->mutex);
      state_->listeners.erase(id_);
    }

   private:
    const std::shared_ptr<State> state_;
    const std::uint64_t id_;
  };
  const std::shared_ptr<State> state_ = std::make_shared<State>();
};

// Durable as far as the operating system's buffers: it survives the process, not a power cut.
class FileBackend : public StorageBackend {
 public:
  static Result<std::shared_ptr<StorageBackend>> open(const BackendConfig& config) {
    std::filesystem::create_directories(config.storage_path);
    auto backend = std::make_shared<FileBackend>(config);
    if (!backend->file_) {
      return persisting::make_error(ErrorCode::kIo, "cannot open a file in " + config.storage_path);
    }
    return std::shared_ptr<StorageBackend>(std::move(backend));
  }

  explicit FileBackend(const BackendConfig& config)
      : config_(config), path_(config.storage_path + "/records") {
    std::ifstream stored(path_, std::ios::binary);
    std::uint32_t size = 0;
    while (stored.read(reinterpret_cast<char*>(&size), sizeof(size))) {
      std::string bytes(size, '\0');
      if (!stored.read(bytes.data(), static_cast<std::streamsize>(size)))
        break;  // the end of a put that a crash cut
      records_.add_encoded(bytes);
    }
    file_.open(path_, std::ios::binary | std::ios::app);
  }

  Result<std::uint64_t> put_batch(RecordBatch batch) override {
    std::uint64_t first = 0;
    {
      const std::lock_guard lock(mutex_);
      for (std::size_t i = 0; i < batch.size(); ++i) {
        const auto size = static_cast<std::uint32_t>(batch[i].size());
        file_.write(reinterpret_cast<const char*>(&size), sizeof(size));
        file_.write(batch[i].data(), size);
      }
      if (!file_.flush()) return persisting::make_error(ErrorCode::kIo, "cannot write " + path_);
      first = records_.size();
      records_.append(batch);
    }
    listeners_.notify();
    return first;
  }

  Result<RecordBatch> get(std::uint64_t limit, std::uint64_t offset) override {
    const std::lock_guard lock(mutex_);
    RecordBatch found;
    for (std::uint64_t i = offset; i < records_.size() && found.size() < limit; ++i)
      found.add_encoded(records_[i]);
    return found;
  }

  Status flush() override { return persisting::ok_status(); }  // every put is in the file already

  Result<BackendStats> stats() override {
    BackendStats stats;
    stats.bucket_id = config_.bucket_id;
    stats.backend = "file";
    stats.storage_path = config_.storage_path;
    stats.total_count = stats.persisted_count = total_count();
    return stats;
  }

  std::uint64_t total_count() const override {
    const std::lock_guard lock(mutex_);
    return records_.size();
  }

  Status close() override {
    const std::lock_guard lock(mutex_);
    file_.close();
    return persisting::ok_status();
  }

  std::unique_ptr<Subscription> subscribe(std::function<void()> listener) override {
    return listeners_.add(std::move(listener));
  }

 private:
  const BackendConfig config_;
  const std::string path_;
  mutable std::mutex mutex_;
  std::ofstream file_;   // under mutex_
  RecordBatch records_;  // under mutex_
  Listeners listeners_;
};

int fail(const persisting::Error& error) {
  std::cerr << error.message << "\n";
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string folder = argc > 1 ? argv[1] : "custom_backend_data";
  if (const Status registered = persisting::register_backend<FileBackend>("file"); !registered) {
    return fail(registered.error());
  }
  persisting::QueueOptions options;
  options.topic = "notes";
  options.storage_path = folder;
  options.backend = "file";
  const auto queue = persisting::Queue::open(options);
  if (!queue) return fail(queue.error());

  persisting::QueueWriter writer(*queue);
  for (int i = 0; i < 10; ++i) {
    const auto record = Record::make({{"id", i}, {"text", "note " + std::to_string(i)}});
    if (!record) return fail(record.error());
    if (const auto put = writer.put(*record); !put) return fail(put.error());
  }

  auto reader = persisting::QueueReader::open(*queue);
  if (!reader) return fail(reader.error());
  const auto records = reader->get(100);
  if (!records) return fail(records.error());
  std::cout << "read " << records->size() << " records\n";
  if (const Status closed = writer.close(); !closed) return fail(closed.error());
  return records->size() >= 10 ? 0 : 1;
}
