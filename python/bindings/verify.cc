#include "persisting/verify.h"

#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>

#include "bindings.h"
#include "errors.h"
#include "gil.h"
#include "lance_engine.h"

namespace persisting::python {
namespace {

using Report = nb::typed<nb::dict, nb::str, nb::any>;

nb::object to_range(const OffsetRange& range) { return nb::make_tuple(range.first, range.end); }

Report to_dict(const VerifyReport& report) {
  nb::list findings;
  for (const Finding& finding : report.findings) {
    nb::dict entry;
    entry["damage"] = finding.kind == Finding::Kind::kDamage;
    entry["file"] = finding.file;
    entry["byte"] = finding.byte ? nb::cast(*finding.byte) : nb::none();
    entry["message"] = finding.message;
    entry["at_stake"] = finding.at_stake ? to_range(*finding.at_stake) : nb::none();
    findings.append(entry);
  }
  Report out;
  out["folder"] = report.folder;
  out["findings"] = findings;
  out["files"] = report.files;
  out["bytes"] = report.bytes;
  out["records"] = report.records;
  return out;
}

}  // namespace

void bind_verify(nb::module_& module) {
  module.def(
      "verify_bucket",
      [](const std::string& folder) {
        ensure_lance_engine();
        return to_dict(value_or_raise(without_gil([&] { return verify_bucket(folder); })));
      },
      nb::arg("folder"), "Used by persisting.verify.");
  module.def(
      "repair_bucket",
      [](const std::string& folder, const std::string& into) -> Report {
        ensure_lance_engine();
        const RepairReport report =
            value_or_raise(without_gil([&] { return repair_bucket(folder, into); }));
        nb::list lost;
        for (const OffsetRange& range : report.lost) lost.append(to_range(range));
        Report out;
        out["before"] = to_dict(report.before);
        out["records"] = report.records;
        out["lost"] = lost;
        return out;
      },
      nb::arg("folder"), nb::arg("into"), "Used by persisting.repair.");
}

}  // namespace persisting::python
