// Rows that came in Arrow, in the tail: as one Arrow IPC stream, which the log takes as it is, and as arrays inside
// those bytes.
// Threads: immutable.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "schema/arrow_rows.h"
#include "tail/tail.h"

namespace persisting {

class ArrowChunk : public TailChunk {
 public:
  // `encoded` is one stream of schema/arrow_ipc.h. kInvalidArgument or kCorruption where it is none.
  static Result<std::shared_ptr<ArrowRows>> decode(
      const std::shared_ptr<const std::string>& encoded);

  ArrowChunk(std::uint64_t first_offset, std::int64_t timestamp_us,
             std::shared_ptr<const std::string> encoded, std::shared_ptr<const ArrowRows> rows)
      : TailChunk(first_offset, rows->size()),
        timestamp_us_(timestamp_us),
        encoded_(std::move(encoded)),
        rows_(std::move(rows)) {}

  const ArrowRows& rows() const { return *rows_; }
  std::string_view encoded() const { return *encoded_; }

  std::int64_t timestamp_us(std::size_t) const override { return timestamp_us_; }
  // Its share: an even part a row.
  std::size_t byte_size(std::size_t first, std::size_t count) const override {
    return share(first + count) - share(first);
  }

 private:
  std::size_t share(std::size_t rows) const {
    return count_ == 0 ? 0 : encoded_->size() * rows / count_;
  }

  const std::int64_t timestamp_us_;
  const std::shared_ptr<const std::string> encoded_;
  const std::shared_ptr<const ArrowRows> rows_;
};

// Appends the records of a slice in the normalized form of `schema`. Fails only where memory was damaged.
Status read_slice(const TailSlice& slice, const Schema& schema, RecordBatch* out);
// Gives them to a sink, which knows the fields; false where it wants no more.
Result<bool> write_slice(const TailSlice& slice, const Schema& schema, RecordSink& sink);

}  // namespace persisting
