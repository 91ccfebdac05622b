#include "engine/sealed_file.h"

#include <algorithm>

#include "persisting/msgpack_reader.h"
#include "persisting/msgpack_writer.h"

#include "base/checksum.h"
#include "base/endian.h"

namespace persisting {
namespace {

constexpr std::size_t head_bytes = 16;
constexpr std::size_t checksum_bytes = 8;

const Value* find(const Struct& payload, std::string_view name) {
  const auto found = std::find_if(payload.begin(), payload.end(),
                                  [name](const auto& entry) { return entry.first == name; });
  return found == payload.end() ? nullptr : &found->second;
}

Error corrupt(std::string message) {
  return make_error(ErrorCode::kCorruption, std::move(message));
}

template <typename T>
Result<T> sealed_value(const Struct& payload, std::string_view name) {
  const Value* value = find(payload, name);
  const T* typed = value == nullptr ? nullptr : value->get_if<T>();
  if (typed == nullptr) return corrupt("no valid entry '" + std::string(name) + "'");
  return *typed;
}

}  // namespace

Status write_sealed_file(FileSystem& file_system, const std::string& path,
                         const SealedFormat& format, const Struct& payload) {
  std::string body;
  msgpack::write_value(body, Value(payload));
  std::string file(format.magic);
  append_little_endian(file, format.version);
  append_little_endian(file, static_cast<std::uint32_t>(body.size()));
  file += body;
  append_little_endian(file, checksum64(file));
  return replace_file_durably(file_system, path, file);
}

Result<std::optional<Struct>> read_sealed_file(FileSystem& file_system, const std::string& path,
                                               const SealedFormat& format) {
  PERSISTING_ASSIGN_OR_RETURN(const bool there, file_system.exists(path));
  if (!there) return std::optional<Struct>();
  PERSISTING_ASSIGN_OR_RETURN(const std::string file, file_system.read_file(path));
  if (file.size() < head_bytes + checksum_bytes) {
    return corrupt(path + ": only " + std::to_string(file.size()) + " bytes");
  }
  if (std::string_view(file).substr(0, format.magic.size()) != format.magic) {
    return corrupt(path + ": byte 0: not a " + std::string(format.magic) + " file");
  }
  const auto version = load_little_endian<std::uint32_t>(file.data() + 8);
  const std::string_view sealed = std::string_view(file).substr(0, file.size() - checksum_bytes);
  if (load_little_endian<std::uint64_t>(file.data() + sealed.size()) != checksum64(sealed)) {
    return corrupt(path + ": checksum differs");
  }
  if (version == 0 || version > format.version) {
    return make_error(ErrorCode::kUnsupported,
                      path + ": format version " + std::to_string(version) +
                          "; this library reads versions up to " + std::to_string(format.version));
  }
  if (load_little_endian<std::uint32_t>(file.data() + 12) != sealed.size() - head_bytes) {
    return corrupt(path + ": byte 12: length differs from the file's");
  }
  msgpack::Reader reader(sealed.substr(head_bytes));
  Value payload;
  if (!msgpack::read_value(reader, &payload) || !reader.at_end() ||
      payload.get_if<Struct>() == nullptr) {
    return corrupt(path + ": byte " + std::to_string(head_bytes) +
                   ": payload is not a MessagePack map");
  }
  return std::optional<Struct>(*payload.get_if<Struct>());
}

Result<std::int64_t> sealed_integer(const Struct& payload, std::string_view name) {
  return sealed_value<std::int64_t>(payload, name);
}

Result<List> sealed_list(const Struct& payload, std::string_view name) {
  return sealed_value<List>(payload, name);
}

Result<std::string> sealed_text(const Struct& payload, std::string_view name) {
  const Value* value = find(payload, name);
  if (value != nullptr && value->get_if<Bytes>() != nullptr) return value->get_if<Bytes>()->data;
  return sealed_value<std::string>(payload, name);
}

}  // namespace persisting
