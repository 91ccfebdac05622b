// Fuzz target: the files CHECKPOINT and BUCKET, and the schema inside the first.
// Properties: an error says corruption or another version, or of a BUCKET that it is another
//             bucket's; what is read can be written and read again as the same.
#include <algorithm>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "persisting/msgpack_reader.h"
#include "persisting/record.h"

#include "base/checksum.h"
#include "base/endian.h"
#include "engine/bucket_identity.h"
#include "engine/checkpoint.h"
#include "engine/sealed_file.h"
#include "fuzz/input.h"
#include "fuzz/layout.h"
#include "schema/schema.h"
#include "schema/type_text.h"
#include "support/power_cut_file_system.h"

namespace persisting::fuzz {
namespace {

using testing::PowerCutFileSystem;

const std::string folder = "/topic/bucket_7";
constexpr std::uint32_t bucket_id = 7;

// The version of each file that is written; those before it are read too.
constexpr SealedFormat checkpoint_format{"PRSTCKPT", 2};
constexpr SealedFormat bucket_format{"PRSTBCKT", 1};

std::uint32_t version_of(std::uint8_t choices, const SealedFormat& format) {
  return (choices & SealedChoices::version_1) != 0 ? 1 : format.version;
}

// Puts head and checksum around a payload.
std::string sealed(std::string_view magic, std::uint32_t version, std::string_view payload) {
  std::string file(magic);
  append_little_endian(file, version);
  append_little_endian(file, static_cast<std::uint32_t>(payload.size()));
  file += payload;
  append_little_endian(file, checksum64(file));
  return file;
}

// The file under test.
std::string file_of(std::uint8_t choices, const SealedFormat& format, std::string_view bytes) {
  if ((choices & SealedChoices::seal) != 0)
    return sealed(format.magic, version_of(choices, format), bytes);
  std::string file(bytes);
  if ((choices & SealedChoices::fix_checksum) != 0 && file.size() >= sizeof(std::uint64_t)) {
    file.resize(file.size() - sizeof(std::uint64_t));
    append_little_endian(file, checksum64(file));
  }
  return file;
}

// What a file that was read must have been.
void check_layout(std::string_view file, const SealedFormat& format) {
  constexpr std::size_t head_bytes = 16;
  constexpr std::size_t checksum_bytes = 8;
  require(file.starts_with(format.magic) && file.size() >= head_bytes + checksum_bytes,
          "a file that is read has its head and checksum");
  const auto version = load_little_endian<std::uint32_t>(file.data() + 8);
  require(version >= 1 && version <= format.version, "it is of a version that was ever written");
  const std::string_view payload =
      file.substr(head_bytes, file.size() - head_bytes - checksum_bytes);
  require(load_little_endian<std::uint32_t>(file.data() + 12) == payload.size(),
          "its payload is as long as it says");
  const std::string_view sum = file.substr(file.size() - checksum_bytes);
  require(load_little_endian<std::uint64_t>(sum.data()) ==
              checksum64(file.substr(0, file.size() - checksum_bytes)),
          "its checksum is right");
  msgpack::Reader reader(payload);
  require(reader.skip() && reader.at_end(), "its payload is one value");
}

bool is_damage(const Error& error) {
  return error.code == ErrorCode::kCorruption || error.code == ErrorCode::kUnsupported;
}

// How deep lists and structs nest in the fields.
int depth_of(const std::vector<SchemaField>& fields) {
  int deepest = 0;
  for (const SchemaField& field : fields) {
    const bool nests = field.type.kind == TypeKind::kList || field.type.kind == TypeKind::kStruct;
    if (nests) deepest = std::max(deepest, 1 + depth_of(field.type.children));
  }
  return deepest;
}

void check_schema(std::string_view bytes) {
  const Result<Schema> schema = Schema::parse(bytes);
  if (!schema) {
    require(schema.error().code == ErrorCode::kCorruption, "a schema that is none is damaged");
    return;
  }
  for (const SchemaField& field : schema->fields()) {
    require(!describe(field.type).empty(), "every type has a description");
    require(schema->find(field.name).has_value(), "every field is found by its name");
  }
  require(depth_of(schema->fields()) <= Record::max_nesting, "a schema is as deep as a record");
  const std::string stored = schema->serialize();
  const Result<Schema> again = Schema::parse(stored);
  require(again.ok() && *again == *schema, "a schema survives being stored");
  require(again->serialize() == stored, "a schema is stored in one way");
}

bool operator==(const Checkpoint& a, const Checkpoint& b) {
  return a.epoch == b.epoch && a.flushed_to == b.flushed_to && a.table == b.table &&
         a.schema == b.schema;
}

void check_checkpoint(const std::string& file) {
  PowerCutFileSystem file_system;
  file_system.set_file(folder + "/CHECKPOINT", file);
  const auto checkpoint = read_checkpoint(file_system, folder);
  if (!checkpoint) {
    require(is_damage(checkpoint.error()), "a checkpoint is damaged or of another version");
    return;
  }
  require(checkpoint->has_value(), "a file that is there is read");
  check_layout(file, checkpoint_format);
  require(write_checkpoint(file_system, folder, **checkpoint).ok(), "a checkpoint can be written");
  const std::map<std::string, std::string> written = file_system.files();
  const auto again = read_checkpoint(file_system, folder);
  require(again.ok() && again->has_value() && **again == **checkpoint,
          "a checkpoint survives being written");
  require(write_checkpoint(file_system, folder, **again).ok() && file_system.files() == written,
          "a checkpoint is written in one way");
}

bool operator==(const BucketIdentity& a, const BucketIdentity& b) {
  return a.id == b.id && a.bucket_id == b.bucket_id && a.topic == b.topic;
}

void check_bucket(const std::string& file) {
  PowerCutFileSystem file_system;
  file_system.set_file(folder + "/BUCKET", file);
  const std::map<std::string, std::string> before = file_system.files();
  const auto identity = open_identity(file_system, folder, bucket_id, {});
  require(file_system.files() == before, "asking for nothing changes nothing");
  if (!identity) {
    require(is_damage(identity.error()) || identity.error().code == ErrorCode::kInvalidArgument,
            "a bucket is damaged, of another version, or another one");
    return;
  }
  check_layout(file, bucket_format);
  // Whoever knows more than the file completes it, which writes it.
  TopicSettings known = identity->topic;
  if (known.topic.empty()) known.topic = "topic";
  if (known.num_buckets == 0) known.num_buckets = 8;
  if (known.bucket_column.empty()) known.bucket_column = "column";
  const auto completed = open_identity(file_system, folder, bucket_id, known);
  require(completed.ok() && completed->id == identity->id && completed->topic == known,
          "a bucket takes over what is known of its topic");
  const auto again = open_identity(file_system, folder, bucket_id, {});
  require(again.ok() && *again == *completed, "an identity survives being written");
}

// Writes the checkpoint's payload around a schema that may be anything.
void check_checkpoint_of_schema(std::uint8_t choices, std::string_view schema) {
  PowerCutFileSystem file_system;
  const SealedFormat format{checkpoint_format.magic, version_of(choices, checkpoint_format)};
  const Status written = write_sealed_file(file_system, folder + "/CHECKPOINT", format,
                                           Struct{{"epoch", 1},
                                                  {"flushed_to", 2},
                                                  {"table_version", 3},
                                                  {"manifest_bytes", 4},
                                                  {"manifest_checksum", 5},
                                                  {"files", List()},
                                                  {"schema", Bytes{std::string(schema)}}});
  require(written.ok(), "a sealed file can be written");
  const auto checkpoint = read_checkpoint(file_system, folder);
  require(checkpoint.ok() == Schema::parse(schema).ok(), "a checkpoint is as sound as its schema");
}

}  // namespace
}  // namespace persisting::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace persisting::fuzz;
  Input input(data, size);
  const auto choices = input.number<std::uint8_t>();
  const std::string_view bytes = input.rest();
  switch (choices & SealedChoices::kind_mask) {
    case SealedChoices::checkpoint:
      check_checkpoint(file_of(choices, checkpoint_format, bytes));
      break;
    case SealedChoices::bucket:
      check_bucket(file_of(choices, bucket_format, bytes));
      break;
    case SealedChoices::schema:
      check_schema(bytes);
      break;
    default:
      check_checkpoint_of_schema(choices, bytes);
      break;
  }
  return 0;
}
