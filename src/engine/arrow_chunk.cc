#include "engine/arrow_chunk.h"

#include "schema/normalizer.h"

namespace persisting {

Result<std::shared_ptr<ArrowRows>> ArrowChunk::decode(
    const std::shared_ptr<const std::string>& encoded) {
  PERSISTING_ASSIGN_OR_RETURN(DecodedIpc decoded, decode_ipc(*encoded, encoded));
  PERSISTING_ASSIGN_OR_RETURN(ArrowRows rows, ArrowRows::make(std::move(decoded)));
  return std::make_shared<ArrowRows>(std::move(rows));
}

Status read_slice(const TailSlice& slice, const Schema& schema, RecordBatch* out) {
  const RecordChunk* records = slice.chunk->records();
  if (records == nullptr) {
    // The engine puts no third kind into its tail.
    const auto& chunk = static_cast<const ArrowChunk&>(*slice.chunk);
    return chunk.rows().read(slice.first, slice.count, schema, out);
  }
  out->reserve(out->size() + slice.count, out->byte_size() + slice.byte_size());
  for (std::size_t i = slice.first; i < slice.first + slice.count; ++i)
    normalize(schema, records->record(i), out);
  return ok_status();
}

Result<bool> write_slice(const TailSlice& slice, const Schema& schema, RecordSink& sink) {
  const RecordChunk* records = slice.chunk->records();
  if (records == nullptr) {
    const auto& chunk = static_cast<const ArrowChunk&>(*slice.chunk);
    return chunk.rows().write_to(slice.first, slice.count, schema, sink);
  }
  std::string scratch;
  for (std::size_t i = slice.first; i < slice.first + slice.count; ++i) {
    sink.begin_record();
    normalize(schema, records->record(i), sink, scratch);
    if (!sink.end_record()) return false;
  }
  return true;
}

}  // namespace persisting
