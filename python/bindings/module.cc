// The private module persisting._core. The package re-exports what is public.
#include "bindings.h"

NB_MODULE(_core, module) {
  // The interpreter ends without taking the types down; leaked instances are no error then.
  nanobind::set_leak_warnings(false);
  persisting::python::bind_acknowledgement(module);
  persisting::python::bind_partition(module);
  persisting::python::bind_completion_queue(module);
  persisting::python::bind_field_runs(module);
  persisting::python::bind_backend(module);
  persisting::python::bind_log(module);
  persisting::python::bind_metrics(module);
  persisting::python::bind_threads(module);
  persisting::python::bind_verify(module);
  persisting::python::bind_view(module);
}
