// The tail: the encoded records of a bucket that are not yet in its table, in memory.
// A list of fixed chunks: an append never moves what is there, so readers, the log and the flush use the bytes in
// place; memory goes back a chunk at a time. (One growing buffer would stall puts whenever it doubles.)
// Threads: Tail is thread-compatible (the bucket's lock). A TailSlice may be read without that lock: the records it
//          names are never written again, only bytes behind them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "persisting/record.h"

namespace persisting {

// Fixed memory for a run of records with consecutive offsets.
class TailChunk {
 public:
  TailChunk(std::uint64_t first_offset, std::size_t byte_capacity, std::size_t record_capacity);

  std::uint64_t first_offset() const { return first_offset_; }
  std::uint64_t end_offset() const { return first_offset_ + count_; }
  bool fits(std::size_t records, std::size_t bytes) const {
    return count_ + records <= record_capacity_ && used_ + bytes <= byte_capacity_;
  }
  // Copies the records in; they must fit. Returns where they are.
  std::string_view append(const RecordBatch& batch, std::int64_t timestamp_us);

  std::string_view record(std::size_t index) const {
    const std::size_t begin = index == 0 ? 0 : ends_[index - 1];
    return {bytes_.get() + begin, ends_[index] - begin};
  }
  std::int64_t timestamp_us(std::size_t index) const { return timestamps_[index]; }
  // Bytes of the records [first, first + count).
  std::size_t byte_size(std::size_t first, std::size_t count) const;

 private:
  const std::uint64_t first_offset_;
  const std::size_t byte_capacity_;
  const std::size_t record_capacity_;
  // Left uninitialised: pages that no record has reached cost no memory.
  const std::unique_ptr<char[]> bytes_;
  const std::unique_ptr<std::size_t[]> ends_;
  const std::unique_ptr<std::int64_t[]> timestamps_;
  std::size_t used_ = 0;
  std::size_t count_ = 0;
};

// Records [first, first + count) of a chunk, by index; keeps the chunk alive.
struct TailSlice {
  std::shared_ptr<const TailChunk> chunk;
  std::size_t first = 0;
  std::size_t count = 0;

  std::uint64_t first_offset() const { return chunk->first_offset() + first; }
  std::size_t byte_size() const { return chunk->byte_size(first, count); }
};

class Tail {
 public:
  // An empty tail whose first record will have `next_offset`.
  explicit Tail(std::uint64_t next_offset) : next_offset_(next_offset) {}

  // Appends the records; returns their bytes in place, in one piece, valid until they are dropped.
  std::string_view append(const RecordBatch& batch, std::int64_t timestamp_us);

  // The records of [begin, end) that are here, in order; no slice is empty.
  std::vector<TailSlice> slice(std::uint64_t begin, std::uint64_t end) const;

  // Lets go of the chunks that hold nothing at or above `offset`.
  void drop_below(std::uint64_t offset);

  std::uint64_t next_offset() const { return next_offset_; }

 private:
  std::deque<std::shared_ptr<TailChunk>> chunks_;
  std::uint64_t next_offset_;
};

}  // namespace persisting
