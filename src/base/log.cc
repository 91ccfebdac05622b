#include "persisting/log.h"

#include <cstdio>
#include <memory>
#include <mutex>
#include <utility>

#include <pthread.h>

#include "base/log_context.h"

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
  if (event.level < LogLevel::kWarning) return;
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

thread_local const LogContext* current_context = nullptr;

}  // namespace

LogContext::LogContext(std::string topic, std::uint32_t bucket_id)
    : topic_(std::move(topic)), bucket_id_(bucket_id), outer_(current_context) {
  current_context = this;
}

LogContext::~LogContext() { current_context = outer_; }

const LogContext* LogContext::current() { return current_context; }

void set_log_sink(LogSink sink) {
  auto replacement = std::make_shared<const LogSink>(std::move(sink));
  SinkHolder& holder = SinkHolder::instance();
  // Swapped, so that the old sink is destroyed without the lock.
  const std::lock_guard guard(holder.mutex);
  holder.sink.swap(replacement);
}

void log(LogLevel level, std::string message) {
  log(LogEvent{level, std::move(message), {}, {}, {}, {}});
}

void log(LogEvent event) {
  if (const LogContext* context = LogContext::current(); context && !event.bucket_id) {
    event.topic = context->topic();
    event.bucket_id = context->bucket_id();
  }
  SinkHolder& holder = SinkHolder::instance();
  std::shared_ptr<const LogSink> sink;
  {
    const std::lock_guard guard(holder.mutex);
    sink = holder.sink;
  }
  if (*sink) (*sink)(event);
}

}  // namespace persisting
