#include <cerrno>
#include <cstdint>
#include <utility>

#include <flatcc_names.h>
#include <nanoarrow/nanoarrow_ipc.hpp>

#include "base/endian.h"
#include "schema/arrow_ipc.h"
#include "schema/arrow_ipc_types.h"
#include "schema/arrow_type.h"
// Declares what the header before renames.
#include <flatcc/flatcc_verifier.h>

// flatcc's verifier follows every reference. A forged message that refers to the same field from
// many places, and so on at each level, is small and would keep it busy for ever. What a writer
// makes refers to each field and pair of metadata once, so that it has fewer of them than bytes.
// Each has a string, possibly absent, whose check is where we count.
namespace persisting {
namespace {

thread_local std::int64_t strings_left;

int verify_counted_string(flatcc_table_verifier_descriptor_t* table, flatbuffers_voffset_t field,
                          int required) {
  if (--strings_left < 0) return flatcc_verify_error_max_nesting_level_reached;
  return flatcc_verify_string_field(table, field, required);
}

}  // namespace
}  // namespace persisting

#undef flatcc_verify_string_field
#define flatcc_verify_string_field persisting::verify_counted_string  // NOLINT
#include <nanoarrow/ipc/flatcc_generated.h>

// The name of a function or type of Arrow's flatbuffers.
#define FLATBUF(name) org_apache_arrow_flatbuf_##name

namespace persisting {
namespace {

constexpr std::string_view action = "reading rows from Arrow IPC";
constexpr std::size_t alignment = 8;

Error corruption(const std::string& what) {
  return make_error(ErrorCode::kCorruption, "the Arrow IPC stream is damaged: " + what);
}

Error unsupported(const std::string& what) {
  return make_error(ErrorCode::kUnsupported, "the Arrow IPC stream " + what);
}

Status decoder_status(int code, const ArrowError& error) {
  if (code == NANOARROW_OK || code == ENOMEM) return nanoarrow_status(code, action);
  if (code == ENOTSUP) return unsupported(std::string("is of another kind: ") + error.message);
  return corruption(error.message);
}

struct Message {
  std::string_view whole;  // with its prefix, without its body
  FLATBUF(Message_table_t) table = nullptr;
  std::string_view body;
};

// Takes messages off the front of a stream.
class MessageReader {
 public:
  explicit MessageReader(std::string_view stream) : rest_(stream) {}

  // A message of type `type`, verified as a flatbuffer, its body within the stream.
  Result<Message> next(FLATBUF(MessageHeader_union_type_t) type) {
    PERSISTING_ASSIGN_OR_RETURN(const std::size_t header_bytes, header_size());
    if (header_bytes == 0) return corruption("it ends early");
    Message message;
    message.whole = rest_.substr(0, prefix_bytes + header_bytes);
    const char* header = message.whole.data() + prefix_bytes;
    strings_left = static_cast<std::int64_t>(header_bytes);
    const int verified = FLATBUF(Message_verify_as_root)(header, header_bytes);
    if (verified != flatcc_verify_ok) return corruption(flatcc_verify_error_string(verified));
    message.table = FLATBUF(Message_as_root)(header);
    if (FLATBUF(Message_version)(message.table) != FLATBUF(MetadataVersion_V5)) {
      return unsupported("is of another version than 5");
    }
    const auto found = FLATBUF(Message_header_type)(message.table);
    if (found == FLATBUF(MessageHeader_DictionaryBatch)) return unsupported("has a dictionary");
    if (found != type || FLATBUF(Message_header)(message.table) == nullptr) {
      return corruption("a message is of another type than its place asks for");
    }
    rest_.remove_prefix(message.whole.size());
    const std::int64_t body_bytes = FLATBUF(Message_bodyLength)(message.table);
    if (body_bytes < 0 || static_cast<std::uint64_t>(body_bytes) > rest_.size() ||
        body_bytes % static_cast<std::int64_t>(alignment) != 0) {
      return corruption("a message has " + std::to_string(body_bytes) + " bytes of values, " +
                        std::to_string(rest_.size()) + " are left");
    }
    message.body = rest_.substr(0, static_cast<std::size_t>(body_bytes));
    rest_.remove_prefix(message.body.size());
    return message;
  }

