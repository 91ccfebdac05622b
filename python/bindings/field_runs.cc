#include "field_runs.h"

#include <algorithm>

#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include "bindings.h"

namespace persisting::python {
namespace {

void check_dict(nb::handle record) {
  if (PyDict_Check(record.ptr())) return;
  const std::string type = nb::cast<std::string>(nb::type_name(record.type()));
  throw nb::type_error(("a record must be a dict, not " + type).c_str());
}

}  // namespace

void FieldRuns::note(std::uint64_t first, nb::handle record) {
  check_dict(record);
  if (first == end_ && last_names_.match(record.ptr())) {
    ++end_;  // the run of the last record goes on
  } else {
    note_run(first, record, 1);
  }
}

void FieldRuns::note_batch(std::uint64_t first, nb::handle records, std::uint64_t shape) {
  if (!PyList_Check(records.ptr()) && !PyTuple_Check(records.ptr()))
    throw nb::type_error("records must be a list or a tuple");
  const Py_ssize_t size = PySequence_Fast_GET_SIZE(records.ptr());
  if (shape != 0 && size > 0) {
    const nb::handle one = PySequence_Fast_GET_ITEM(records.ptr(), 0);
    return note_alike(first, one, static_cast<std::uint64_t>(size), shape);
  }
  for (const nb::handle record : records) check_dict(record);
  Py_ssize_t begin = 0;
  while (begin < size) {
    note_run(first + static_cast<std::uint64_t>(begin),
             PySequence_Fast_GET_ITEM(records.ptr(), begin), 1);
    Py_ssize_t end = begin + 1;
    while (end < size && last_names_.match(PySequence_Fast_GET_ITEM(records.ptr(), end))) ++end;
    end_ = std::max(end_, first + static_cast<std::uint64_t>(end));
    begin = end;
  }
}

void FieldRuns::note_rows(std::uint64_t first, const std::vector<std::string>& names,
                          std::uint64_t count) {
  if (count == 0) return;
  forget_last();
  note_kind(first, kind_of(names), count);
}

void FieldRuns::note_run(std::uint64_t first, nb::handle record, std::uint64_t count) {
  check_dict(record);
  forget_last();
  last_names_.learn(record.ptr());
  Fields fields;
  for (std::size_t i = 0; i < last_names_.size(); ++i)
    fields.push_back(nb::cast<std::string>(nb::str(last_names_[i])));
  note_kind(first, kind_of(std::move(fields)), count);
}

void FieldRuns::note_kind(std::uint64_t first, std::size_t kind, std::uint64_t count) {
  if (first < end_) {  // a put that another one overtook
    overwrite(first, first + count, kind);
    forget_last();
    return;
  }
  if (first > end_) append(end_, every_field);  // put by somebody else
  append(first, kind);
  end_ = first + count;
}

std::size_t FieldRuns::kind_of(Fields fields) {
  std::erase_if(fields, [](const std::string& name) { return name.starts_with('_'); });
  std::sort(fields.begin(), fields.end());
  fields.erase(std::unique(fields.begin(), fields.end()), fields.end());
  const auto [known, is_new] = known_kinds_.try_emplace(std::move(fields), fields_.size());
  if (is_new) fields_.push_back(known->first);
  return known->second;
}

std::vector<std::pair<std::uint64_t, std::uint64_t>> FieldRuns::ready(
    const std::vector<std::string>& fields, std::uint64_t low, std::uint64_t bound) const {
  std::vector<std::pair<std::uint64_t, std::uint64_t>> parts;
  Fields wanted = fields;
  std::sort(wanted.begin(), wanted.end());
  wanted.erase(std::unique(wanted.begin(), wanted.end()), wanted.end());
  if (std::any_of(wanted.begin(), wanted.end(),
                  [](const std::string& name) { return name.starts_with('_'); })) {
    return parts;
  }
  for (std::size_t run = run_of(low); run < starts_.size() && starts_[run] < bound; ++run) {
    const std::uint64_t start = std::max(low, starts_[run]);
    const std::uint64_t stop = std::min(bound, run + 1 == starts_.size() ? end_ : starts_[run + 1]);
    const Fields& known = fields_[kinds_[run]];
    const bool has_all = kinds_[run] == every_field ||
                         std::includes(known.begin(), known.end(), wanted.begin(), wanted.end());
    if (start < stop && has_all) parts.emplace_back(start, stop);
  }
  if (std::max(low, end_) < bound) parts.emplace_back(std::max(low, end_), bound);
  return parts;
}

std::size_t FieldRuns::run_of(std::uint64_t offset) const {
  const auto after = std::upper_bound(starts_.begin(), starts_.end(), offset);
  return static_cast<std::size_t>(after - starts_.begin()) - 1;
}

void FieldRuns::append(std::uint64_t start, std::size_t kind) {
  if (starts_.back() == start) {  // the last run is empty
    kinds_.back() = kind;
  } else if (kinds_.back() != kind) {
    starts_.push_back(start);
    kinds_.push_back(kind);
  }
}

void FieldRuns::overwrite(std::uint64_t first, std::uint64_t stop, std::size_t kind) {
  for (std::uint64_t offset = first; offset < std::min(stop, end_); ++offset) {
    if (kinds_[run_of(offset)] == kind) continue;
    split(offset);
    if (offset + 1 < end_) split(offset + 1);
    kinds_[run_of(offset)] = kind;
  }
  if (stop > end_) {
    append(end_, kind);
    end_ = stop;
  }
}

void FieldRuns::split(std::uint64_t offset) {
  const std::size_t run = run_of(offset);
  if (starts_[run] == offset) return;
  const auto next = static_cast<std::ptrdiff_t>(run) + 1;
  starts_.insert(starts_.begin() + next, offset);
  kinds_.insert(kinds_.begin() + next, kinds_[run]);
}

void bind_field_runs(nb::module_& module) {
  nb::class_<FieldRuns>(module, "FieldRuns",
                        "Which fields the records of a bucket were put with, as runs of offsets. "
                        "Offsets that nobody noted have every field.")
      .def(nb::init<std::uint64_t>(), nb::arg("recovered"))
      .def("note", nb::overload_cast<std::uint64_t, nb::handle>(&FieldRuns::note), nb::arg("first"),
           nb::arg("record"), nb::sig("def note(self, first: int, record: dict[str, Any]) -> None"),
           "Remember the fields of the record put at offset `first`.")
      .def("note_batch", &FieldRuns::note_batch, nb::arg("first"), nb::arg("records"),
           nb::arg("shape") = 0,
           nb::sig("def note_batch(self, first: int, records: Sequence[dict[str, Any]], shape: int "
                   "= 0) -> None"),
           "Remember the fields of the records, a list or tuple, put from offset `first` on. "
           "`shape`: as NativeBackend.put_batch returned it for them.")
      .def("note_rows", &FieldRuns::note_rows, nb::arg("first"), nb::arg("names"), nb::arg("count"),
           "Remember the fields of `count` records put from offset `first` on, all with the same.")
      .def("ready", &FieldRuns::ready, nb::arg("fields"), nb::arg("low"), nb::arg("bound"),
           "Return the parts (start, stop) of [low, bound) whose records have all `fields`.")
      .def_prop_ro("end", &FieldRuns::end,
                   "The offset up to which it is known with which fields the records were put.");
}

}  // namespace persisting::python
