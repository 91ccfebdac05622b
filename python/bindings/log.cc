#include "persisting/log.h"

#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>

#include "bindings.h"
#include "decode.h"

namespace persisting::python {

void bind_log(nb::module_& module) {
  module.def(
      "set_log_sink",
      [](nb::object sink) {
        if (sink.is_none()) return set_log_sink({});
        // Leaked: a pool thread may be about to call it.
        auto* const target = new nb::object(std::move(sink));
        set_log_sink([target](const LogEvent& event) {
          if (Py_IsInitialized() == 0) return;
          const nb::gil_scoped_acquire gil;
          try {
            const nb::object bucket = event.bucket_id ? nb::cast(*event.bucket_id) : nb::none();
            (*target)(static_cast<int>(event.level), event.message, event.event, event.topic,
                      bucket, decode_value(event.fields));
          } catch (nb::python_error& error) {
            error.discard_as_unraisable("persisting log sink");
          }
        });
      },
      nb::arg("sink").none(),
      "Send the core's messages to sink(level, message, event, topic, bucket, fields), level 0 "
      "debug to 3 error; None discards them.");
}

}  // namespace persisting::python