  Status end() {
    PERSISTING_ASSIGN_OR_RETURN(const std::size_t header_bytes, header_size());
    if (header_bytes != 0) return corruption("it goes on behind its rows");
    rest_.remove_prefix(prefix_bytes);
    if (!rest_.empty()) {
      return corruption(std::to_string(rest_.size()) + " bytes stand behind its end");
    }
    return ok_status();
  }

 private:
  static constexpr std::size_t prefix_bytes = 8;

  // Of the message that follows; 0 at the end of the stream.
  Result<std::size_t> header_size() const {
    if (rest_.size() < prefix_bytes) return corruption("it ends early");
    const auto size = load_little_endian<std::int32_t>(rest_.data() + 4);
    // nanoarrow adds the prefix to a size, as an int32_t.
    if (load_little_endian<std::int32_t>(rest_.data()) != -1 || size < 0 ||
        size > INT32_MAX - static_cast<std::int32_t>(prefix_bytes) ||
        static_cast<std::size_t>(size) > rest_.size() - prefix_bytes ||
        static_cast<std::size_t>(size) % alignment != 0) {
      return corruption("a message has no valid beginning");
    }
    return static_cast<std::size_t>(size);
  }

  std::string_view rest_;
};

// What the verifier leaves open and nanoarrow's decoder relies on: that everything is there. Also
// that no field, name or metadata is referred to so often that the schema gets larger than its
// message.
class SchemaCheck {
 public:
  explicit SchemaCheck(std::size_t message_bytes) : bytes_left_(message_bytes) {}

  Status check(FLATBUF(Schema_table_t) schema) {
    if (FLATBUF(Schema_endianness)(schema) != FLATBUF(Endianness_Little)) {
      return unsupported("is of another byte order");
    }
    PERSISTING_RETURN_IF_ERROR(check_metadata(FLATBUF(Schema_custom_metadata)(schema)));
    return check_fields(FLATBUF(Schema_fields)(schema), max_ipc_nesting + 1);
  }

 private:
  static constexpr std::size_t table_bytes = 4;

  Status check_fields(FLATBUF(Field_vec_t) fields, int levels) {
    const std::size_t count = FLATBUF(Field_vec_len)(fields);
    if (count != 0 && levels == 0) return unsupported("nests too deep");
    for (std::size_t i = 0; i < count; ++i) {
      FLATBUF(Field_table_t) field = FLATBUF(Field_vec_at)(fields, i);
      PERSISTING_RETURN_IF_ERROR(spend(table_bytes));
      const flatbuffers_string_t name = FLATBUF(Field_name)(field);
      if (name != nullptr) PERSISTING_RETURN_IF_ERROR(spend(flatbuffers_string_len(name)));
      if (FLATBUF(Field_dictionary)(field) != nullptr) return unsupported("has a dictionary");
      if (FLATBUF(Field_type)(field) == nullptr) return corruption("a column has no type");
      PERSISTING_RETURN_IF_ERROR(check_timezone(field));
      PERSISTING_RETURN_IF_ERROR(check_metadata(FLATBUF(Field_custom_metadata)(field)));
      PERSISTING_RETURN_IF_ERROR(check_fields(FLATBUF(Field_children)(field), levels - 1));
    }
    return ok_status();
  }

  Status check_timezone(FLATBUF(Field_table_t) field) {
    if (FLATBUF(Field_type_type)(field) != FLATBUF(Type_Timestamp)) return ok_status();
    const flatbuffers_string_t zone = FLATBUF(Timestamp_timezone)(
        static_cast<FLATBUF(Timestamp_table_t)>(FLATBUF(Field_type)(field)));
    return zone == nullptr ? ok_status() : spend(flatbuffers_string_len(zone));
  }

