#pragma once

#include <cstdint>
#include <string>

namespace persisting {

// While it lives, what this thread logs is of that bucket, unless it names another. Nests.
class LogContext {
 public:
  LogContext(std::string topic, std::uint32_t bucket_id);
  ~LogContext();
  LogContext(const LogContext&) = delete;
  LogContext& operator=(const LogContext&) = delete;

  // Of the calling thread; null: none.
  static const LogContext* current();

  const std::string& topic() const { return topic_; }
  std::uint32_t bucket_id() const { return bucket_id_; }

 private:
  const std::string topic_;
  const std::uint32_t bucket_id_;
  const LogContext* const outer_;
};

}  // namespace persisting
