// One step in the history of a bucket's schema.
// Threads: a plain value; thread-compatible.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace persisting {

struct SchemaChange {
  // The values stand in files: never reuse one.
  enum class Kind : std::uint8_t {
    kAdded = 1,     // a new field or member
    kDecided = 2,   // the first value of a field that had only been None, or an empty list
    kWidened = 3,   // a type that holds what came before and more
    kText = 4,      // values of several types, kept as text (policy "stringify")
    kDeclared = 5,  // given when the bucket was opened
    kDefault = 6,   // records that lack the field read as another value from now on
    kRenamed = 7,
    kDropped = 8,
  };

  std::uint64_t offset = 0;  // of the first record under the changed schema
  Kind kind = Kind::kAdded;
  std::string
      field;  // with the names of the structs around it: "action.reward"; its old name where renamed
  std::string before;  // type, default or name; empty: there was none
  std::string after;
  bool operator==(const SchemaChange&) const = default;
};

// "added", "decided", "widened", "text", "declared", "default", "renamed", "dropped".
std::string_view name_of(SchemaChange::Kind kind);

}  // namespace persisting
