// Which fields the records of a bucket were put with, as runs of offsets.
// Invariant: the starts grow strictly, the first is 0; a run ends where the next starts, the last at end(). Offsets that nobody
//            noted have every field.
// Threads:   call with the GIL held, which nothing here lets go.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <nanobind/nanobind.h>

#include "record_names.h"

namespace persisting::python {

namespace nb = nanobind;

class FieldRuns {
 public:
  // The offsets below `recovered` have every field.
  explicit FieldRuns(std::uint64_t recovered) : end_(recovered) {}

  // Remembers the fields of the record, a dict, put at offset `first`; of the records put from there on; of rows that all
  // have the fields `names`.
  void note(std::uint64_t first, nb::handle record);
  // `shape`, but 0, tells that all of them have the same names: those of every record with that shape (RecordShape).
  void note_batch(std::uint64_t first, nb::handle records, std::uint64_t shape = 0);
  // Of `count` records of that shape, of which `record` is one; 0: no record before had it.
  void note_alike(std::uint64_t first, nb::handle record, std::uint64_t count,
                  std::uint64_t shape) {
    if (first == end_ && shape == last_shape_ && shape != 0) {
      end_ += count;
      return;
    }
    note_run(first, record, count);
    if (first + count == end_) last_shape_ = shape;
  }
  void note_rows(std::uint64_t first, const std::vector<std::string>& names, std::uint64_t count);

  // The parts [start, stop) of [low, bound), in order, whose records have all `fields`.
  std::vector<std::pair<std::uint64_t, std::uint64_t>> ready(const std::vector<std::string>& fields,
                                                             std::uint64_t low,
                                                             std::uint64_t bound) const;

  std::uint64_t end() const { return end_; }

 private:
  using Fields = std::vector<std::string>;  // sorted, each once, without private ones
  static constexpr std::size_t every_field = 0;

  void note_run(std::uint64_t first, nb::handle record, std::uint64_t count);
  void note_kind(std::uint64_t first, std::size_t kind, std::uint64_t count);
  std::size_t kind_of(Fields fields);
  std::size_t run_of(std::uint64_t offset) const;
  void append(std::uint64_t start, std::size_t kind);
  void forget_last() {
    last_names_.clear();
    last_shape_ = 0;
  }
  void overwrite(std::uint64_t first, std::uint64_t stop, std::size_t kind);
  void split(std::uint64_t offset);

  std::uint64_t end_;
  std::vector<std::uint64_t> starts_{0};
  std::vector<std::size_t> kinds_{every_field};  // of each run
  std::vector<Fields> fields_{{}};               // of each kind but the first
  std::map<Fields, std::size_t> known_kinds_;
  RecordNames last_names_;        // of the last record: those of the next are mostly the same
  std::uint64_t last_shape_ = 0;  // of that record; 0: not known
};

}  // namespace persisting::python
