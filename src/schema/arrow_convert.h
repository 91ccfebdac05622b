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
// | number          | of the same name     | bfloat16: extension lance.bfloat16 on two bytes;       |
// |                 |                      | complex: fixed-size list of two                        |
// | tensor          | fixed-size list      | beyond one dimension arrow.fixed_shape_tensor; without |
// |                 |                      | fixed shape or elements a struct of data and shape     |
// | decimal         | decimal128(38, s)    |                                                        |
// | uuid            | arrow.uuid           |                                                        |
// | map             | map<utf8, …>         |                                                        |
// | json            | utf8                 |                                                        |
//
// What Arrow's own type does not tell stands in the column's metadata "persisting:type", as type_text.h has it.
//
// Threads: ArrowBatchBuilder is thread-compatible; the rest are free functions.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <nanoarrow/nanoarrow.hpp>

#include "persisting/record.h"
#include "persisting/record_page.h"

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

// A struct type of all fields, those still undecided as null: what get_arrow() gives.
Status to_arrow_fields(const Schema& schema, ArrowSchema* out);

// Our schema of a table; system columns left out. Columns of types that no record can hold (added by
// other tools) are left out as well and named in `ignored`. kCorruption where it is no table's
// schema. Integers come without has_inexact_integers, decimals without whole_digits: the table does not tell.
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

// Whether rows begin with _offset and _ts, as a table's do. Those that do not are of type to_arrow_fields().
enum class SystemColumns : std::uint8_t { kWith, kWithout };

// Builds one Arrow struct array of rows.
class ArrowBatchBuilder {
 public:
  // One column being built, and its buffers; all null where a field has none.
  struct Column {
    ArrowArray* array = nullptr;
    ArrowBitmap* validity = nullptr;
    ArrowBuffer* second = nullptr;  // values, or the ends of texts
    ArrowBuffer* third = nullptr;   // the bytes of texts
  };

  static Result<ArrowBatchBuilder> make(SchemaPtr schema,
                                        SystemColumns system = SystemColumns::kWith);

  // Adds one record in the normalized form of the schema. kInvalidArgument where a column would
  // outgrow its 32-bit offsets (2 GiB of text, 2^31 list elements); after a failure the builder can
  // only be destroyed.
  Status append(std::uint64_t offset, std::int64_t timestamp_us, std::string_view record);
  // Adds one record that the schema has admitted, as normalize() would bring it; without system columns.
  Status append_admitted(std::string_view record);
  // Makes room for that many more rows; what a row needs beyond its fixed width grows as it comes.
  Status reserve(std::uint64_t rows);
  std::uint64_t rows() const { return rows_; }
  // Hands over the rows so far; the next one begins anew.
  Status finish(ArrowArray* out);

 private:
  ArrowBatchBuilder(SchemaPtr schema, SystemColumns system)
      : schema_(std::move(schema)), system_(system) {}
  Status start();  // where that has not been done yet

  SchemaPtr schema_;
  SystemColumns system_;
  std::vector<Column> columns_;  // in array_, for each field of the schema
  nanoarrow::UniqueSchema arrow_schema_;
  nanoarrow::UniqueArray array_;
  std::string scratch_;
  std::uint64_t rows_ = 0;
};

// Appends the rows of a struct array (schema `arrow`, a table's) to `out` as normalized records of
// `schema`, and checks that _offset counts up from `first_offset`: else kCorruption with both.
// `timestamps`, where given, receives _ts. Columns are found by name; one that is missing, or of type
// null, reads as None or the field's default; values of a narrower type are converted where the schema says so. A column of
// any other type than the schema's is kCorruption, as is text that is not UTF-8. After a failure `out` and `timestamps`
// keep the rows before the bad one.
Status decode_rows(const ArrowSchema& arrow, const ArrowArray& rows, const Schema& schema,
                   std::uint64_t first_offset, RecordBatch* out,
                   std::vector<std::int64_t>* timestamps = nullptr);

// The same rows for a sink: what decode_rows() appends, value by value. Columns and offsets are checked when it is made, values
// when they are given.
// Threads: immutable once made.
class TableRows {
 public:
  // Takes `rows` over.
  static Result<std::unique_ptr<const TableRows>> make(const ArrowSchema& arrow, ArrowArray* rows,
                                                       const Schema& schema,
                                                       std::uint64_t first_offset);
  ~TableRows();
  TableRows(const TableRows&) = delete;
  TableRows& operator=(const TableRows&) = delete;

  std::uint64_t size() const { return static_cast<std::uint64_t>(rows_->length); }
  // False where the sink wants no more. The sink knows the fields.
  Result<bool> write_to(RecordSink& sink) const;

 private:
  struct Paired;
  friend Status decode_rows(const ArrowSchema& arrow, const ArrowArray& rows, const Schema& schema,
                            std::uint64_t first_offset, RecordBatch* out,
                            std::vector<std::int64_t>* timestamps);
  TableRows();

  std::uint64_t first_offset_ = 0;
  nanoarrow::UniqueArray rows_;
  std::unique_ptr<Paired> paired_;
};

// Checks rows of a table as decode_rows() does, but for the values of their fields.
Status check_rows(const ArrowSchema& arrow, const ArrowArray& rows, std::uint64_t first_offset);

// A stream that calls `next` for each array until it gives none. `next` fills the array and returns
// true, or returns false at the end; its error becomes the stream's. `schema` is moved from.
void make_stream(ArrowSchema* schema, std::function<Result<bool>(ArrowArray*)> next,
                 ArrowArrayStream* out);

}  // namespace persisting
