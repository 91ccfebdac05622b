// Walks slices of the tail and gives their rows as Arrow batches for the table: the source of a flush's stream.
// Rows that came in Arrow are handed on as they are, where their columns are those of the table.
// Threads: thread-compatible.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include <nanoarrow/nanoarrow.hpp>

#include "persisting/record.h"

#include "engine/arrow_chunk.h"
#include "schema/arrow_convert.h"
#include "schema/schema.h"
#include "tail/tail.h"

namespace persisting {

// Rows that cross into the table at a time: large enough for full pages, small enough to bound the copy.
inline constexpr std::size_t batch_rows = 65'536;
inline constexpr std::size_t batch_bytes = 16 << 20;

class SliceCursor {
 public:
  static Result<std::shared_ptr<SliceCursor>> make(std::vector<TailSlice> slices, SchemaPtr schema);

  // The next batch; false where there are no more.
  Result<bool> next(ArrowArray* out);

 private:
  SliceCursor(std::vector<TailSlice> slices, SchemaPtr schema, ArrowBatchBuilder builder)
      : slices_(std::move(slices)), schema_(std::move(schema)), builder_(std::move(builder)) {}

  Status append_page(const TailSlice& slice);
  Result<bool> hand_on(const TailSlice& slice, ArrowArray* out) const;

  const std::vector<TailSlice> slices_;
  const SchemaPtr schema_;
  nanoarrow::UniqueSchema type_;  // of the table's rows
  ArrowBatchBuilder builder_;
  RecordBatch page_;
  std::size_t slice_ = 0;
  std::size_t record_ = 0;  // of the slice
};

}  // namespace persisting
