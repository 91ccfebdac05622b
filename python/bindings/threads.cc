#include "persisting/threads.h"

#include "bindings.h"

namespace persisting::python {

void bind_threads(nb::module_& module) {
  module.def(
      "stop",
      [] {
        const nb::gil_scoped_release released;  // the threads may need it to finish
        stop_background_threads();
      },
      "End and join the core's threads; later work runs in the calling thread. Close every backend "
      "first.");
}

}  // namespace persisting::python
