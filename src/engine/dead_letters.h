// Records that a bucket refused and its policy keeps: a bucket of their own, in the folder dead_letters of the first. Any
// Lance tool opens it, too.
// A dead letter is a record of these fields:
//   offset   int64   that the record would have had
//   reason   string  why it was refused
//   record   bytes   its encoded form, as it was put
// Threads: PutOfTwo is thread-safe; the rest are free functions.
#pragma once

#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "persisting/storage_backend.h"

#include "engine/engine_options.h"
#include "schema/admission.h"

namespace persisting {

inline constexpr const char* dead_letter_folder = "/dead_letters";

// How the bucket of dead letters is opened beside one with these options.
EngineOptions dead_letter_options(const EngineOptions& bucket);

Record make_dead_letter(std::uint64_t offset, const std::string& reason, std::string_view record);

// The callback of a put of which only single records were refused: once the rest is kept, it reports them.
PutCallback refuse_after(std::vector<Refusal> refused, std::size_t taken, PutCallback done);

// A put that goes to two buckets; done once both have answered.
class PutOfTwo {
 public:
  explicit PutOfTwo(PutCallback done) : done_(std::move(done)) {}

  // Called once for each. The answer is the main one's, or the first error.
  void finish(Result<std::uint64_t> result, bool is_main) {
    {
      const std::lock_guard lock(mutex_);
      if (is_main || !result) {
        if (!answer_ || *answer_) answer_ = std::move(result);
      }
      if (--missing_ > 0) return;
    }
    done_(*std::move(answer_));
  }

 private:
  const PutCallback done_;
  std::mutex mutex_;
  // Under mutex_.
  int missing_ = 2;
  std::optional<Result<std::uint64_t>> answer_;
};

}  // namespace persisting
