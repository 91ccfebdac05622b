// Where the library's own messages go: one sink for the process, stderr until it is set.
// Threads: thread-safe. The sink may be called from any thread, never while a lock of the library
// is held, and must not call back into the library.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

namespace persisting {

enum class LogLevel : std::uint8_t { kDebug, kInfo, kWarning, kError };

struct LogEvent {
  LogLevel level;
  std::string message;
};

using LogSink = std::function<void(const LogEvent&)>;

// Replaces the sink; an empty function discards everything.
void set_log_sink(LogSink sink);

// Sends one event to the sink.
void log(LogLevel level, std::string message);

}  // namespace persisting
