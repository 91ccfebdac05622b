#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <deque>
#include <vector>

#include <nanoarrow/nanoarrow_ipc.hpp>

#include "base/endian.h"
#include "schema/arrow_ipc.h"
#include "schema/arrow_ipc_types.h"
#include "schema/arrow_type.h"

namespace persisting {
namespace {

constexpr std::string_view action = "writing rows as Arrow IPC";

Error invalid(const std::string& why) {
  return make_error(ErrorCode::kInvalidArgument, "the rows are malformed: " + why);
}

Status encoder_status(int code, const ArrowError& error) {
  if (code == NANOARROW_OK || code == ENOMEM) return nanoarrow_status(code, action);
  return make_error(code == ENOTSUP ? ErrorCode::kUnsupported : ErrorCode::kInvalidArgument,
                    std::string(action) + " failed: " + error.message);
}

// A name may be absent in the C data interface, but nanoarrow's encoder reads every one.
bool has_every_name(const ArrowSchema& schema) {
  for (std::int64_t i = 0; i < schema.n_children; ++i) {
    const ArrowSchema& child = *schema.children[i];
    if (child.name == nullptr || !has_every_name(child)) return false;
  }
  return true;
}

ArrowErrorCode name_all(ArrowSchema* schema) {
  for (std::int64_t i = 0; i < schema->n_children; ++i) {
    ArrowSchema* child = schema->children[i];
    if (child->name == nullptr) NANOARROW_RETURN_NOT_OK(ArrowSchemaSetName(child, ""));
    NANOARROW_RETURN_NOT_OK(name_all(child));
  }
  return NANOARROW_OK;
}

// Cuts a view of rows down to what they span, every offset of it 0, as the format wants it. Buffers
// are pointed into where they can be; bitmaps that begin inside a byte and offsets that do not
// begin at 0 are copied.
class Slicer {
 public:
  Status slice_rows(ArrowArrayView* rows) {
    if (rows->null_count != 0 && rows->buffer_views[0].data.data != nullptr &&
        count_nulls(*rows, rows->offset, rows->length) != 0) {
      return make_error(ErrorCode::kInvalidArgument,
                        "a row is null: the columns may be, but not the row itself");
    }
    // The children of a struct are as its offset counts them; it has none of its own from here on.
    return slice(rows, 0, rows->length);
  }

 private:
  static std::int64_t count_nulls(const ArrowArrayView& view, std::int64_t first,
                                  std::int64_t length) {
    return length - ArrowBitCountSet(view.buffer_views[0].data.as_uint8, first, length);
  }

  // `first` counts as the elements of the array do, its own offset left out.
  Status slice(ArrowArrayView* view, std::int64_t first, std::int64_t length) {
    if (first < 0 || length < 0 || first > view->length - length) {
      return invalid("a list points outside its elements");
    }
    first += view->offset;
    view->offset = 0;
    view->length = length;
    if (view->storage_type == NANOARROW_TYPE_NA) {
      view->null_count = length;
      return ok_status();
    }
    if (length == 0) return empty(view);
    slice_validity(view, first, length);
    switch (view->storage_type) {
      case NANOARROW_TYPE_STRUCT:
        for (std::int64_t i = 0; i < view->n_children; ++i) {
          PERSISTING_RETURN_IF_ERROR(slice(view->children[i], first, length));
        }
        return ok_status();
      case NANOARROW_TYPE_FIXED_SIZE_LIST: {
        const std::int64_t size = view->layout.child_size_elements;
        return slice(view->children[0], first * size, length * size);
      }
      case NANOARROW_TYPE_LIST:
      case NANOARROW_TYPE_MAP:
      case NANOARROW_TYPE_STRING:
      case NANOARROW_TYPE_BINARY:
        return slice_variable<std::int32_t>(view, first, length);
      case NANOARROW_TYPE_LARGE_LIST:
      case NANOARROW_TYPE_LARGE_STRING:
      case NANOARROW_TYPE_LARGE_BINARY:
        return slice_variable<std::int64_t>(view, first, length);
      case NANOARROW_TYPE_BOOL:
        slice_bits(&view->buffer_views[1], first, length);
        return ok_status();
      default: {
        const std::int64_t bytes = view->layout.element_size_bits[1] / 8;
        view->buffer_views[1].data.as_uint8 += first * bytes;
        view->buffer_views[1].size_bytes = length * bytes;
        return ok_status();
      }
    }
  }

