// Reads a table ahead of those who read it in order, page by page: Lance takes nearly as long for a page of a thousand rows as
// for thirty of them.
// Operation: a page that begins where another one ended brings the rows behind it as well, up to window_bytes and
//            most_pages; the next pages are parts of them. Rows that were handed out are let go of.
// Memory:    of a bucket at most most_windows times window_bytes, or a page where that is larger.
// Threads:   thread-safe; the table is read without the lock.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <mutex>

#include "persisting/result.h"

#include "table/table.h"

namespace persisting {

class ReadAhead {
 public:
  static constexpr std::uint64_t window_bytes = 4 << 20;
  static constexpr std::uint64_t most_pages = 32;
  // Larger reads are left alone, and so are those of single rows.
  static constexpr std::uint64_t most_page_rows = 8192;
  // As many readers in order as are told apart.
  static constexpr std::size_t most_windows = 2;

  // As the snapshot's own. All snapshots must be of one table.
  Status scan(const TableSnapshot& snapshot, std::uint64_t row, std::uint64_t count,
              ArrowArrayStream* out);

  // Whether scan() finds the rows in memory.
  bool holds(const TableSnapshot& snapshot, std::uint64_t row, std::uint64_t count) const;

 private:
  class Rows;

  // What one reader has read, and has still before it.
  struct Window {
    std::uint64_t next = 0;            // where it goes on
    std::shared_ptr<const Rows> rows;  // from there on, or from before; null: none
    std::uint64_t row_bytes = 0;       // of the last page
  };

  static bool holds(const Window& window, std::uint64_t row, std::uint64_t count);
  static void hand_out(Window& window, std::uint64_t end);
  // The window of the reader that goes on at `row`; null: it is another one.
  Window* find_locked(std::uint64_t row, std::uint64_t count);
  void forget_other_versions_locked(std::uint64_t version);

  mutable std::mutex mutex_;
  // Under mutex_.
  std::uint64_t version_ = 0;  // of the table, whose rows the windows hold
  std::array<Window, most_windows> windows_;
  std::size_t oldest_ = 0;
};

}  // namespace persisting
