// Puts numbered records from two threads until it is killed; tells what it submits and what is acknowledged.
// Arguments: the bucket's folder, a seed.
// Output, one line each: "o COUNT COUNT", how many records of each producer it found; then "s PRODUCER NUMBER" before a put
// and "a PRODUCER NUMBER" once it returned.
#include <array>
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include <unistd.h>

#include "persisting/log.h"

#include "engine/bucket_engine.h"
#include "support/kill9_bucket.h"
#include "support/simulated_lance.h"

namespace {

using persisting::BucketEngine;
using persisting::testing::kill9_record;

void tell(const std::string& line) {
  // Whole lines: shorter than what a pipe takes at once.
  if (::write(1, line.data(), line.size()) != static_cast<ssize_t>(line.size())) std::_Exit(3);
}

void produce(BucketEngine& engine, int producer, std::int64_t number, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  while (true) {
    const std::int64_t count = random() % 3 == 0 ? 1 + static_cast<std::int64_t>(random() % 6) : 1;
    persisting::RecordBatch batch;
    for (std::int64_t i = 0; i < count; ++i)
      batch.add(persisting::Record::make(kill9_record(producer, number + i)).value());
    const std::string what =
        " " + std::to_string(producer) + " " + std::to_string(number + count - 1) + "\n";
    tell("s" + what);
    std::optional<std::uint64_t> at_once;
    if (count == 1) at_once = engine.try_put(batch[0]);
    const auto put =
        at_once ? persisting::Result<std::uint64_t>(*at_once) : engine.put_batch(std::move(batch));
    if (!put) {
      std::cerr << put.error().message << "\n";
      std::_Exit(4);
    }
    tell("a" + what);
    number += count;
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  persisting::set_log_sink({});
  persisting::testing::SimulatedLance lance(persisting::FileSystem::posix());
  auto engine = BucketEngine::open(persisting::testing::kill9_options(argv[1]),
                                   persisting::testing::kill9_environment(lance));
  if (!engine) {
    std::cerr << engine.error().message << "\n";
    return 4;
  }
  std::array<std::int64_t, 2> counts{};
  const auto records = (*engine)->get(UINT64_MAX, 0);
  if (!records) {
    std::cerr << records.error().message << "\n";
    return 4;
  }
  for (std::size_t i = 0; i < records->size(); ++i)
    ++counts.at(static_cast<std::size_t>(*records->fields(i)[0].second.get_if<std::int64_t>()));
  tell("o " + std::to_string(counts[0]) + " " + std::to_string(counts[1]) + "\n");
  const std::uint64_t seed = std::strtoull(argv[2], nullptr, 10);
  std::vector<std::thread> producers;
  for (int producer = 0; producer < 2; ++producer) {
    producers.emplace_back([&, producer] {
      const auto index = static_cast<std::size_t>(producer);
      produce(**engine, producer, counts.at(index), seed + index);
    });
  }
  for (std::thread& thread : producers) thread.join();
  return 0;
}
