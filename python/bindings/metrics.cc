#include "metrics.h"

#include <string>

#include <nanobind/stl/string.h>

#include "bindings.h"
#include "errors.h"
#include "gil.h"

namespace persisting::python {
namespace {

const char* kind_name(MetricKind kind) {
  switch (kind) {
    case MetricKind::kCounter:
      return "counter";
    case MetricKind::kGauge:
      return "gauge";
    case MetricKind::kHistogram:
      return "histogram";
  }
  return "unknown";
}

nb::dict histogram_dict(const MetricSample& sample) {
  nb::list buckets;
  for (const auto& [bound, count] : sample.buckets) buckets.append(nb::make_tuple(bound, count));
  nb::dict out;
  out["buckets"] = buckets;
  out["sum"] = sample.sum;
  out["count"] = sample.count;
  return out;
}

nb::dict sample_dict(const MetricSample& sample, MetricKind kind) {
  nb::dict labels;
  for (const auto& [name, value] : sample.labels) labels[name.c_str()] = value;
  nb::dict out;
  if (kind == MetricKind::kHistogram) {
    out = histogram_dict(sample);
  } else {
    out["value"] = sample.value;
  }
  out["labels"] = labels;
  return out;
}

nb::list family_list(const std::vector<MetricFamily>& families) {
  nb::list all;
  for (const MetricFamily& family : families) {
    nb::list samples;
    for (const MetricSample& sample : family.samples)
      samples.append(sample_dict(sample, family.kind));
    nb::dict entry;
    entry["name"] = family.name;
    entry["help"] = family.help;
    entry["kind"] = kind_name(family.kind);
    entry["samples"] = samples;
    all.append(entry);
  }
  return all;
}

}  // namespace

nb::dict metrics_dict(const std::vector<MetricFamily>& families) {
  nb::dict out;
  for (const MetricFamily& family : families) {
    for (const MetricSample& sample : family.samples) {
      out[family.name.c_str()] = family.kind == MetricKind::kHistogram
                                     ? nb::object(histogram_dict(sample))
                                     : nb::object(nb::float_(sample.value));
    }
  }
  return out;
}

void bind_metrics(nb::module_& module) {
  module.def("enable_metrics", &enable_metrics, nb::arg("enabled"),
             "Export all buckets of the process, or only those that were opened so.");
  module.def(
      "collect_metrics", [] { return family_list(without_gil(collect_metrics)); },
      nb::sig("def collect_metrics() -> list[dict[str, Any]]"),
      "Families of all exported buckets: name, help, kind and samples.");
  module.def(
      "read_metrics",
      [](const std::string& folder) -> nb::object {
        const auto families =
            value_or_raise(without_gil([&folder] { return read_metrics(folder); }));
        if (families.empty()) return nb::none();
        return family_list(families);
      },
      nb::arg("folder"), nb::sig("def read_metrics(folder: str) -> list[dict[str, Any]] | None"),
      "The same families of one bucket that any process has open; None where none has it.");
}

}  // namespace persisting::python
