#pragma once

#include <vector>

#include <nanobind/nanobind.h>

#include "persisting/metrics.h"

namespace persisting::python {

namespace nb = nanobind;

// The families of one bucket as a dict by name: a float, or a dict of buckets, sum and count. With the GIL.
nb::dict metrics_dict(const std::vector<MetricFamily>& families);

}  // namespace persisting::python
