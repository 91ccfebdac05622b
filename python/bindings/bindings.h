// One registrar a domain; module.cc calls them all.
#pragma once

#include <nanobind/nanobind.h>

namespace persisting::python {

namespace nb = nanobind;

void bind_acknowledgement(nb::module_& module);
void bind_partition(nb::module_& module);
void bind_completion_queue(nb::module_& module);
void bind_backend(nb::module_& module);
void bind_field_runs(nb::module_& module);
void bind_log(nb::module_& module);
void bind_metrics(nb::module_& module);
void bind_threads(nb::module_& module);
void bind_verify(nb::module_& module);
void bind_view(nb::module_& module);

}  // namespace persisting::python
