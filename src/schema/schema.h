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
#include <utility>
#include <vector>

#include "persisting/number_type.h"
#include "persisting/result.h"
#include "persisting/schema_change.h"

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
  kNumber = 11,
  kTensor = 12,
  kDecimal = 13,
  kUuid = 14,
  kMap = 15,   // text to values of one type
  kJson = 16,  // whatever JSON can say
};

struct SchemaField;

struct FieldType {
  TypeKind kind = TypeKind::kUndecided;
  // kInt64, and kNumber of uint64: some stored value has no exact double (its magnitude is beyond
  // 2^53), so the column cannot become kDouble.
  bool has_inexact_integers = false;
  // The type was given, not found: values are converted to it where they can be (floats are
  // rounded), and it never changes.
  bool is_declared = false;
  // kString: values of other types are kept as text (schema/canonical_text.h).
  bool takes_anything = false;
  // kNumber; of kTensor's elements.
  NumberType number = NumberType::kFloat64;
  // kTensor. With any shape `shape` is empty.
  bool has_any_shape = false;
  std::vector<std::uint32_t> shape;
  // kDecimal: digits right of the point, and the most that stand left of it. At most 38 together.
  std::uint8_t scale = 0;
  std::uint8_t whole_digits = 0;
  // kList: the element, one unnamed field. kMap: the value, likewise. kStruct: its fields in order of
  // appearance.
  std::vector<SchemaField> children;

  bool operator==(const FieldType&) const = default;
};

struct SchemaField {
  std::string name;
  FieldType type;
  // Only a record's own fields: the normalized value of records that lack it; empty: None.
  std::string default_value = {};
  bool operator==(const SchemaField&) const = default;
};

class Schema {
 public:
  // What a schema is beside its fields.
  struct Extras {
    // Fields that are not in it are refused, or as the policy says.
    bool is_closed = false;
    // How it came to be, oldest first; never null.
    std::shared_ptr<const std::vector<SchemaChange>> history =
        std::make_shared<const std::vector<SchemaChange>>();
  };

  Schema() = default;
  // The names must be unique.
  explicit Schema(std::vector<SchemaField> fields) : Schema(std::move(fields), Extras()) {}
  Schema(std::vector<SchemaField> fields, Extras extras);
  Schema(const Schema& other) : Schema(other.fields_, other.extras_) {}
  Schema& operator=(const Schema& other) { return *this = Schema(other); }
  Schema(Schema&&) = default;
  Schema& operator=(Schema&&) = default;
  ~Schema() = default;

  const std::vector<SchemaField>& fields() const { return fields_; }
  // Index of the field of that name.
  std::optional<std::size_t> find(std::string_view name) const;

  const Extras& extras() const { return extras_; }
  bool is_closed() const { return extras_.is_closed; }
  const std::vector<SchemaChange>& history() const { return *extras_.history; }

  // For the checkpoint: MessagePack, docs/formats.md. kCorruption where the bytes are not such.
  std::string serialize() const;
  static Result<Schema> parse(std::string_view bytes);

  // History left out.
  bool operator==(const Schema& other) const {
    return fields_ == other.fields_ && is_closed() == other.is_closed();
  }

 private:
  std::vector<SchemaField> fields_;
  std::unordered_map<std::string_view, std::size_t>
      index_;  // views into fields_: hence the copy constructor
  Extras extras_;
};

using SchemaPtr = std::shared_ptr<const Schema>;

}  // namespace persisting
