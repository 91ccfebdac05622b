// Writes the seeds of the fuzz targets: small logs, files and records, made by the library itself:
// seeds <corpus folder>
// Guarantee: the same files each time, named seed-*, so that a change of a format shows as a change
//            of theirs.
#include <array>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <nanoarrow/nanoarrow.hpp>

#include "persisting/msgpack_writer.h"
#include "persisting/record.h"

#include "base/endian.h"
#include "base/executor.h"
#include "engine/checkpoint.h"
#include "engine/sealed_file.h"
#include "fuzz/input.h"
#include "fuzz/layout.h"
#include "schema/admission.h"
#include "schema/arrow_convert.h"
#include "schema/arrow_ipc.h"
#include "support/power_cut_file_system.h"
#include "wal/frame.h"
#include "wal/wal.h"
#include "wal/wal_format.h"

namespace persisting::fuzz {
namespace {

using testing::PowerCutFileSystem;

class Corpus {
 public:
  explicit Corpus(std::filesystem::path folder) : folder_(std::move(folder)) {}

  void add(const std::string& target, const std::string& name, const std::string& input) {
    std::filesystem::create_directories(folder_ / target);
    std::ofstream file(folder_ / target / ("seed-" + name), std::ios::binary);
    file.write(input.data(), static_cast<std::streamsize>(input.size()));
    require(file.good(), "a seed can be written");
  }

