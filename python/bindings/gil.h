#pragma once

#include <nanobind/nanobind.h>

namespace persisting::python {

// Runs `body`, which may wait for the disk or call the Lance engine from any thread, without the GIL. Called with it.
template <typename Body>
auto without_gil(Body body) {
  const nanobind::gil_scoped_release released;
  return body();
}

}  // namespace persisting::python