  Status check_metadata(FLATBUF(KeyValue_vec_t) pairs) {
    for (std::size_t i = 0; i < FLATBUF(KeyValue_vec_len)(pairs); ++i) {
      FLATBUF(KeyValue_table_t) pair = FLATBUF(KeyValue_vec_at)(pairs, i);
      const flatbuffers_string_t key = FLATBUF(KeyValue_key)(pair);
      const flatbuffers_string_t value = FLATBUF(KeyValue_value)(pair);
      if (key == nullptr || value == nullptr) return corruption("metadata lacks its key or value");
      PERSISTING_RETURN_IF_ERROR(spend(table_bytes));
      PERSISTING_RETURN_IF_ERROR(spend(flatbuffers_string_len(key)));
      PERSISTING_RETURN_IF_ERROR(spend(flatbuffers_string_len(value)));
    }
    return ok_status();
  }

  Status spend(std::size_t bytes) {
    if (bytes > bytes_left_) return corruption("its schema repeats parts of itself");
    bytes_left_ -= bytes;
    return ok_status();
  }

  std::size_t bytes_left_;
};

ArrowStringView view_of(flatbuffers_string_t text) {
  return {text, static_cast<std::int64_t>(flatbuffers_string_len(text))};
}

ArrowErrorCode set_metadata(FLATBUF(KeyValue_vec_t) pairs, ArrowSchema* out) {
  const std::size_t count = FLATBUF(KeyValue_vec_len)(pairs);
  if (count == 0) return NANOARROW_OK;
  nanoarrow::UniqueBuffer metadata;
  NANOARROW_RETURN_NOT_OK(ArrowMetadataBuilderInit(metadata.get(), nullptr));
  for (std::size_t i = 0; i < count; ++i) {
    FLATBUF(KeyValue_table_t) pair = FLATBUF(KeyValue_vec_at)(pairs, i);
    NANOARROW_RETURN_NOT_OK(ArrowMetadataBuilderAppend(metadata.get(),
                                                       view_of(FLATBUF(KeyValue_key)(pair)),
                                                       view_of(FLATBUF(KeyValue_value)(pair))));
  }
  return ArrowSchemaSetMetadata(out, reinterpret_cast<const char*>(metadata->data));
}

// nanoarrow ends metadata at its first zero byte; extension types have some with such bytes in it.
ArrowErrorCode set_all_metadata(FLATBUF(Field_vec_t) fields, ArrowSchema* parent) {
  for (std::int64_t i = 0; i < parent->n_children; ++i) {
    FLATBUF(Field_table_t) field = FLATBUF(Field_vec_at)(fields, static_cast<std::size_t>(i));
    ArrowSchema* child = parent->children[i];
    NANOARROW_RETURN_NOT_OK(set_metadata(FLATBUF(Field_custom_metadata)(field), child));
    NANOARROW_RETURN_NOT_OK(set_all_metadata(FLATBUF(Field_children)(field), child));
  }
  return NANOARROW_OK;
}

Status read_schema(const Message& message, ArrowSchema* out) {
  const auto schema = static_cast<FLATBUF(Schema_table_t)>(FLATBUF(Message_header)(message.table));
  PERSISTING_RETURN_IF_ERROR(SchemaCheck(message.whole.size()).check(schema));
  nanoarrow::ipc::UniqueDecoder decoder;
  PERSISTING_RETURN_IF_ERROR(nanoarrow_status(ArrowIpcDecoderInit(decoder.get()), action));
  const ArrowBufferView header = {{message.whole.data()},
                                  static_cast<std::int64_t>(message.whole.size())};
  ArrowError error;
  ArrowErrorInit(&error);
  PERSISTING_RETURN_IF_ERROR(
      decoder_status(ArrowIpcDecoderDecodeHeader(decoder.get(), header, &error), error));
  PERSISTING_RETURN_IF_ERROR(
      decoder_status(ArrowIpcDecoderDecodeSchema(decoder.get(), out, &error), error));
  PERSISTING_RETURN_IF_ERROR(
      nanoarrow_status(set_metadata(FLATBUF(Schema_custom_metadata)(schema), out), action));
  PERSISTING_RETURN_IF_ERROR(
      nanoarrow_status(set_all_metadata(FLATBUF(Schema_fields)(schema), out), action));
  Status supported = check_ipc_types(*out);
  if (!supported && supported.error().code == ErrorCode::kInvalidArgument) {
    return corruption(supported.error().message);
  }
  return supported;
}

// Points the buffers of an array into a message's body. nanoarrow's own decoder takes the message's
// word for lengths and sizes, negative ones too.
class BodyReader {
 public:
  BodyReader(FLATBUF(RecordBatch_table_t) batch, std::string_view body,
             std::shared_ptr<const void> owner)
      : nodes_(FLATBUF(RecordBatch_nodes)(batch)),
        buffers_(FLATBUF(RecordBatch_buffers)(batch)),
        body_(body),
        owner_(std::move(owner)) {}

