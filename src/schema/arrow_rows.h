// Rows in Arrow without system columns: what put_arrow() takes and get_arrow() gives.
// Threads: immutable once made.
#pragma once

#include <cstdint>

#include <nanoarrow/nanoarrow.hpp>

#include "persisting/record.h"
#include "persisting/record_page.h"
#include "persisting/result.h"

#include "schema/arrow_ipc.h"
#include "schema/schema.h"

namespace persisting {

// A struct array with its schema, checked and ready to be read.
class ArrowRows {
 public:
  // Takes both over. kInvalidArgument where the array is malformed, is no struct, or has a null row.
  static Result<ArrowRows> make(ArrowSchema* schema, ArrowArray* rows);
  // The same of what decode_ipc() gave, which has checked all this.
  static Result<ArrowRows> make(DecodedIpc decoded);

  const ArrowSchema& schema() const { return *schema_.get(); }
  const ArrowArray& array() const { return *array_.get(); }
  std::uint64_t size() const { return static_cast<std::uint64_t>(array_->length); }

  // The fields that the rows bring, with what their values tell (integers without a double, digits of decimals).
  // kInvalidArgument where a column has a name or a type that no record can hold, or a value that none can: text that is not
  // UTF-8, a null inside an array, a map's key given twice. The message names the column and what to do.
  Result<Schema> fields() const;

  // Appends rows [first, first + count) as normalized records of `schema`, which must hold them.
  Status read(std::uint64_t first, std::uint64_t count, const Schema& schema,
              RecordBatch* out) const;
  // Gives them to a sink, which knows the fields; false where it wants no more.
  Result<bool> write_to(std::uint64_t first, std::uint64_t count, const Schema& schema,
                        RecordSink& sink) const;

 private:
  // Takes both over and looks at them, checked or not.
  Status view(ArrowSchema* schema, ArrowArray* rows);

  nanoarrow::UniqueSchema schema_;
  nanoarrow::UniqueArray array_;
  nanoarrow::UniqueArrayView view_;
};

}  // namespace persisting
