// Result<T> and Status: how every function of the library reports an expected failure.
// Guarantee: nothing in the library throws for an expected failure; exceptions begin in the bindings.
// Threads:   values, immutable once made.
#pragma once

#include <cassert>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

namespace persisting {

// What the caller can do about a failure. The message says what, where and why.
enum class ErrorCode : std::uint8_t {
  kInvalidArgument,  // the call is wrong: another value is needed (Python: ValueError)
  kWrongType,        // the call passed a value of a wrong type (Python: TypeError)
  kSchema,           // the record does not fit the bucket's schema (Python: SchemaError)
  kIo,               // the operating system refused; reopening may help
  kCorruption,       // stored bytes are not what was written; see the message for file and offset
  kBusy,             // somebody else holds the resource; try again when they let go
  kClosed,           // the object was closed, or poisoned by an earlier failure
  kUnsupported,      // not available in this build or on this platform
  kOutOfRange,       // the requested offset lies below the start of the log
};

// Which part of the store an error comes from; kWal becomes WALError in Python.
enum class Component : std::uint8_t { kGeneral, kWal, kTable };

struct Error {
  ErrorCode code;
  Component component = Component::kGeneral;
  std::string message;
};

// Builds an error of the general component.
inline Error make_error(ErrorCode code, std::string message) {
  return Error{code, Component::kGeneral, std::move(message)};
}

// Puts `context` and a colon before the error's message. Done once, by the layer that knows it.
inline Error with_context(Error error, std::string_view context) {
  error.message = std::string(context) + ": " + error.message;
  return error;
}

// Either a value or an Error. Asking for the one that is not there is a bug and asserts.
template <typename T>
class [[nodiscard]] Result {
 public:
  // Implicit, so that a function returns a value or an error as it is.
  // NOLINTNEXTLINE(google-explicit-constructor)
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  // NOLINTNEXTLINE(google-explicit-constructor)
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}

  bool ok() const { return state_.index() == 0; }
  explicit operator bool() const { return ok(); }

  T& value() & {
    assert(ok());
    return *std::get_if<0>(&state_);
  }
  const T& value() const& {
    assert(ok());
    return *std::get_if<0>(&state_);
  }
  T&& value() && {
    assert(ok());
    return std::move(*std::get_if<0>(&state_));
  }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

  const Error& error() const& {
    assert(!ok());
    return *std::get_if<1>(&state_);
  }
  Error&& error() && {
    assert(!ok());
    return std::move(*std::get_if<1>(&state_));
  }

 private:
  std::variant<T, Error> state_;
};

// The result of a call that returns nothing: success, or an Error.
using Status = Result<std::monostate>;

inline Status ok_status() { return Status(std::monostate{}); }

}  // namespace persisting

// Leaves the enclosing function with the error of `expression` (a Status or Result) if it failed.
#define PERSISTING_RETURN_IF_ERROR(expression)                         \
  do {                                                                 \
    if (auto persisting_status_ = (expression); !persisting_status_) { \
      return std::move(persisting_status_).error();                    \
    }                                                                  \
  } while (false)

// Declares or assigns `target` from a Result, or leaves the enclosing function with its error.
#define PERSISTING_ASSIGN_OR_RETURN(target, expression)                                       \
  PERSISTING_ASSIGN_OR_RETURN_IMPL_(PERSISTING_CONCAT_(persisting_result_, __LINE__), target, \
                                    expression)
#define PERSISTING_CONCAT_(a, b) PERSISTING_CONCAT_INNER_(a, b)
#define PERSISTING_CONCAT_INNER_(a, b) a##b
#define PERSISTING_ASSIGN_OR_RETURN_IMPL_(result, target, expression) \
  auto result = (expression);                                         \
  if (!result) return std::move(result).error();                      \
  target = std::move(result).value()
