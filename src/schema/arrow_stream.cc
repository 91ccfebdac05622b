#include <cerrno>
#include <exception>
#include <memory>
#include <string>

#include "schema/arrow_convert.h"

namespace persisting {
namespace {

// What stands behind the stream's function pointers. Nothing is thrown through them: they are C.
struct StreamState {
  nanoarrow::UniqueSchema schema;
  std::function<Result<bool>(ArrowArray*)> next;
  bool ended = false;
  int failure = 0;  // of the first failed call; later calls repeat it
  std::string message;
};

StreamState& state_of(ArrowArrayStream* stream) {
  return *static_cast<StreamState*>(stream->private_data);
}

int get_schema(ArrowArrayStream* stream, ArrowSchema* out) {
  return ArrowSchemaDeepCopy(state_of(stream).schema.get(), out);
}

int fail(StreamState& state, int code, const char* message) {
  state.failure = code;
  state.message = message;
  return code;
}

int get_next(ArrowArrayStream* stream, ArrowArray* out) {
  StreamState& state = state_of(stream);
  out->release = nullptr;  // how a stream says that it has ended
  if (state.failure != 0) return state.failure;
  if (state.ended) return 0;
  try {
    const Result<bool> more = state.next(out);
    if (!more) return fail(state, EIO, more.error().message.c_str());
    state.ended = !more.value();
    return 0;
  } catch (const std::exception& thrown) {
    return fail(state, ENOMEM, thrown.what());
  } catch (...) {
    return fail(state, EIO, "an unknown exception");
  }
}

const char* get_last_error(ArrowArrayStream* stream) {
  const StreamState& state = state_of(stream);
  return state.failure == 0 ? nullptr : state.message.c_str();
}

void release(ArrowArrayStream* stream) {
  delete static_cast<StreamState*>(stream->private_data);
  stream->private_data = nullptr;
  stream->release = nullptr;
}

}  // namespace

void make_stream(ArrowSchema* schema, std::function<Result<bool>(ArrowArray*)> next,
                 ArrowArrayStream* out) {
  auto state = std::make_unique<StreamState>();
  state->schema.reset(schema);
  state->next = std::move(next);
  out->get_schema = get_schema;
  out->get_next = get_next;
  out->get_last_error = get_last_error;
  out->release = release;
  out->private_data = state.release();
}

}  // namespace persisting
