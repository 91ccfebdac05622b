#include "tail/tail.h"

#include <algorithm>
#include <cassert>
#include <cstring>

namespace persisting {
namespace {

constexpr std::size_t chunk_bytes = 1 << 20;
// Enough for records of 32 bytes; smaller ones close a chunk early.
constexpr std::size_t chunk_records = chunk_bytes / 32;

}  // namespace

TailChunk::TailChunk(std::uint64_t first_offset, std::size_t byte_capacity,
                     std::size_t record_capacity)
    : first_offset_(first_offset),
      byte_capacity_(byte_capacity),
      record_capacity_(record_capacity),
      bytes_(std::make_unique_for_overwrite<char[]>(byte_capacity)),
      ends_(std::make_unique_for_overwrite<std::size_t[]>(record_capacity)),
      timestamps_(std::make_unique_for_overwrite<std::int64_t[]>(record_capacity)) {}

std::string_view TailChunk::append(const RecordBatch& batch, std::int64_t timestamp_us) {
  assert(fits(batch.size(), batch.byte_size()));
  char* const begin = bytes_.get() + used_;
  std::memcpy(begin, batch.bytes().data(), batch.byte_size());
  for (const std::size_t end : batch.ends()) {
    ends_[count_] = used_ + end;
    timestamps_[count_] = timestamp_us;
    ++count_;
  }
  used_ += batch.byte_size();
  return {begin, batch.byte_size()};
}

std::size_t TailChunk::byte_size(std::size_t first, std::size_t count) const {
  if (count == 0) return 0;
  return ends_[first + count - 1] - (first == 0 ? 0 : ends_[first - 1]);
}

std::string_view Tail::append(const RecordBatch& batch, std::int64_t timestamp_us) {
  if (chunks_.empty() || !chunks_.back()->fits(batch.size(), batch.byte_size())) {
    chunks_.push_back(std::make_shared<TailChunk>(next_offset_,
                                                  std::max(chunk_bytes, batch.byte_size()),
                                                  std::max(chunk_records, batch.size())));
  }
  next_offset_ += batch.size();
  return chunks_.back()->append(batch, timestamp_us);
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
}

}  // namespace persisting
