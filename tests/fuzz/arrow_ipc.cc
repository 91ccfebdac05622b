// Fuzz target: the decoder of Arrow IPC streams.
// Properties: an error says corruption or another kind of stream; what is decoded has its buffers
//             inside the input and can be encoded, which reads every value; that decodes to as many
//             rows, and is encoded in one way.
#include "schema/arrow_ipc.h"

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "fuzz/input.h"

namespace persisting::fuzz {
namespace {

// Exactly as large as what it holds, and aligned as an allocation is: the address sanitizer then
// sees a read of the byte behind it.
Result<DecodedIpc> decode(std::string_view stream) {
  const auto bytes = std::make_shared<std::vector<char>>(stream.begin(), stream.end());
  return decode_ipc({bytes->data(), bytes->size()}, bytes);
}

std::string encoded(const DecodedIpc& rows) {
  Result<std::string> stream = encode_ipc(*rows.schema.get(), *rows.rows.get());
  require(stream.ok(), "what was decoded can be encoded");
  return std::move(stream).value();
}

void check(std::string_view input) {
  const Result<DecodedIpc> rows = decode(input);
  if (!rows) {
    const ErrorCode code = rows.error().code;
    require(code == ErrorCode::kCorruption || code == ErrorCode::kUnsupported,
            "a stream is damaged or of another kind");
    return;
  }
  const std::string stream = encoded(*rows);
  const Result<DecodedIpc> again = decode(stream);
  require(again.ok(), "what was encoded can be decoded");
  require(again->rows->length == rows->rows->length, "rows keep their number");
  require(encoded(*again) == stream, "rows are encoded in one way");
}

}  // namespace
}  // namespace persisting::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  persisting::fuzz::check({reinterpret_cast<const char*>(data), size});
  return 0;
}