 private:
  const std::filesystem::path folder_;
};

std::vector<Struct> some_records() {
  return {
      {{"id", 300},
       {"at", Timestamp{1704067200000000, true}},
       {"tags", List{"a", Null{}}},
       {"score", 0.5}},
      {{"id", -1}, {"at", Null{}}, {"score", 3}, {"wide", std::int64_t{1} << 60}},
      {{"raw", Bytes{std::string("\0\xff", 2)}},
       {"local", Timestamp{-1, false}},
       {"day", Date{-719162}},
       {"ok", true},
       {"nested", Struct{{"x", 1.25}, {"y", List{Struct{{"z", "\u00e9\u20ac\U0001f600"}}}}}},
       {"empty", Struct{}},
       {"none", List{}}},
  };
}

std::string encoded(const Struct& fields) {
  const Result<Record> record = Record::make(fields);
  require(record.ok(), "the seeds' records are records");
  return std::string(record->encoded());
}

std::string map_of(std::string_view name, std::string_view encoded_value) {
  std::string bytes;
  msgpack::write_map(bytes, 1);
  msgpack::write_string(bytes, name);
  bytes += encoded_value;
  return bytes;
}

void add_records(Corpus* corpus) {
  std::string all;
  for (const Struct& fields : some_records()) all += encoded(fields);
  corpus->add("record_codec", "records", all);
  // Forms that the writer never chooses, but the reader takes.
  using namespace std::string_literals;
  const std::array forms = {"\xca\x3f\0\0\0"s,
                            "\xcc\x01"s,
                            "\xcd\0\x01"s,
                            "\xce\0\0\0\x01"s,
                            "\xcf\0\0\0\0\0\0\0\x01"s,
                            "\xd0\xff"s,
                            "\xd1\xff\xff"s,
                            "\xd2\xff\xff\xff\xff"s,
                            "\xd3\0\0\0\0\0\0\0\x01"s,
                            "\xd9\x01x"s,
                            "\xda\0\x01x"s,
                            "\xdb\0\0\0\x01x"s,
                            "\xc5\0\x01x"s,
                            "\xc6\0\0\0\x01x"s,
                            "\xdc\0\x01\xc0"s,
                            "\xdd\0\0\0\x01\xc0"s,
                            "\xde\0\x01\xa1x\xc0"s,
                            "\xdf\0\0\0\x01\xa1x\xc0"s,
                            "\xc7\x08\x01\0\0\0\0\0\0\0\x01"s,
                            "\xc7\x04\x03\0\0\0\x01"s};
  std::string long_forms;
  for (const std::string& form : forms) {
    long_forms += map_of("f" + std::to_string(long_forms.size()), form);
  }
  corpus->add("record_codec", "long-forms", long_forms);
  const Struct reserved{{"_offset", 1}, {"a.b", Struct{{"__empty_struct", 2}}}};
  std::string refused;
  msgpack::write_value(refused, reserved);
  msgpack::write_value(refused, Struct{{"a", reserved}});
  corpus->add("record_codec", "reserved-names", refused);
  // The first and last code points of each length, then what lies beyond them: overlong forms and
  // surrogates too.
  const std::array texts = {"\x7f\xc2\x80\xdf\xbf\xe0\xa0\x80\xef\xbf\xbf"s,
                            "\xf0\x90\x80\x80\xf4\x8f\xbf\xbf"s,
                            "\xed\x9f\xbf"s,
                            "\xed\xa0\x80"s,
                            "\xc1\xbf"s,
                            "\xe0\x9f\xbf"s,
                            "\xf0\x8f\xbf\xbf"s,
                            "\xf4\x90\x80\x80"s};
  std::string borders;
  for (const std::string& text : texts) {
    msgpack::write_value(borders, Struct{{"t", text}});
  }
  corpus->add("record_codec", "utf8-borders", borders);
  std::string deep(Record::max_nesting, '\x91');
  corpus->add("record_codec", "deep", map_of("deep", deep + "\x01"));
  corpus->add("record_codec", "too-deep", map_of("deep", deep + "\x91\x01"));
}

// Records of one frame, in the log's shape.
struct Frame {
  std::vector<std::uint32_t> record_bytes;
  std::string records;
};

Frame frame_of(const std::vector<Struct>& records) {
  Frame frame;
  for (const Struct& fields : records) {
    const std::string bytes = encoded(fields);
    frame.record_bytes.push_back(static_cast<std::uint32_t>(bytes.size()));
    frame.records += bytes;
  }
  return frame;
}

constexpr std::array codecs = {Compression::kNone, Compression::kZstd, Compression::kLz4,
                               Compression::kSnappy};

std::string name_of(Compression codec) { return std::to_string(static_cast<int>(codec)); }

// Stands for an Arrow IPC stream: the log takes any bytes for one.
constexpr std::string_view some_stream = "\xff\xff\xff\xff a stream of a few rows";

void add_frames(Corpus* corpus) {
  const std::uint64_t seed = wal::frame_seed(fuzz::bucket_identity, frame_epoch);
  const Frame frame = frame_of(some_records());
  for (const Compression codec : codecs) {
    std::vector<std::string_view> pieces;
    const wal::EncodedFrame first =
        wal::encode_frame({0, 1000, frame.record_bytes, frame.records}, 0, codec, seed);
    const std::uint64_t next = frame.record_bytes.size();
    const wal::EncodedFrame second =
        wal::encode_frame(WalFrame::arrow(next, 2000, 4, some_stream), 0, codec, seed);
    const wal::EncodedFrame end = wal::encode_clean_end(next + 4, seed);
    first.append_to(&pieces);
    second.append_to(&pieces);
    end.append_to(&pieces);
    std::string file;
    for (const std::string_view piece : pieces) file += piece;
    const auto again = static_cast<char>(static_cast<int>(codec) << FrameChoices::codec_shift);
    corpus->add("frame_decoder", "whole-" + name_of(codec), std::string{again, 0} + file);
    if (codec != Compression::kNone) continue;
    corpus->add("frame_decoder", "fixed", std::string{FrameChoices::fix_checksums, 0} + file);
    ++file[first.file_bytes()];  // the last frame's length
    corpus->add("frame_decoder", "too-long", std::string{FrameChoices::fix_checksums, 0} + file);
  }
}

// Opens the log, puts three records as two frames, three rows as a third, and closes it; without
// `close` the end is not clean.
void write_log(PowerCutFileSystem& file_system, Compression codec, std::uint64_t first_offset,
               bool close) {
  WalOptions options;
  options.folder = "/bucket/wal";
  options.bucket_identity = fuzz::bucket_identity;
  options.compression = codec;
  WalRecovery recovery;
  const auto log = Wal::open(
      file_system, Executors::instance().commit, options, 0,
      [](const ReplayedFrame&) { return ok_status(); }, [](std::uint64_t, const Status&) {},
      &recovery);
  require(log.ok() && recovery.next_offset == first_offset, "the seeds' log opens");
  const std::vector<Struct> records = some_records();
  const Frame first = frame_of({records[0], records[1]});
  const Frame second = frame_of({records[2]});
  (*log)->enqueue({first_offset, 1000, first.record_bytes, first.records});
  require((*log)->commit(first_offset + 2).ok(), "the seeds' log commits");
  (*log)->enqueue({first_offset + 2, 2000, second.record_bytes, second.records});
  (*log)->enqueue(WalFrame::arrow(first_offset + 3, 3000, 3, some_stream));
  require((*log)->commit(first_offset + 6).ok(), "the seeds' log commits");
  if (!close) file_system.stop_at(0);
  require((*log)->close().ok() == close, "a log closes while the power is on");
  if (!close) file_system.restart();
}

std::string log_input(std::uint8_t choices, std::uint16_t flushed_to, const std::string& first,
                      const std::string& second) {
  std::string input;
  append_little_endian(input, choices);
  append_little_endian(input, flushed_to);
  append_little_endian(input, static_cast<std::uint16_t>(first.size()));
  return input + first + second;
}

void add_logs(Corpus* corpus) {
  constexpr std::uint8_t fix = LogChoices::fix_frames | LogChoices::fix_headers;
  for (const Compression codec : codecs) {
    PowerCutFileSystem file_system;
    write_log(file_system, codec, 0, true);
    write_log(file_system, codec, 6, false);
    const auto files = file_system.files();
    require(files.size() == 2, "the seeds' log has two segments");
    const std::string first = files.begin()->second;
    const std::string second = files.rbegin()->second;
    corpus->add("log_recovery", "one-" + name_of(codec), log_input(0, 0, first, ""));
    if (codec != Compression::kNone) continue;
    corpus->add("log_recovery", "two", log_input(0, 2, first, second));
    corpus->add("log_recovery", "fixed", log_input(fix, 2, first, second));
  }
  PowerCutFileSystem file_system;
  write_log(file_system, Compression::kNone, 0, true);
  const std::string whole = file_system.files().begin()->second;
  std::string version_1 = whole;
  version_1[wal::segment_magic.size()] = 1;
  corpus->add("log_recovery", "version-1", log_input(fix, 0, version_1, ""));
  corpus->add("log_recovery", "torn", log_input(0, 0, whole.substr(0, whole.size() - 60), ""));
  std::string lost = whole;
  lost.replace(0, wal::segment_header_bytes, wal::segment_header_bytes, '\0');
  corpus->add("log_recovery", "header-lost", log_input(fix, 0, lost, ""));
  corpus->add("log_recovery", "header-only",
              log_input(0, 0, whole.substr(0, wal::segment_header_bytes), ""));
}

std::string schema_bytes() {
  RecordBatch batch;
  for (const Struct& fields : some_records()) batch.add_encoded(encoded(fields));
  const Result<SchemaPtr> schema = admit(std::make_shared<const Schema>(), batch, 0);
  require(schema.ok(), "the seeds' records fit together");
  return (*schema)->serialize();
}

void add_sealed_files(Corpus* corpus) {
  PowerCutFileSystem file_system;
  const std::string schema = schema_bytes();
  const TableVersion table{
      9, {1234, 0xfedcba9876543210}, {{"0001.lance", {500, 0xa1}}, {"0002.lance", {700, 0xb2}}}};
  const Checkpoint checkpoint{5, 3, table, *Schema::parse(schema)};
  require(write_checkpoint(file_system, "/b", checkpoint).ok(), "a checkpoint can be written");
  const std::string whole = file_system.files().at("/b/CHECKPOINT");
  constexpr char checkpoint_choices = SealedChoices::checkpoint | SealedChoices::fix_checksum;
  corpus->add("sealed_files", "checkpoint", checkpoint_choices + whole);
  std::string newer = whole;
  ++newer[8];
  corpus->add("sealed_files", "checkpoint-newer", checkpoint_choices + newer);

  const Struct identity{
      {"id", 42}, {"bucket_id", 7}, {"topic", "t"}, {"num_buckets", 0}, {"bucket_column", ""}};
  require(write_sealed_file(file_system, "/b/BUCKET", {"PRSTBCKT", 1}, identity).ok(),
          "a sealed file can be written");
  constexpr char bucket_choices = SealedChoices::bucket | SealedChoices::fix_checksum;
  corpus->add("sealed_files", "bucket", bucket_choices + file_system.files().at("/b/BUCKET"));

  for (const int nesting : {Record::max_nesting, Record::max_nesting + 1}) {
    FieldType type;
    type.kind = TypeKind::kInt64;
    for (int i = 0; i < nesting; ++i) {
      FieldType list;
      list.kind = TypeKind::kList;
      list.children.push_back({"", std::move(type), {}});
      type = std::move(list);
    }
    corpus->add("sealed_files", "schema-nesting-" + std::to_string(nesting),
                static_cast<char>(SealedChoices::schema) + Schema({{"deep", type}}).serialize());
  }
  corpus->add("sealed_files", "schema", static_cast<char>(SealedChoices::schema) + schema);
  corpus->add("sealed_files", "schema-of-checkpoint",
              static_cast<char>(SealedChoices::checkpoint_of_schema) + schema);
}

void add_stream(Corpus* corpus, const std::string& name, const ArrowSchema& schema,
                const ArrowArray& rows) {
  const Result<std::string> stream = encode_ipc(schema, rows);
  require(stream.ok(), "the seeds' rows can be encoded");
  corpus->add("arrow_ipc", name, *stream);
}

// A column whose type, of the C data interface, no record has; with a child where `child` is one.
void add_foreign_column(Corpus* corpus, const std::string& name, const char* type,
                        const char* child) {
  nanoarrow::UniqueSchema schema;
  ArrowSchemaInit(schema.get());
  bool made = ArrowSchemaSetTypeStruct(schema.get(), 1) == NANOARROW_OK;
  ArrowSchema* column = schema->children[0];
  made = made && ArrowSchemaSetFormat(column, type) == NANOARROW_OK &&
         ArrowSchemaSetName(column, name.c_str()) == NANOARROW_OK;
  if (child != nullptr) {
    made = made && ArrowSchemaAllocateChildren(column, 1) == NANOARROW_OK;
    ArrowSchemaInit(column->children[0]);
    made = made && ArrowSchemaSetFormat(column->children[0], child) == NANOARROW_OK;
  }
  nanoarrow::UniqueArray rows;
  made = made && ArrowArrayInitFromSchema(rows.get(), schema.get(), nullptr) == NANOARROW_OK &&
         ArrowArrayStartAppending(rows.get()) == NANOARROW_OK;
  for (int i = 0; i < 3; ++i) {
    made = made && ArrowArrayAppendEmpty(rows->children[0], 1) == NANOARROW_OK &&
           ArrowArrayAppendNull(rows->children[0], 1) == NANOARROW_OK;
  }
  rows->length = rows->children[0]->length;
  require(made && ArrowArrayFinishBuildingDefault(rows.get(), nullptr) == NANOARROW_OK,
          "the seeds' columns can be made");
  add_stream(corpus, name, *schema.get(), *rows.get());
}

void add_arrow_streams(Corpus* corpus) {
  RecordBatch records;
  for (const Struct& fields : some_records()) records.add_encoded(encoded(fields));
  const Result<SchemaPtr> schema = admit(std::make_shared<const Schema>(), records, 0);
  require(schema.ok(), "the seeds' records fit together");
  nanoarrow::UniqueSchema arrow;
  Result<ArrowBatchBuilder> builder = ArrowBatchBuilder::make(*schema);
  require(to_arrow_schema(**schema, arrow.get()).ok() && builder.ok(),
          "the seeds' records have columns");
  for (std::size_t count = 0; count <= records.size(); count += records.size()) {
    for (std::size_t i = 0; i < count; ++i) {
      require(builder->append(i, 1000, records[i]).ok(), "the seeds' records become rows");
    }
    nanoarrow::UniqueArray rows;
    require(builder->finish(rows.get()).ok(), "the seeds' records become rows");
    add_stream(corpus, count == 0 ? "no-rows" : "rows", *arrow.get(), *rows.get());
  }
  add_foreign_column(corpus, "fixed-size-list", "+w:3", "f");
  add_foreign_column(corpus, "large-list", "+L", "U");
  add_foreign_column(corpus, "fixed-size-binary", "w:5", nullptr);
  add_foreign_column(corpus, "decimal", "d:38,5", nullptr);
  add_foreign_column(corpus, "null", "n", nullptr);
}

}  // namespace
}  // namespace persisting::fuzz

int main(int argc, char** argv) {
  if (argc != 2) {
    (void)std::fprintf(stderr, "usage: seeds <corpus folder>\n");
    return 2;
  }
  persisting::fuzz::Corpus corpus(argv[1]);
  persisting::fuzz::add_frames(&corpus);
  persisting::fuzz::add_logs(&corpus);
  persisting::fuzz::add_sealed_files(&corpus);
  persisting::fuzz::add_records(&corpus);
  persisting::fuzz::add_arrow_streams(&corpus);
  return 0;
}
