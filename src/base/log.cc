#include "persisting/log.h"

#include <cstdio>
#include <memory>
#include <mutex>
#include <utility>

#include <pthread.h>

namespace persisting {
namespace {

const char* level_name(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return "debug";
    case LogLevel::kInfo:
      return "info";
    case LogLevel::kWarning:
      return "warning";
    case LogLevel::kError:
      return "error";
  }
  return "unknown";
}

void write_to_stderr(const LogEvent& event) {
  const std::string line =
      std::string("persisting: ") + level_name(event.level) + ": " + event.message + "\n";
  std::fwrite(line.data(), 1, line.size(), stderr);
}

struct SinkHolder {
  std::mutex mutex;
  std::shared_ptr<const LogSink> sink = std::make_shared<const LogSink>(write_to_stderr);

  SinkHolder() {
    // A child must not inherit the mutex locked by a thread that it does not have.
    ::pthread_atfork([] { instance().mutex.lock(); }, [] { instance().mutex.unlock(); },
                     [] { instance().mutex.unlock(); });
  }
  // Never destroyed: the pools' threads may log until the process ends.
  static SinkHolder& instance() {
    static SinkHolder& holder = *new SinkHolder();
    return holder;
  }
};

}  // namespace

void set_log_sink(LogSink sink) {
  auto replacement = std::make_shared<const LogSink>(std::move(sink));
  SinkHolder& holder = SinkHolder::instance();
  // Swapped, so that the old sink is destroyed without the lock.
  const std::lock_guard guard(holder.mutex);
  holder.sink.swap(replacement);
}

void log(LogLevel level, std::string message) {
  SinkHolder& holder = SinkHolder::instance();
  std::shared_ptr<const LogSink> sink;
  {
    const std::lock_guard guard(holder.mutex);
    sink = holder.sink;
  }
  if (*sink) (*sink)(LogEvent{level, std::move(message)});
}

}  // namespace persisting