  Status read_children(ArrowArrayView* view, ArrowArray* array) {
    for (std::int64_t i = 0; i < view->n_children; ++i) {
      PERSISTING_RETURN_IF_ERROR(read(view->children[i], array->children[i]));
    }
    return ok_status();
  }
  bool at_end() const {
    return node_ == FLATBUF(FieldNode_vec_len)(nodes_) &&
           buffer_ == FLATBUF(Buffer_vec_len)(buffers_);
  }

 private:
  Status read(ArrowArrayView* view, ArrowArray* array) {
    if (node_ == FLATBUF(FieldNode_vec_len)(nodes_)) return corruption("a column is missing");
    const FLATBUF(FieldNode_struct_t) node = FLATBUF(FieldNode_vec_at)(nodes_, node_++);
    view->length = FLATBUF(FieldNode_length)(node);
    view->null_count = FLATBUF(FieldNode_null_count)(node);
    if (view->null_count < 0 || view->null_count > view->length || !can_size(*view)) {
      return corruption("a column has " + std::to_string(view->null_count) + " nulls of " +
                        std::to_string(view->length));
    }
    array->length = view->length;
    array->null_count = view->null_count;
    for (int i = 0; i < NANOARROW_MAX_FIXED_BUFFERS; ++i) {
      if (view->layout.buffer_type[i] == NANOARROW_BUFFER_TYPE_NONE) break;
      PERSISTING_RETURN_IF_ERROR(read_buffer(i, view, array));
    }
    return read_children(view, array);
  }

  // Whether nanoarrow can calculate how large the buffers and children must be: it multiplies.
  static bool can_size(const ArrowArrayView& view) {
    constexpr std::int64_t most = std::int64_t{1} << 60;
    std::int64_t product = 0;
    const auto fits = [&](std::int64_t factor) {
      return factor >= 0 && !__builtin_mul_overflow(view.length + 1, factor, &product) &&
             product <= most;
    };
    if (view.length >= most || !fits(view.layout.child_size_elements)) return false;
    for (const std::int64_t bits : view.layout.element_size_bits) {
      if (!fits(bits)) return false;
    }
    return true;
  }

  Status read_buffer(int i, ArrowArrayView* view, ArrowArray* array) {
    if (buffer_ == FLATBUF(Buffer_vec_len)(buffers_)) return corruption("a buffer is missing");
    const FLATBUF(Buffer_struct_t) place = FLATBUF(Buffer_vec_at)(buffers_, buffer_++);
    const auto offset = static_cast<std::uint64_t>(FLATBUF(Buffer_offset)(place));
    const auto length = static_cast<std::uint64_t>(FLATBUF(Buffer_length)(place));
    if (offset % alignment != 0 || offset > body_.size() || length > body_.size() - offset) {
      return corruption("a buffer lies outside its message");
    }
    view->buffer_views[i] = {{nullptr}, 0};
    if (length == 0) return ok_status();
    const auto* data = reinterpret_cast<const std::uint8_t*>(body_.data()) + offset;
    view->buffer_views[i] = {{data}, static_cast<std::int64_t>(length)};
    nanoarrow::UniqueBuffer buffer;
    nanoarrow::BufferInitWrapped(buffer.get(), owner_, data, static_cast<std::int64_t>(length));
    return nanoarrow_status(ArrowArraySetBuffer(array, i, buffer.get()), action);
  }