  Status empty(ArrowArrayView* view) {
    view->null_count = 0;
    for (ArrowBufferView& buffer : view->buffer_views) buffer = {{nullptr}, 0};
    for (std::int64_t i = 0; i < view->n_children; ++i) {
      PERSISTING_RETURN_IF_ERROR(slice(view->children[i], 0, 0));
    }
    return ok_status();
  }

  // The number of nulls is counted even where the array has one: a wrong one would not decode.
  void slice_validity(ArrowArrayView* view, std::int64_t first, std::int64_t length) {
    ArrowBufferView& bits = view->buffer_views[0];
    const bool has_bits = view->null_count != 0 && bits.data.data != nullptr;
    view->null_count = has_bits ? count_nulls(*view, first, length) : 0;
    if (view->null_count == 0) {
      bits = {{nullptr}, 0};
    } else {
      slice_bits(&bits, first, length);
    }
  }

  void slice_bits(ArrowBufferView* bits, std::int64_t first, std::int64_t length) {
    const std::uint8_t* from = bits->data.as_uint8 + first / 8;
    const int shift = static_cast<int>(first % 8);
    bits->data.as_uint8 = from;
    bits->size_bytes = _ArrowBytesForBits(length);
    if (shift == 0) return;
    // The last byte of the source is read only where it has one of the bits.
    const std::int64_t source_bytes = _ArrowBytesForBits(shift + length);
    std::uint8_t* to = allocate(bits->size_bytes);
    for (std::int64_t i = 0; i < bits->size_bytes; ++i) {
      const unsigned next = i + 1 < source_bytes ? from[i + 1] : 0U;
      to[i] = static_cast<std::uint8_t>((from[i] | (next << 8U)) >> shift);
    }
    bits->data.as_uint8 = to;
  }

  // Lists, text and bytes, whose offsets are of type T.
  template <typename T>
  Status slice_variable(ArrowArrayView* view, std::int64_t first, std::int64_t length) {
    const auto count = static_cast<std::size_t>(length) + 1;
    ArrowBufferView& offsets = view->buffer_views[1];
    const T* from = static_cast<const T*>(offsets.data.data) + first;
    const T begin = from[0];
    const T end = from[length];
    if (begin < 0 || end < begin) return invalid("its offsets do not increase");
    offsets = {{from}, static_cast<std::int64_t>(count * sizeof(T))};
    if (begin != 0) {
      auto* to = reinterpret_cast<T*>(allocate(offsets.size_bytes));
      // Offsets in between may lie anywhere; the validation that follows sees that they do.
      std::transform(from, from + count, to, [begin](T offset) {
        return static_cast<T>(static_cast<std::uint64_t>(offset) -
                              static_cast<std::uint64_t>(begin));
      });
      offsets.data.data = to;
    }
    if (view->n_children == 1) return slice(view->children[0], begin, end - begin);
    view->buffer_views[2].data.as_uint8 += begin;
    view->buffer_views[2].size_bytes = end - begin;
    return ok_status();
  }

  std::uint8_t* allocate(std::int64_t bytes) {
    auto& words = copies_.emplace_back(static_cast<std::size_t>(bytes + 7) / 8);
    return reinterpret_cast<std::uint8_t*>(words.data());
  }

