// Rows as one self-contained Arrow IPC stream, and back: a schema message, one record batch, the
// end of the stream. Any Arrow library reads and writes the same.
// Guarantee: what is encoded decodes to the same schema (names, types, nullability, metadata of
//            columns and table) and the same values. Decoding stays inside its bytes, whatever they
//            are, and what it hands out may be used without another check, but for text being
//            UTF-8.
// Failure:   of the types, unions, dictionaries, views and run-end encoding are kUnsupported, as is
//            nesting deeper than a record's; the message names the column.
// Threads:   free functions. What is decoded may be released on any thread.
// Elsewhere: which of these columns a record can hold: arrow_convert.h.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include <nanoarrow/nanoarrow.hpp>

#include "persisting/result.h"

namespace persisting {

// `rows` is a struct array of type `schema`, none of them null, and may be a slice at any level:
// only what it spans is written. The values are copied once. kInvalidArgument where `rows` is
// malformed, as far as one can see without knowing how large its buffers are: nothing is written
// that would not decode.
Result<std::string> encode_ipc(const ArrowSchema& schema, const ArrowArray& rows);

struct DecodedIpc {
  nanoarrow::UniqueSchema schema;
  nanoarrow::UniqueArray rows;
};

// Decodes `bytes`, all of them, without a copy of the values: the buffers of the array lie inside
// `bytes`, and each keeps `owner` alive until it is released, also when it has been moved into
// another array. `bytes` must begin at a multiple of 8, else kInvalidArgument. kCorruption where
// they are not one such stream; kUnsupported where they are one with a compressed body, or of
// another byte order.
Result<DecodedIpc> decode_ipc(std::string_view bytes, std::shared_ptr<const void> owner);

}  // namespace persisting
