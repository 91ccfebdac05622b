// One operation of the library in C++, timed: persisting_bench OPERATION FOLDER RECORDS REPEATS
//
//   put        RECORDS times a put of one record that is encoded already; REPEATS times over
//   make_put   the same, the record encoded in the loop
//   put_batch  the same records as `put`, a thousand a batch
//   get        puts RECORDS once, then reads them in pages of a thousand, REPEATS times
//   get_arrow  the same in Arrow, all in one stream
//   fill       as put_batch, then ends like killed: no flush, no closing. For `recover`
//   recover    opens what `fill` left, and tells the time and the memory that took
//   memory     as put_batch, and tells the memory that the records take
//
// The log is on, and an acknowledgement survives kill -9 (wal_sync_interval = 1); nothing is flushed into a table.
// Output: "name value" a line; times in seconds, sizes in bytes. The calls do the same work every time, so that
// valgrind can count the instructions of one more repeat.
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <iostream>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "persisting/persisting.h"

#include "no_table_engine.h"
#include "process_memory.h"

namespace {

using persisting::Record;
using persisting::RecordBatch;
using persisting::StorageBackend;

constexpr std::int64_t batch_records = 1000;
constexpr std::int64_t no_limit = 1LL << 40;  // bytes

template <typename T>
T must(persisting::Result<T> result) {
  if (!result) {
    std::cerr << result.error().message << "\n";
    std::_Exit(1);
  }
  return std::move(*result);
}

void must(const persisting::Status& status) {
  if (!status) {
    std::cerr << status.error().message << "\n";
    std::_Exit(1);
  }
}

// The same four fields as the records of the Python side.
Record make_record(std::int64_t id) {
  std::string name = std::to_string(id % 1000);
  name.insert(0, 6 - name.size(), '0');
  return must(Record::make(
      {{"id", id}, {"name", "n" + name}, {"reward", 0.5}, {"text", "hello world, this is text"}}));
}

RecordBatch make_batch(std::int64_t first, std::int64_t count) {
  RecordBatch batch;
  for (std::int64_t i = 0; i < count; ++i) batch.add(make_record(first + i));
  return batch;
}

std::shared_ptr<StorageBackend> open(const std::string& folder) {
  persisting::BackendConfig config;
  config.storage_path = folder;
  config.options = {{"wal_sync_interval", 1.0}, {"enable_metrics", true},
                    {"flush_bytes", no_limit},  {"max_buffer_bytes", no_limit},
                    {"max_wal_size", no_limit}, {"flush_interval", 1e6}};
  return must(persisting::PersistingBackend::open(config));
}

class Stopwatch {
 public:
  double seconds() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  }

 private:
  const std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

void tell(const std::string& name, double value) { std::cout << name << " " << value << "\n"; }

struct Arguments {
  std::string folder;
  std::int64_t records = 0;
  std::int64_t repeats = 1;
};

void put(const Arguments& arguments) {
  const auto backend = open(arguments.folder);
  std::vector<Record> records;
  for (std::int64_t i = 0; i < batch_records; ++i) records.push_back(make_record(i));
  const Stopwatch watch;
  for (std::int64_t i = 0; i < arguments.records * arguments.repeats; ++i)
    must(backend->put(records[static_cast<std::size_t>(i % batch_records)]));
  tell("seconds", watch.seconds());
}

void make_put(const Arguments& arguments) {
  const auto backend = open(arguments.folder);
  const Stopwatch watch;
  for (std::int64_t i = 0; i < arguments.records * arguments.repeats; ++i)
    must(backend->put(make_record(i)));
  tell("seconds", watch.seconds());
}

std::shared_ptr<StorageBackend> fill_backend(const Arguments& arguments, std::int64_t repeats) {
  auto backend = open(arguments.folder);
  const RecordBatch batch = make_batch(0, batch_records);
  const Stopwatch watch;
  for (std::int64_t i = 0; i < arguments.records * repeats; i += batch_records)
    must(backend->put_batch(batch));
  tell("seconds", watch.seconds());
  return backend;
}

void put_batch(const Arguments& arguments) { fill_backend(arguments, arguments.repeats); }

void get(const Arguments& arguments) {
  const auto backend = fill_backend(arguments, 1);
  const Stopwatch watch;
  std::uint64_t found = 0;
  for (std::int64_t repeat = 0; repeat < arguments.repeats; ++repeat) {
    for (std::uint64_t offset = 0; offset < backend->total_count(); offset += batch_records)
      found += must(backend->get(batch_records, offset)).size();
  }
  tell("read_seconds", watch.seconds());
  tell("found", static_cast<double>(found));
}

void get_arrow(const Arguments& arguments) {
  const auto backend = fill_backend(arguments, 1);
  const Stopwatch watch;
  std::int64_t found = 0;
  for (std::int64_t repeat = 0; repeat < arguments.repeats; ++repeat) {
    const auto stream = must(backend->get_arrow(backend->total_count(), 0));
    while (true) {
      ArrowArray rows{};
      if (stream->get_next(stream.get(), &rows) != 0) {
        std::cerr << stream->get_last_error(stream.get()) << "\n";
        std::_Exit(1);
      }
      if (rows.release == nullptr) break;
      found += rows.length;
      rows.release(&rows);
    }
  }
  tell("read_seconds", watch.seconds());
  tell("found", static_cast<double>(found));
}

void fill(const Arguments& arguments) {
  const auto backend = fill_backend(arguments, arguments.repeats);
  std::cout.flush();
  std::_Exit(0);
}

void recover(const Arguments& arguments) {
  const std::uint64_t before = process_memory().anonymous_bytes;
  const Stopwatch watch;
  const auto backend = open(arguments.folder);
  tell("seconds", watch.seconds());
  tell("found", static_cast<double>(backend->total_count()));
  tell("peak_bytes", static_cast<double>(process_memory().peak_bytes));
  tell("memory_bytes", static_cast<double>(process_memory().anonymous_bytes - before));
}

void memory(const Arguments& arguments) {
  const std::uint64_t before = process_memory().anonymous_bytes;
  const auto backend = fill_backend(arguments, arguments.repeats);
  tell("memory_bytes", static_cast<double>(process_memory().anonymous_bytes - before));
  const auto encoded = static_cast<double>(make_batch(0, batch_records).byte_size());
  tell("encoded_bytes", encoded / batch_records * static_cast<double>(backend->total_count()));
}

const std::map<std::string, std::function<void(const Arguments&)>> operations = {
    {"put", put},   {"make_put", make_put}, {"put_batch", put_batch}, {"get", get},
    {"fill", fill}, {"recover", recover},   {"get_arrow", get_arrow}, {"memory", memory},
};

}  // namespace

int main(int argc, char** argv) {
  const auto operation = operations.find(argc == 5 ? argv[1] : "");
  if (operation == operations.end()) {
    std::cerr << "usage: persisting_bench OPERATION FOLDER RECORDS REPEATS\n";
    return 2;
  }
  must(persisting::register_lance_engine(no_table_engine()));
  std::cout.precision(12);
  operation->second({argv[2], std::stoll(argv[3]), std::stoll(argv[4])});
  std::cout.flush();
  // The bucket is left as it is; letting go of gigabytes in order takes longer than the measurement.
  std::_Exit(0);
}
