#include "tail/tail.h"

#include <algorithm>
#include <cassert>
#include <cstring>
#include <utility>

namespace persisting {
namespace {

constexpr std::size_t chunk_bytes = 1 << 20;
// Enough for records of 32 bytes; smaller ones close a chunk early.
constexpr std::size_t chunk_records = chunk_bytes / 32;
// Batches from here on are taken over as they are: copying them would cost more than a chunk of their own.
constexpr std::size_t adopted_bytes = chunk_bytes / 4;

}  // namespace

RecordChunk::RecordChunk(std::uint64_t first_offset, std::size_t byte_capacity,
                         std::size_t record_capacity, std::int64_t timestamp_us)
    : TailChunk(first_offset, 0),
      byte_capacity_(byte_capacity),
      record_capacity_(record_capacity),
      bytes_(std::make_unique_for_overwrite<char[]>(byte_capacity)),
      data_(bytes_.get()),
      ends_(std::make_unique_for_overwrite<std::uint32_t[]>(record_capacity)),
      delays_us_(std::make_unique_for_overwrite<std::int32_t[]>(record_capacity)),
      first_timestamp_us_(timestamp_us) {
  assert(std::in_range<std::uint32_t>(byte_capacity));
}

RecordChunk::RecordChunk(std::uint64_t first_offset, RecordBatch batch, std::int64_t timestamp_us)
    : TailChunk(first_offset, batch.size()),
      adopted_(std::move(batch)),
      byte_capacity_(adopted_.byte_size()),
      record_capacity_(adopted_.size()),
      data_(adopted_.bytes().data()),
      first_timestamp_us_(timestamp_us),
      used_(adopted_.byte_size()) {}

std::string_view RecordChunk::append(const RecordBatch& batch, std::int64_t timestamp_us) {
  assert(fits(batch.size(), batch.byte_size(), timestamp_us));
  char* const begin = bytes_.get() + used_;
  std::memcpy(begin, batch.bytes().data(), batch.byte_size());
  const auto delay_us = static_cast<std::int32_t>(timestamp_us - first_timestamp_us_);
  for (const std::size_t end : batch.ends()) {
    ends_[count_] = static_cast<std::uint32_t>(used_ + end);
    delays_us_[count_] = delay_us;
    ++count_;
  }
  used_ += batch.byte_size();
  return {begin, batch.byte_size()};
}

void RecordChunk::append(std::string_view record, std::int64_t timestamp_us) {
  assert(fits(1, record.size(), timestamp_us));
  std::memcpy(bytes_.get() + used_, record.data(), record.size());
  used_ += record.size();
  ends_[count_] = static_cast<std::uint32_t>(used_);
  delays_us_[count_] = static_cast<std::int32_t>(timestamp_us - first_timestamp_us_);
  ++count_;
}

std::size_t RecordChunk::byte_size(std::size_t first, std::size_t count) const {
  if (count == 0) return 0;
  return end(first + count - 1) - (first == 0 ? 0 : end(first - 1));
}

std::string_view Tail::append(RecordBatch batch, std::int64_t timestamp_us) {
  const std::size_t records = batch.size();
  const std::size_t bytes = batch.byte_size();
  if (bytes >= adopted_bytes) {
    const auto chunk = std::make_shared<RecordChunk>(next_offset_, std::move(batch), timestamp_us);
    append(chunk);
    return chunk->bytes();
  }
  RecordChunk& chunk = chunk_for(records, bytes, timestamp_us);
  next_offset_ += records;
  return chunk.append(batch, timestamp_us);
}

void Tail::append(std::string_view record, std::int64_t timestamp_us) {
  if (record.size() >= adopted_bytes) {
    RecordBatch batch;
    batch.add_encoded(record);
    append(std::move(batch), timestamp_us);
    return;
  }
  RecordChunk& chunk = chunk_for(1, record.size(), timestamp_us);
  ++next_offset_;
  chunk.append(record, timestamp_us);
}

RecordChunk& Tail::chunk_for(std::size_t records, std::size_t bytes, std::int64_t timestamp_us) {
  if (open_ == nullptr || !open_->fits(records, bytes, timestamp_us)) {
    open_ = std::make_shared<RecordChunk>(next_offset_, chunk_bytes,
                                          std::max(chunk_records, records), timestamp_us);
    chunks_.push_back(open_);
  }
  return *open_;
}

void Tail::append(std::shared_ptr<const TailChunk> chunk) {
  assert(chunk->first_offset() == next_offset_);
  next_offset_ = chunk->end_offset();
  chunks_.push_back(std::move(chunk));
  open_ = nullptr;
}

std::vector<TailSlice> Tail::slice(std::uint64_t begin, std::uint64_t end) const {
  std::vector<TailSlice> slices;
  if (begin >= end) return slices;
  auto chunk = std::partition_point(chunks_.begin(), chunks_.end(),
                                    [begin](const auto& c) { return c->end_offset() <= begin; });
  for (; chunk != chunks_.end() && (*chunk)->first_offset() < end; ++chunk) {
    const std::uint64_t first = std::max(begin, (*chunk)->first_offset());
    const std::uint64_t last = std::min(end, (*chunk)->end_offset());
    slices.push_back({*chunk, first - (*chunk)->first_offset(), last - first});
  }
  return slices;
}

void Tail::drop_below(std::uint64_t offset) {
  while (!chunks_.empty() && chunks_.front()->end_offset() <= offset) chunks_.pop_front();
  if (chunks_.empty()) open_ = nullptr;
}

}  // namespace persisting
