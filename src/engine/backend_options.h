// Reads a backend's options by name: checks types and ranges, remembers which names it knows, and warns about others.
// Threads: thread-compatible; used within one open().
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "persisting/storage_backend.h"

namespace persisting {

class OptionReader {
 public:
  OptionReader(std::string backend, const OptionMap& options)
      : backend_(std::move(backend)), options_(options) {}

  const std::string& backend() const { return backend_; }

  // Each gives the option, or `fallback` where it is absent or None. kWrongType or kInvalidArgument name option, type and
  // what is wanted.
  Result<bool> boolean(const std::string& name, bool fallback);
  Result<std::uint64_t> integer(const std::string& name, std::uint64_t fallback,
                                std::uint64_t least);
  Result<std::chrono::microseconds> seconds(const std::string& name,
                                            std::chrono::microseconds fallback);
  Result<std::string> text(const std::string& name, std::string fallback);
  Result<std::optional<Struct>> members(const std::string& name);

  // Logs a warning for each option that no call has asked for, naming the nearest known one.
  void warn_about_unknown() const;

 private:
  const Value* find(const std::string& name);
  Error wrong_type(const std::string& name, const char* wanted, const Value& got) const;

  const std::string backend_;
  const OptionMap& options_;
  std::vector<std::string> known_;
};

}  // namespace persisting
