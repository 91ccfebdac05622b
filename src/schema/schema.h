// The schema of a bucket: which fields its records have had, of which types.
// Immutable once made; growing it makes a new one. Readers keep the one they started with.
// Elsewhere: whether a record fits is decided in admission.h, how a reader sees it in normalizer.h.
// Threads: immutable.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "persisting/result.h"

namespace persisting {

enum class TypeKind : std::uint8_t {
  kUndecided = 0,  // only None so far (or, for a list's element, only empty lists)
  kBool = 1,
  kInt64 = 2,
  kDouble = 3,
  kString = 4,
  kBytes = 5,
  kTimestampUtc = 6,
  kTimestampNaive = 7,
  kDate = 8,
  kList = 9,
  kStruct = 10,
};

struct SchemaField;

struct FieldType {
  TypeKind kind = TypeKind::kUndecided;
  // kInt64: some stored value has no exact double (its magnitude is beyond 2^53), so the column
  // cannot become kDouble.
  bool has_inexact_integers = false;
  // kList: the element, one unnamed field. kStruct: its fields in order of appearance.
  std::vector<SchemaField> children;

  bool operator==(const FieldType&) const = default;
};

struct SchemaField {
  std::string name;
  FieldType type;
  bool operator==(const SchemaField&) const = default;
};

class Schema {
 public:
  Schema() = default;
  // The names must be unique.
  explicit Schema(std::vector<SchemaField> fields);
  Schema(const Schema& other) : Schema(other.fields_) {}
  Schema& operator=(const Schema& other) { return *this = Schema(other); }
  Schema(Schema&&) = default;
  Schema& operator=(Schema&&) = default;
  ~Schema() = default;

  const std::vector<SchemaField>& fields() const { return fields_; }
  // Index of the field of that name.
  std::optional<std::size_t> find(std::string_view name) const;

  // For the checkpoint: MessagePack, docs/formats.md. kCorruption where the bytes are not such.
  std::string serialize() const;
  static Result<Schema> parse(std::string_view bytes);

  bool operator==(const Schema& other) const { return fields_ == other.fields_; }

 private:
  std::vector<SchemaField> fields_;
  std::unordered_map<std::string_view, std::size_t>
      index_;  // views into fields_: hence the copy constructor
};

using SchemaPtr = std::shared_ptr<const Schema>;

// The type as a person reads it: "int64", "list<struct<x: double>>".
std::string describe(const FieldType& type);

}  // namespace persisting
