// A peer: RocksDB as a log of records, keys in order, every acknowledgement synced (WriteOptions::sync).
//   rocksdb_bench FOLDER RECORDS VALUE_BYTES BATCH THREADS
// Each thread writes its share of the records, BATCH in one write. Output: "seconds VALUE".
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <iostream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <rocksdb/db.h>
#include <rocksdb/write_batch.h>

namespace {

void must(const rocksdb::Status& status) {
  if (!status.ok()) {
    std::cerr << status.ToString() << "\n";
    std::_Exit(1);
  }
}

// Big-endian, so that keys sort as their numbers do.
std::string key_of(std::uint64_t number) {
  std::string key(8, '\0');
  for (std::size_t i = 0; i < key.size(); ++i)
    key[i] = static_cast<char>(number >> (8 * (key.size() - 1 - i)) & 0xFF);
  return key;
}

void write_records(rocksdb::DB* database, std::uint64_t first, std::uint64_t end,
                   std::uint64_t batch_size, const std::string& value) {
  rocksdb::WriteOptions options;
  options.sync = true;
  rocksdb::WriteBatch batch;
  for (std::uint64_t number = first; number < end;) {
    batch.Clear();
    for (std::uint64_t i = 0; i < batch_size && number < end; ++i, ++number)
      must(batch.Put(key_of(number), value));
    must(database->Write(options, &batch));
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 6) {
    std::cerr << "usage: rocksdb_bench FOLDER RECORDS VALUE_BYTES BATCH THREADS\n";
    return 2;
  }
  const std::uint64_t records = std::stoull(argv[2]);
  const std::string value(std::stoull(argv[3]), 'x');
  const std::uint64_t batch_size = std::stoull(argv[4]);
  const std::uint64_t threads = std::stoull(argv[5]);
  rocksdb::Options options;
  options.create_if_missing = true;
  options.compression = rocksdb::kNoCompression;
  rocksdb::DB* opened = nullptr;
  must(rocksdb::DB::Open(options, argv[1], &opened));
  const std::unique_ptr<rocksdb::DB> database(opened);
  const auto start = std::chrono::steady_clock::now();
  std::vector<std::thread> writers;
  for (std::uint64_t i = 0; i < threads; ++i) {
    writers.emplace_back(write_records, database.get(), records * i / threads,
                         records * (i + 1) / threads, batch_size, std::cref(value));
  }
  for (auto& writer : writers) writer.join();
  const auto seconds = std::chrono::steady_clock::now() - start;
  std::cout << "seconds " << std::chrono::duration<double>(seconds).count() << "\n";
  return 0;
}
