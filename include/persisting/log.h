// Where the library tells what it does: one sink for the process, stderr until it is set (from kWarning on).
// Nothing is told at kInfo or above for a put or a read that succeeds.
// Threads: thread-safe. The sink may be called from any thread, never while a lock of the library
// is held, and must not call back into the library.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "persisting/value.h"

namespace persisting {

enum class LogLevel : std::uint8_t { kDebug, kInfo, kWarning, kError };

struct LogEvent {
  LogLevel level = LogLevel::kInfo;
  std::string message;  // for people; names the file or folder
  // For programs: which kind of event ("" where it is of none), of which bucket, and its figures. The kinds and their
  // fields are listed in docs/monitoring.md.
  std::string event;
  Struct fields;
  std::string topic;  // "" where it is not known
  std::optional<std::uint32_t> bucket_id;
};

using LogSink = std::function<void(const LogEvent&)>;

// Replaces the sink; an empty function discards everything.
void set_log_sink(LogSink sink);

// Sends one event to the sink. What does not name a bucket gets the one that the calling thread works for.
void log(LogEvent event);
void log(LogLevel level, std::string message);

}  // namespace persisting
