// Between datetime and date objects and the library's counts since 1970-01-01.
// Threads: call with the GIL held.
#pragma once

#include <nanobind/nanobind.h>

#include "persisting/value.h"

namespace persisting::python {

namespace nb = nanobind;

bool is_datetime(PyObject* object);
bool is_exact_datetime(PyObject* object);  // of no subclass
bool is_date(PyObject* object);            // true for datetimes as well
// An aware datetime as an instant, a naive one as a wall-clock reading.
Timestamp timestamp_of(PyObject* datetime);
Date date_of(PyObject* date);
// Whether make_datetime() can make it.
bool is_python_time(Timestamp timestamp);

// New references. Raise ValueError outside the years 1 to 9999, which Python's types cannot hold.
PyObject* make_datetime(Timestamp timestamp);
PyObject* make_date(Date date);

}  // namespace persisting::python