  const FLATBUF(FieldNode_vec_t) nodes_;
  const FLATBUF(Buffer_vec_t) buffers_;
  const std::string_view body_;
  const std::shared_ptr<const void> owner_;
  std::size_t node_ = 0;
  std::size_t buffer_ = 0;
};

// Whether each column has as many nulls as it says.
bool has_right_null_counts(const ArrowArrayView& view) {
  for (std::int64_t i = 0; i < view.n_children; ++i) {
    const ArrowArrayView& child = *view.children[i];
    const std::uint8_t* bits = child.buffer_views[0].data.as_uint8;
    if (child.storage_type == NANOARROW_TYPE_NA) {
      if (child.null_count != child.length) return false;
    } else if (child.null_count != 0 || child.buffer_views[0].size_bytes != 0) {
      if (child.length - ArrowBitCountSet(bits, 0, child.length) != child.null_count) return false;
    }
    if (!has_right_null_counts(child)) return false;
  }
  return true;
}

Status read_rows(const Message& message, const ArrowSchema& schema,
                 std::shared_ptr<const void> owner, ArrowArray* out) {
  const auto batch =
      static_cast<FLATBUF(RecordBatch_table_t)>(FLATBUF(Message_header)(message.table));
  if (FLATBUF(RecordBatch_compression)(batch) != nullptr) return unsupported("is compressed");
  ArrowError error;
  ArrowErrorInit(&error);
  nanoarrow::UniqueArrayView view;
  PERSISTING_RETURN_IF_ERROR(
      decoder_status(ArrowArrayViewInitFromSchema(view.get(), &schema, &error), error));
  nanoarrow::UniqueArray rows;
  PERSISTING_RETURN_IF_ERROR(
      decoder_status(ArrowArrayInitFromArrayView(rows.get(), view.get(), &error), error));

  view->length = FLATBUF(RecordBatch_length)(batch);
  rows->length = view->length;
  BodyReader reader(batch, message.body, std::move(owner));
  PERSISTING_RETURN_IF_ERROR(reader.read_children(view.get(), rows.get()));
  if (!reader.at_end()) return corruption("it has more buffers than its schema");
  for (std::int64_t i = 0; i < view->n_children; ++i) {
    if (view->children[i]->length != view->length)
      return corruption("its columns differ in length");
  }
  PERSISTING_RETURN_IF_ERROR(decoder_status(
      ArrowArrayViewValidate(view.get(), NANOARROW_VALIDATION_LEVEL_FULL, &error), error));
  if (!has_right_null_counts(*view.get())) return corruption("its nulls are miscounted");
  PERSISTING_RETURN_IF_ERROR(decoder_status(
      ArrowArrayFinishBuilding(rows.get(), NANOARROW_VALIDATION_LEVEL_DEFAULT, &error), error));
  rows.move(out);
  return ok_status();
}

}  // namespace

Result<DecodedIpc> decode_ipc(std::string_view bytes, std::shared_ptr<const void> owner) {
  if (reinterpret_cast<std::uintptr_t>(bytes.data()) % alignment != 0) {
    return make_error(ErrorCode::kInvalidArgument,
                      "an Arrow IPC stream must lie at a multiple of 8 bytes");
  }
  MessageReader reader(bytes);
  PERSISTING_ASSIGN_OR_RETURN(const Message schema, reader.next(FLATBUF(MessageHeader_Schema)));
  PERSISTING_ASSIGN_OR_RETURN(const Message batch, reader.next(FLATBUF(MessageHeader_RecordBatch)));
  PERSISTING_RETURN_IF_ERROR(reader.end());
  DecodedIpc decoded;
  PERSISTING_RETURN_IF_ERROR(read_schema(schema, decoded.schema.get()));
  PERSISTING_RETURN_IF_ERROR(
      read_rows(batch, *decoded.schema.get(), std::move(owner), decoded.rows.get()));
  return decoded;
}

}  // namespace persisting
