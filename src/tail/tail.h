// The tail: the records of a bucket that are not yet in its table, in memory.
// A list of fixed chunks: an append never moves what is there, so readers, the log and the flush use the bytes in
// place; memory goes back a chunk at a time. (One growing buffer would stall puts whenever it doubles.)
// Threads: Tail is thread-compatible (the bucket's lock). A TailSlice may be read without that lock: the records it
//          names are never written again, only bytes behind them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "persisting/record.h"

namespace persisting {

class RecordChunk;

// A run of records with consecutive offsets.
class TailChunk {
 public:
  virtual ~TailChunk() = default;
  TailChunk(const TailChunk&) = delete;
  TailChunk& operator=(const TailChunk&) = delete;

  std::uint64_t first_offset() const { return first_offset_; }
  std::uint64_t end_offset() const { return first_offset_ + count_; }

  // This chunk if it holds encoded records; null for any other kind, which the tail's owner made and knows.
  virtual const RecordChunk* records() const { return nullptr; }
  virtual std::int64_t timestamp_us(std::size_t index) const = 0;
  // Bytes of the records [first, first + count).
  virtual std::size_t byte_size(std::size_t first, std::size_t count) const = 0;

 protected:
  TailChunk(std::uint64_t first_offset, std::size_t count)
      : first_offset_(first_offset), count_(count) {}

  const std::uint64_t first_offset_;
  std::size_t count_;
};

// Encoded records in fixed memory.
class RecordChunk : public TailChunk {
 public:
  // An empty one, with room, for records from `timestamp_us` on. At most 4 GiB.
  RecordChunk(std::uint64_t first_offset, std::size_t byte_capacity, std::size_t record_capacity,
              std::int64_t timestamp_us);
  // The records of `batch`, without copying them. Nothing more fits.
  RecordChunk(std::uint64_t first_offset, RecordBatch batch, std::int64_t timestamp_us);

  bool fits(std::size_t records, std::size_t bytes, std::int64_t timestamp_us) const {
    return count_ + records <= record_capacity_ && used_ + bytes <= byte_capacity_ &&
           std::in_range<std::int32_t>(timestamp_us - first_timestamp_us_);
  }
  // Copies the records in; they must fit. Returns where they are.
  std::string_view append(const RecordBatch& batch, std::int64_t timestamp_us);
  void append(std::string_view record, std::int64_t timestamp_us);

  std::string_view bytes() const { return {data_, used_}; }
  std::string_view record(std::size_t index) const {
    const std::size_t begin = index == 0 ? 0 : end(index - 1);
    return {data_ + begin, end(index) - begin};
  }

  const RecordChunk* records() const override { return this; }
  std::int64_t timestamp_us(std::size_t index) const override {
    return first_timestamp_us_ + (is_adopted() ? 0 : delays_us_[index]);
  }
  std::size_t byte_size(std::size_t first, std::size_t count) const override;

 private:
  bool is_adopted() const { return bytes_ == nullptr; }
  std::size_t end(std::size_t index) const {
    return is_adopted() ? adopted_.ends()[index] : ends_[index];
  }

  const RecordBatch adopted_;
  const std::size_t byte_capacity_;
  const std::size_t record_capacity_;
  // Left uninitialised: pages that no record has reached cost no memory.
  const std::unique_ptr<char[]> bytes_;  // null where the records were adopted
  const char* const data_;
  // Small, for there may be millions of records; null likewise.
  const std::unique_ptr<std::uint32_t[]> ends_;
  const std::unique_ptr<std::int32_t[]> delays_us_;  // after the first timestamp
  const std::int64_t first_timestamp_us_;
  std::size_t used_ = 0;
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

  // Appends the records; returns their bytes in place, in one piece, valid until they are dropped. Large batches are
  // taken over, small ones copied.
  std::string_view append(RecordBatch batch, std::int64_t timestamp_us);

  // Appends a copy of one record.
  void append(std::string_view record, std::int64_t timestamp_us);

  // Appends a chunk of the owner's kind, which begins at next_offset().
  void append(std::shared_ptr<const TailChunk> chunk);

  // The records of [begin, end) that are here, in order; no slice is empty.
  std::vector<TailSlice> slice(std::uint64_t begin, std::uint64_t end) const;

  // Lets go of the chunks that hold nothing at or above `offset`.
  void drop_below(std::uint64_t offset);

  std::uint64_t next_offset() const { return next_offset_; }

 private:
  // Has a chunk into which so much fits.
  RecordChunk& chunk_for(std::size_t records, std::size_t bytes, std::int64_t timestamp_us);

  std::deque<std::shared_ptr<const TailChunk>> chunks_;
  std::shared_ptr<RecordChunk> open_;  // the last of them, while small batches may go into it
  std::uint64_t next_offset_;
};

}  // namespace persisting
