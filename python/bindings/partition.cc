#include "persisting/partition.h"

#include <nanobind/nanobind.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/string_view.h>
#include <nanobind/stl/vector.h>

#include "persisting/suggest.h"

#include "bindings.h"
#include "errors.h"

namespace persisting::python {
namespace {

std::uint32_t to_count(const char* name, std::int64_t value) {
  if (value < 0 || value > std::int64_t{UINT32_MAX}) {
    throw nb::value_error(
        (std::string(name) + " must be between 0 and 2^32 - 1, not " + std::to_string(value))
            .c_str());
  }
  return static_cast<std::uint32_t>(value);
}

}  // namespace

void bind_partition(nb::module_& module) {
  module.def(
      "bucket_of",
      [](std::string_view text, std::uint32_t num_buckets) {
        if (num_buckets == 0) throw nb::value_error("num_buckets must be at least 1");
        return bucket_of_text(text, num_buckets);
      },
      nb::arg("text"), nb::arg("num_buckets"),
      "The bucket of a record whose bucket column has this text.");
  module.def(
      "assign_buckets",
      [](std::int64_t num_buckets, std::int64_t rank, std::int64_t world_size) {
        return value_or_raise(assign_buckets(to_count("num_buckets", num_buckets),
                                             to_count("rank", rank),
                                             to_count("world_size", world_size)));
      },
      nb::arg("num_buckets"), nb::arg("rank"), nb::arg("world_size"),
      "The buckets of one of several consumers.");
  module.def("suggest", &suggest, nb::arg("name"), nb::arg("known"),
             "The nearest known name, or None.");
}

}  // namespace persisting::python
