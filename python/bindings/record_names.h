// The names of the fields of one record, to tell whether another one has the same in the same order.
// Threads: call with the GIL held, which nothing here lets go.
#pragma once

#include <cstddef>
#include <vector>

#include <nanobind/nanobind.h>

namespace persisting::python {

namespace nb = nanobind;

class RecordNames {
 public:
  // Whether the record, a dict, has these names. None are no record's.
  bool match(PyObject* record) const {
    if (names_.empty() || PyDict_GET_SIZE(record) != static_cast<Py_ssize_t>(names_.size()))
      return false;
    PyObject* name = nullptr;
    Py_ssize_t position = 0;
    for (std::size_t i = 0; i < names_.size(); ++i) {
      if (PyDict_Next(record, &position, &name, nullptr) == 0 || !is_at(i, name)) return false;
    }
    return true;
  }
  // Whether that is the name at `place`. Mostly it is the same object.
  bool is_at(std::size_t place, PyObject* name) const {
    PyObject* const known = names_[place].ptr();
    if (known == name) return true;
    return PyUnicode_CheckExact(name) && PyUnicode_CheckExact(known) &&
           PyUnicode_GET_LENGTH(name) == PyUnicode_GET_LENGTH(known) &&
           PyUnicode_Compare(name, known) == 0;
  }

  void learn(PyObject* record) {
    names_.clear();
    PyObject* name = nullptr;
    Py_ssize_t position = 0;
    while (PyDict_Next(record, &position, &name, nullptr) != 0) names_.push_back(nb::borrow(name));
  }
  void clear() { names_.clear(); }

  std::size_t size() const { return names_.size(); }
  nb::handle operator[](std::size_t place) const { return names_[place]; }

 private:
  std::vector<nb::object> names_;
};

}  // namespace persisting::python
