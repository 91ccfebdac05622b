#include "engine/read_ahead.h"

#include <algorithm>
#include <cstddef>
#include <numeric>
#include <utility>
#include <vector>

#include <nanoarrow/nanoarrow.hpp>

#include "engine/table_rows.h"
#include "schema/arrow_convert.h"
#include "schema/arrow_share.h"
#include "schema/arrow_type.h"

namespace persisting {
namespace {

std::uint64_t bytes_of(const ArrowArrayView& view) {
  std::uint64_t bytes = 0;
  for (const ArrowBufferView& buffer : view.buffer_views)
    bytes += static_cast<std::uint64_t>(std::max<std::int64_t>(buffer.size_bytes, 0));
  for (std::int64_t i = 0; i < view.n_children; ++i) bytes += bytes_of(*view.children[i]);
  return view.dictionary == nullptr ? bytes : bytes + bytes_of(*view.dictionary);
}

}  // namespace

// Consecutive rows of a table; immutable.
class ReadAhead::Rows {
 public:
  static Result<std::shared_ptr<const Rows>> read(const TableSnapshot& snapshot, std::uint64_t row,
                                                  std::uint64_t count) {
    auto rows = std::make_shared<Rows>();
    rows->begin_ = rows->end_ = row;
    nanoarrow::UniqueArrayStream stream;
    PERSISTING_RETURN_IF_ERROR(snapshot.scan(row, count, stream.get()));
    PERSISTING_RETURN_IF_ERROR(nanoarrow_status(
        ArrowArrayStreamGetSchema(stream.get(), rows->type_.get(), nullptr), "reading the table"));
    PERSISTING_RETURN_IF_ERROR(
        for_each_array(stream.get(), [&](const ArrowSchema&, ArrowArray& array) {
          rows->end_ += static_cast<std::uint64_t>(array.length);
          rows->arrays_.emplace_back(&array);
          return ok_status();
        }));
    return std::shared_ptr<const Rows>(std::move(rows));
  }

  std::uint64_t begin() const { return begin_; }
  std::uint64_t end() const { return end_; }

  // What they take in memory, about; 0 where that cannot be told.
  std::uint64_t bytes() const {
    std::uint64_t bytes = 0;
    nanoarrow::UniqueArrayView view;
    if (ArrowArrayViewInitFromSchema(view.get(), type_.get(), nullptr) != NANOARROW_OK) return 0;
    for (const nanoarrow::UniqueArray& array : arrays_) {
      if (ArrowArrayViewSetArray(view.get(), array.get(), nullptr) != NANOARROW_OK) return 0;
      bytes += bytes_of(*view.get());
    }
    return bytes;
  }

  // Rows [row, row + count), as far as they are here.
  static Status hand_out(std::shared_ptr<const Rows> rows, std::uint64_t row, std::uint64_t count,
                         ArrowArrayStream* out) {
    nanoarrow::UniqueSchema type;
    PERSISTING_RETURN_IF_ERROR(
        nanoarrow_status(ArrowSchemaDeepCopy(rows->type_.get(), type.get()), "reading the table"));
    std::vector<std::int64_t> all_columns(static_cast<std::size_t>(type->n_children));
    std::iota(all_columns.begin(), all_columns.end(), 0);
    const std::uint64_t end = std::min(row + count, rows->end_);
    make_stream(
        type.get(),
        [rows, all_columns = std::move(all_columns), row, end, index = std::size_t{0},
         begin = rows->begin_](ArrowArray* array) mutable -> Result<bool> {
          for (; index < rows->arrays_.size() && row < end; ++index) {
            const ArrowArray& source = *rows->arrays_[index].get();
            const std::uint64_t source_begin = begin;
            const std::uint64_t source_end = begin + static_cast<std::uint64_t>(source.length);
            begin = source_end;
            if (source_end <= row) continue;
            const std::uint64_t until = std::min(end, source_end);
            PERSISTING_RETURN_IF_ERROR(share_rows(*rows->type_.get(), all_columns, source,
                                                  static_cast<std::int64_t>(row - source_begin),
                                                  static_cast<std::int64_t>(until - row), rows, 0,
                                                  array));
            row = until;
            ++index;
            return true;
          }
          return false;
        },
        out);
    return ok_status();
  }

 private:
  std::uint64_t begin_ = 0;
  std::uint64_t end_ = 0;
  nanoarrow::UniqueSchema type_;
  std::vector<nanoarrow::UniqueArray> arrays_;
};

bool ReadAhead::holds(const Window& window, std::uint64_t row, std::uint64_t count) {
  return window.rows != nullptr && window.rows->begin() <= row && row + count <= window.rows->end();
}

ReadAhead::Window* ReadAhead::find_locked(std::uint64_t row, std::uint64_t count) {
  for (Window& window : windows_) {
    if (holds(window, row, count) || (window.next == row && window.row_bytes > 0)) return &window;
  }
  return nullptr;
}

void ReadAhead::forget_other_versions_locked(std::uint64_t version) {
  if (version_ == version) return;
  version_ = version;
  for (Window& window : windows_) window.rows.reset();
}

bool ReadAhead::holds(const TableSnapshot& snapshot, std::uint64_t row, std::uint64_t count) const {
  const std::lock_guard lock(mutex_);
  return version_ == snapshot.version() && std::ranges::any_of(windows_, [&](const Window& window) {
           return holds(window, row, count);
         });
}

Status ReadAhead::scan(const TableSnapshot& snapshot, std::uint64_t row, std::uint64_t count,
                       ArrowArrayStream* out) {
  if (count < 2 || count > most_page_rows) return snapshot.scan(row, count, out);
  std::uint64_t wanted = count;
  std::shared_ptr<const Rows> rows;
  {
    const std::lock_guard lock(mutex_);
    forget_other_versions_locked(snapshot.version());
    if (Window* const window = find_locked(row, count)) {
      if (holds(*window, row, count)) {
        rows = window->rows;
        hand_out(*window, row + count);
      } else {
        wanted = std::clamp(window_bytes / window->row_bytes, count, most_pages * count);
      }
    }
  }
  if (rows == nullptr) {
    Result<std::shared_ptr<const Rows>> found = Rows::read(snapshot, row, wanted);
    // What lies ahead may be damaged, or may not fit into memory: nobody has asked for it yet.
    if (!found && wanted > count) found = Rows::read(snapshot, row, count);
    if (!found) return std::move(found).error();
    rows = std::move(found).value();
    const std::uint64_t read = rows->end() - rows->begin();
    const std::uint64_t row_bytes = read == 0 ? 0 : rows->bytes() / read;
    const std::lock_guard lock(mutex_);
    if (version_ == snapshot.version()) {
      Window* window = find_locked(row, count);
      if (window == nullptr) {
        window = &windows_[oldest_];
        oldest_ = (oldest_ + 1) % most_windows;
      }
      *window = {row, rows, row_bytes};
      hand_out(*window, row + count);
    }
  }
  return Rows::hand_out(std::move(rows), row, count, out);
}

// The reader goes on at `end`.
void ReadAhead::hand_out(Window& window, std::uint64_t end) {
  window.next = end;
  if (window.rows != nullptr && end >= window.rows->end()) window.rows.reset();
}

}  // namespace persisting
