// The awaitable that a put returns which was done at once: a coroutine that has nothing left to do.
// A coroutine of Python's own would cost the caller a frame and an object many times this size; tasks, gather() and
// inspection take this one like any other (collections.abc.Coroutine).
// Threads: call with the GIL held.
#pragma once

#include <nanobind/nanobind.h>

namespace persisting::python {

namespace nb = nanobind;

// A new one; its result is None.
nb::object make_acknowledgement();

}  // namespace persisting::python