  std::deque<std::vector<std::uint64_t>> copies_;
};

// What of a batch decides how large its message is.
struct BatchSize {
  std::int64_t nodes = 0;
  std::int64_t buffers = 0;
  std::int64_t body_bytes = 0;
};

void measure(const ArrowArrayView& parent, BatchSize* size) {
  for (std::int64_t i = 0; i < parent.n_children; ++i) {
    const ArrowArrayView& child = *parent.children[i];
    ++size->nodes;
    size->buffers += child.array->n_buffers;
    for (std::int64_t b = 0; b < child.array->n_buffers; ++b) {
      size->body_bytes += _ArrowRoundUpToMultipleOf8(child.buffer_views[b].size_bytes);
    }
    measure(child, size);
  }
}

constexpr std::int64_t prefix_bytes = 8;

void write_prefix(char* to, std::int64_t header_bytes) {
  const std::int32_t prefix[] = {-1, static_cast<std::int32_t>(header_bytes)};
  std::memcpy(to, prefix, sizeof(prefix));
}

// A schema message alone.
Status encode_schema(ArrowIpcEncoder* encoder, const ArrowSchema& schema, ArrowBuffer* message) {
  ArrowError error;
  ArrowErrorInit(&error);
  PERSISTING_RETURN_IF_ERROR(
      encoder_status(ArrowIpcEncoderEncodeSchema(encoder, &schema, &error), error));
  return nanoarrow_status(ArrowIpcEncoderFinalizeBuffer(encoder, 1, message), action);
}

// Behind the schema's message, the batch's and the end. nanoarrow makes the header once the body is
// written, and appends both to buffers of its own. So that the values are copied once, its body
// buffer is a part of the string, and room is left for the header, which may be padded.
Result<std::string> encode_batch(ArrowIpcEncoder* encoder, const ArrowBuffer& schema_message,
                                 const ArrowArrayView& rows) {
  BatchSize size;
  measure(rows, &size);
  // A node and a buffer are two numbers of 8 bytes each; the rest of the tables takes about 150.
  const std::int64_t header_room = 16 * (size.nodes + size.buffers) + 256;
  const std::int64_t header_at = schema_message.size_bytes + prefix_bytes;
  const std::int64_t body_at = header_at + header_room;
  const std::int64_t end_at = body_at + size.body_bytes;
  if (header_room > INT32_MAX - prefix_bytes) {
    return make_error(ErrorCode::kUnsupported, "there are too many columns for one message");
  }
  std::string stream;
  stream.reserve(static_cast<std::size_t>(end_at + prefix_bytes));
  stream.append(reinterpret_cast<const char*>(schema_message.data),
                static_cast<std::size_t>(schema_message.size_bytes));
  stream.resize(static_cast<std::size_t>(end_at + prefix_bytes));

  nanoarrow::UniqueBuffer body;
  body->data = reinterpret_cast<std::uint8_t*>(stream.data() + body_at);
  body->capacity_bytes = size.body_bytes;
  body->allocator =
      ArrowBufferDeallocator([](ArrowBufferAllocator*, std::uint8_t*, std::int64_t) {}, nullptr);
  ArrowError error;
  ArrowErrorInit(&error);
  PERSISTING_RETURN_IF_ERROR(encoder_status(
      ArrowIpcEncoderEncodeSimpleRecordBatch(encoder, &rows, body.get(), &error), error));
  nanoarrow::UniqueBuffer header;
  PERSISTING_RETURN_IF_ERROR(
      nanoarrow_status(ArrowIpcEncoderFinalizeBuffer(encoder, 0, header.get()), action));
  if (header->size_bytes > header_room || body->size_bytes != size.body_bytes) {
    return make_error(ErrorCode::kIo, std::string(action) + " failed: it is larger than foreseen");
  }
  write_prefix(stream.data() + schema_message.size_bytes, header_room);
  std::memcpy(stream.data() + header_at, header->data,
              static_cast<std::size_t>(header->size_bytes));
  write_prefix(stream.data() + end_at, 0);
  return stream;
}

}  // namespace

Result<std::string> encode_ipc(const ArrowSchema& schema, const ArrowArray& rows) {
  if (schema.format == nullptr || std::strcmp(schema.format, "+s") != 0) {
    return make_error(ErrorCode::kInvalidArgument, "rows must be structs, one member a column");
  }
  PERSISTING_RETURN_IF_ERROR(check_ipc_types(schema));
  nanoarrow::UniqueSchema named;
  const ArrowSchema* with_names = &schema;
  if (!has_every_name(schema)) {
    PERSISTING_RETURN_IF_ERROR(nanoarrow_status(ArrowSchemaDeepCopy(&schema, named.get()), action));
    PERSISTING_RETURN_IF_ERROR(nanoarrow_status(name_all(named.get()), action));
    with_names = named.get();
  }

  ArrowError error;
  ArrowErrorInit(&error);
  nanoarrow::UniqueArrayView view;
  if (ArrowArrayViewInitFromSchema(view.get(), &schema, &error) != NANOARROW_OK ||
      ArrowArrayViewSetArray(view.get(), &rows, &error) != NANOARROW_OK) {
    return invalid(ArrowErrorMessage(&error));
  }
  Slicer slicer;
  PERSISTING_RETURN_IF_ERROR(slicer.slice_rows(view.get()));
  if (ArrowArrayViewValidate(view.get(), NANOARROW_VALIDATION_LEVEL_FULL, &error) != NANOARROW_OK) {
    return invalid(ArrowErrorMessage(&error));
  }

  nanoarrow::ipc::UniqueEncoder encoder;
  PERSISTING_RETURN_IF_ERROR(nanoarrow_status(ArrowIpcEncoderInit(encoder.get()), action));
  nanoarrow::UniqueBuffer schema_message;
  PERSISTING_RETURN_IF_ERROR(encode_schema(encoder.get(), *with_names, schema_message.get()));
  return encode_batch(encoder.get(), *schema_message.get(), *view.get());
}

}  // namespace persisting
