// Between encoded records and Arrow: what a flush writes into the table and a reader gets from it.
//
// | schema          | Arrow                | remark                                                 |
// | undecided       | null                 | inside lists and structs; a record's own field of that |
// |                 |                      | type has no column: nothing is lost, and deciding adds |
// |                 |                      | a column where it would otherwise rewrite the table    |
// | bool, int64     | bool, int64          |                                                        |
// | double          | float64              |                                                        |
// | string, bytes   | utf8, binary         | large and view variants where read back                |
// | timestamp utc   | timestamp[us, "UTC"] | any zone where read back                               |
// | timestamp naive | timestamp[us]        |                                                        |
// | date            | date32               |                                                        |
// | list, struct    | list, struct         | large_list where read back; a struct without members   |
// |                 |                      | has one child, empty_struct_member, of type null       |
//
// Threads: ArrowBatchBuilder is thread-compatible; the rest are free functions.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <nanoarrow/nanoarrow.hpp>

#include "persisting/record.h"

#include "base/record_check.h"
#include "schema/schema.h"

namespace persisting {

inline constexpr const char* offset_column = "_offset";
inline constexpr const char* timestamp_column = "_ts";
inline constexpr const char* empty_struct_member = empty_struct_name.data();

// The table's schema for `schema`: the system columns, then its fields but those still undecided.
// All nullable, _offset and _ts too, because Lance compares nullability on append.
Status to_arrow_schema(const Schema& schema, ArrowSchema* out);

// A struct type of the fields alone, as Table::add_columns takes it.
Status to_arrow_columns(const Schema& schema, ArrowSchema* out);

// Our schema of a table; system columns left out. Columns of types that no record can hold (added by
// other tools) are left out as well and named in `ignored`. kCorruption where it is no table's
// schema. Integers come without has_inexact_integers: the table does not tell.
Result<Schema> from_arrow_schema(const ArrowSchema& arrow, std::vector<std::string>* ignored);

// `schema` without the fields that have no column: what from_arrow_schema gives for its table.
Schema columns_of(const Schema& schema);

// How a table's schema has to change to hold `target`, which holds all that the table does (see
// merge()). `table` says what columns there are (see columns_of()): a field it holds undecided counts
// as a column of type null, and deciding it as a rewrite.
struct TableChange {
  enum class Kind : std::uint8_t { kNone, kAddColumns, kRewrite };
  Kind kind = Kind::kNone;
  Schema added;  // kAddColumns: the columns to add, for to_arrow_columns()
};
TableChange plan_change(const Schema& table, const Schema& target);

// Builds one Arrow struct array of rows.
class ArrowBatchBuilder {
 public:
  static Result<ArrowBatchBuilder> make(SchemaPtr schema);

  // Adds one record, which the schema must have admitted. kInvalidArgument where a column would
  // outgrow its 32-bit offsets (2 GiB of text, 2^31 list elements); after a failure the builder can
  // only be destroyed.
  Status append(std::uint64_t offset, std::int64_t timestamp_us, std::string_view record);
  std::uint64_t rows() const { return rows_; }
  // Hands over the rows so far and starts anew.
  Status finish(ArrowArray* out);

 private:
  explicit ArrowBatchBuilder(SchemaPtr schema) : schema_(std::move(schema)) {}
  Status start();

  SchemaPtr schema_;
  // In array_, the column of each field of the schema; null where it has none.
  std::vector<ArrowArray*> columns_;
  nanoarrow::UniqueSchema arrow_schema_;
  nanoarrow::UniqueArray array_;
  std::uint64_t rows_ = 0;
};

// Appends the rows of a struct array (schema `arrow`, a table's) to `out` as normalized records of
// `schema`, and checks that _offset counts up from `first_offset`: else kCorruption with both.
// `timestamps`, where given, receives _ts. Columns are found by name; one that is missing, or of type
// null, reads as None; int64 reads as double where the schema says so. A column of another type than
// the schema's is kCorruption, as is text that is not UTF-8. After a failure `out` and `timestamps`
// keep the rows before the bad one.
Status decode_rows(const ArrowSchema& arrow, const ArrowArray& rows, const Schema& schema,
                   std::uint64_t first_offset, RecordBatch* out,
                   std::vector<std::int64_t>* timestamps = nullptr);

// A stream that calls `next` for each array until it gives none. `next` fills the array and returns
// true, or returns false at the end; its error becomes the stream's. `schema` is moved from.
void make_stream(ArrowSchema* schema, std::function<Result<bool>(ArrowArray*)> next,
                 ArrowArrayStream* out);

}  // namespace persisting
