#include "schema/arrow_ipc.h"

#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <flatcc_names.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nanoarrow/ipc/flatcc_generated.h>

#include "base/endian.h"
#include "support/records.h"

namespace persisting {
namespace {

using ::testing::HasSubstr;
using testing::Rows;

void require_ok(int code) { ASSERT_EQ(code, NANOARROW_OK); }

std::string nth_text(int n) { return "text " + std::string(static_cast<std::size_t>(n % 5), 'x'); }

// Appends the n-th value of a type; every third is null where it may be.
void append_nth(const ArrowSchema& type, ArrowArray* out, int n) {
  SCOPED_TRACE(type.format);
  ArrowSchemaView view;
  require_ok(ArrowSchemaViewInit(&view, &type, nullptr));
  if (view.type == NANOARROW_TYPE_NA || (n % 3 == 1 && (type.flags & ARROW_FLAG_NULLABLE) != 0)) {
    return require_ok(ArrowArrayAppendNull(out, 1));
  }
  const auto append_children = [&](int count) {
    for (int i = 0; i < count; ++i) append_nth(*type.children[0], out->children[0], n + i);
    require_ok(ArrowArrayFinishElement(out));
  };
  switch (view.type) {
    case NANOARROW_TYPE_STRING:
    case NANOARROW_TYPE_LARGE_STRING:
    case NANOARROW_TYPE_BINARY:
    case NANOARROW_TYPE_LARGE_BINARY:
    case NANOARROW_TYPE_FIXED_SIZE_BINARY: {
      std::string text = nth_text(n);
      if (view.type == NANOARROW_TYPE_FIXED_SIZE_BINARY)
        text.resize(static_cast<std::size_t>(view.fixed_size), '!');
      return require_ok(
          ArrowArrayAppendBytes(out, {{text.data()}, static_cast<std::int64_t>(text.size())}));
    }
    case NANOARROW_TYPE_HALF_FLOAT:
    case NANOARROW_TYPE_FLOAT:
    case NANOARROW_TYPE_DOUBLE:
      return require_ok(ArrowArrayAppendDouble(out, n * 0.5));
    case NANOARROW_TYPE_DECIMAL128:
    case NANOARROW_TYPE_DECIMAL256: {
      ArrowDecimal decimal;
      ArrowDecimalInit(&decimal, view.decimal_bitwidth, view.decimal_precision, view.decimal_scale);
      ArrowDecimalSetInt(&decimal, n - 7);
      return require_ok(ArrowArrayAppendDecimal(out, &decimal));
    }
    case NANOARROW_TYPE_INTERVAL_MONTHS:
    case NANOARROW_TYPE_INTERVAL_DAY_TIME:
    case NANOARROW_TYPE_INTERVAL_MONTH_DAY_NANO: {
      ArrowInterval interval;
      ArrowIntervalInit(&interval, view.type);
      interval.months = n;
      interval.days = n + 1;
      interval.ms = -n;
      interval.ns = -n;
      return require_ok(ArrowArrayAppendInterval(out, &interval));
    }
    case NANOARROW_TYPE_LIST:
    case NANOARROW_TYPE_LARGE_LIST:
    case NANOARROW_TYPE_MAP:
      return append_children(n % 4);
    case NANOARROW_TYPE_FIXED_SIZE_LIST:
      return append_children(view.fixed_size);
    case NANOARROW_TYPE_STRUCT:
      for (std::int64_t i = 0; i < type.n_children; ++i) {
        append_nth(*type.children[i], out->children[i], n + static_cast<int>(i));
      }
      return require_ok(ArrowArrayFinishElement(out));
    case NANOARROW_TYPE_BOOL:
      return require_ok(ArrowArrayAppendInt(out, n % 2));
    default:
      return require_ok(ArrowArrayAppendInt(out, n % 100));
  }
}

// A column, its type as the C data interface writes it.
struct Column {
  std::string name;
  std::string format;
  std::vector<Column> children = {};
  bool nullable = true;
};

void set_columns(const std::vector<Column>& columns, ArrowSchema* parent) {
  require_ok(ArrowSchemaAllocateChildren(parent, static_cast<std::int64_t>(columns.size())));
  for (std::size_t i = 0; i < columns.size(); ++i) {
    ArrowSchema* child = parent->children[i];
    ArrowSchemaInit(child);
    require_ok(ArrowSchemaSetFormat(child, columns[i].format.c_str()));
    require_ok(ArrowSchemaSetName(child, columns[i].name.c_str()));
    child->flags = columns[i].nullable ? ARROW_FLAG_NULLABLE : 0;
    if (!columns[i].children.empty()) set_columns(columns[i].children, child);
  }
}

// Rows of the n-th values from `first` on.
Rows rows_of(const std::vector<Column>& columns, int first, int count) {
  Rows rows;
  ArrowSchemaInit(rows.schema.get());
  require_ok(ArrowSchemaSetFormat(rows.schema.get(), "+s"));
  set_columns(columns, rows.schema.get());
  rows.schema->flags = 0;
  ArrowError error;
  EXPECT_EQ(ArrowArrayInitFromSchema(rows.array.get(), rows.schema.get(), &error), NANOARROW_OK)
      << error.message;
  require_ok(ArrowArrayStartAppending(rows.array.get()));
  for (int n = first; n < first + count; ++n) append_nth(*rows.schema.get(), rows.array.get(), n);
  require_ok(ArrowArrayFinishBuildingDefault(rows.array.get(), nullptr));
  return rows;
}

std::vector<Column> every_type() {
  std::vector<Column> columns;
  for (const char* format : {"n",
                             "b",
                             "c",
                             "C",
                             "s",
                             "S",
                             "i",
                             "I",
                             "l",
                             "L",
                             "e",
                             "f",
                             "g",
                             "u",
                             "U",
                             "z",
                             "Z",
                             "w:3",
                             "tdD",
                             "tdm",
                             "tts",
                             "ttn",
                             "tsu:",
                             "tDn",
                             "tiM",
                             "tin",
                             "d:38,5",
                             "d:60,2,256",
                             "tsn:Europe/Berlin"}) {
    columns.push_back({std::string("column ") + format, format});
  }
  columns.push_back({"required", "l", {}, false});
  columns.push_back({"list", "+l", {{"item", "u"}}});
  columns.push_back({"large list", "+L", {{"element", "+l", {{"item", "b"}}}}});
  columns.push_back({"vector", "+w:3", {{"item", "f"}}});
  // Not nullable: nanoarrow's builder writes outside its buffer when it fills such a null with
  // bits.
  columns.push_back({"flags", "+w:3", {{"item", "b"}}, false});
  columns.push_back({"struct", "+s", {{"a", "u"}, {"b", "+s", {{"c", "l"}, {"d", "b"}}}}});
  columns.push_back(
      {"map",
       "+m",
       {{"entries", "+s", {{"key", "u", {}, false}, {"value", "+l", {{"item", "g"}}}}, false}}});
  return columns;
}

// All of a schema, in text.
std::string describe(const ArrowSchema& schema) {
  std::string text = std::string(schema.name == nullptr ? "" : schema.name) + ":" + schema.format +
                     ":" + std::to_string(schema.flags);
  if (schema.metadata != nullptr) {
    text.append(schema.metadata, static_cast<std::size_t>(ArrowMetadataSizeOf(schema.metadata)));
  }
  for (std::int64_t i = 0; i < schema.n_children; ++i) {
    text += (i == 0 ? "<" : ",") + describe(*schema.children[i]);
  }
  return text + (schema.n_children == 0 ? "" : ">");
}

// All of a value, in text.
std::string describe(const ArrowArrayView& view, std::int64_t row) {
  if (ArrowArrayViewIsNull(&view, row) != 0) return "null";
  std::string text;
  const auto add_children = [&](std::int64_t from, std::int64_t to) {
    for (std::int64_t i = from; i < to; ++i) text += describe(*view.children[0], i) + " ";
  };
  const std::int64_t at = view.offset + row;
  switch (view.storage_type) {
    case NANOARROW_TYPE_BOOL:
      return std::to_string(ArrowArrayViewGetIntUnsafe(&view, row));
    case NANOARROW_TYPE_STRING:
    case NANOARROW_TYPE_LARGE_STRING:
    case NANOARROW_TYPE_BINARY:
    case NANOARROW_TYPE_LARGE_BINARY: {
      const ArrowBufferView bytes = ArrowArrayViewGetBytesUnsafe(&view, row);
      return std::string(bytes.data.as_char, static_cast<std::size_t>(bytes.size_bytes));
    }
    case NANOARROW_TYPE_LIST:
    case NANOARROW_TYPE_LARGE_LIST:
    case NANOARROW_TYPE_MAP:
      add_children(ArrowArrayViewListChildOffset(&view, at),
                   ArrowArrayViewListChildOffset(&view, at + 1));
      return "[" + text + "]";
    case NANOARROW_TYPE_FIXED_SIZE_LIST:
      add_children(at * view.layout.child_size_elements,
                   (at + 1) * view.layout.child_size_elements);
      return "[" + text + "]";
    case NANOARROW_TYPE_STRUCT:
      for (std::int64_t i = 0; i < view.n_children; ++i) {
        text += describe(*view.children[i], at) + ", ";
      }
      return "{" + text + "}";
    default: {
      const std::int64_t bytes = view.layout.element_size_bits[1] / 8;
      return std::string(view.buffer_views[1].data.as_char + at * bytes,
                         static_cast<std::size_t>(bytes));
    }
  }
}

std::vector<std::string> describe(const ArrowSchema& schema, const ArrowArray& rows) {
  nanoarrow::UniqueArrayView view;
  require_ok(ArrowArrayViewInitFromSchema(view.get(), &schema, nullptr));
  require_ok(ArrowArrayViewSetArray(view.get(), &rows, nullptr));
  std::vector<std::string> values;
  for (std::int64_t i = 0; i < rows.length; ++i) values.push_back(describe(*view.get(), i));
  return values;
}

std::string encoded(const Rows& rows) {
  Result<std::string> stream = encode_ipc(*rows.schema.get(), *rows.array.get());
  EXPECT_TRUE(stream.ok()) << (stream ? "" : stream.error().message);
  return std::move(stream).value();
}

// Decodes a copy that ends where the bytes do, so that the address sanitizer sees what lies
// outside.
Result<DecodedIpc> decode(std::string_view stream) {
  const auto copy = std::make_shared<std::vector<char>>(stream.begin(), stream.end());
  copy->shrink_to_fit();
  return decode_ipc({copy->data(), copy->size()}, copy);
}

DecodedIpc decoded(std::string_view stream) {
  Result<DecodedIpc> rows = decode(stream);
  EXPECT_TRUE(rows.ok()) << (rows ? "" : rows.error().message);
  return std::move(rows).value();
}

void expect_round_trip(const Rows& rows, const std::vector<std::string>& values) {
  const std::string stream = encoded(rows);
  const DecodedIpc again = decoded(stream);
  EXPECT_EQ(describe(*again.schema.get()), describe(*rows.schema.get()));
  EXPECT_EQ(describe(*again.schema.get(), *again.rows.get()), values);
}

Error refusal(std::string_view stream) {
  const Result<DecodedIpc> rows = decode(stream);
  EXPECT_FALSE(rows.ok());
  return rows ? Error{} : rows.error();
}

Error encoding_refusal(const Rows& rows) {
  const Result<std::string> stream = encode_ipc(*rows.schema.get(), *rows.array.get());
  EXPECT_FALSE(stream.ok());
  return stream ? Error{} : stream.error();
}

TEST(ArrowIpc, EveryTypeRoundTrips) {
  for (const int count : {0, 1, 2, 7, 8, 9, 64, 1000}) {
    const Rows rows = rows_of(every_type(), 0, count);
    expect_round_trip(rows, describe(*rows.schema.get(), *rows.array.get()));
  }
}

TEST(ArrowIpc, SlicesOfTheRows) {
  constexpr int total = 40;
  const std::vector<std::string> all = [] {
    const Rows rows = rows_of(every_type(), 0, total);
    return describe(*rows.schema.get(), *rows.array.get());
  }();
  for (const int offset : {0, 1, 7, 8, 13, total}) {
    for (const int length : {0, 1, 9, 27}) {
      if (offset + length > total) continue;
      Rows rows = rows_of(every_type(), 0, total);
      rows.array->offset = offset;
      rows.array->length = length;
      expect_round_trip(rows, {all.begin() + offset, all.begin() + offset + length});
    }
  }
}

TEST(ArrowIpc, SlicesOfTheColumns) {
  // As pyarrow slices a batch; then the rows as well.
  for (const int offset : {0, 1, 8, 11}) {
    for (const int more : {0, 3}) {
      Rows rows = rows_of(every_type(), 0, 40);
      for (std::int64_t i = 0; i < rows.array->n_children; ++i) {
        ArrowArray* child = rows.array->children[i];
        child->offset = offset;
        child->length = 20;
        if (child->null_count > 0) child->null_count = -1;
      }
      rows.array->offset = more;
      rows.array->length = 20 - more;
      const Rows expected = rows_of(every_type(), offset + more, 20 - more);
      // What follows a struct's or list's own value depends on the row, not on the slice.
      expect_round_trip(rows, describe(*expected.schema.get(), *expected.array.get()));
    }
  }
}

TEST(ArrowIpc, SliceIsWrittenWithoutTheRest) {
  Rows rows = rows_of({{"text", "u"}, {"list", "+l", {{"item", "l"}}}}, 0, 10'000);
  rows.array->offset = 5'000;
  rows.array->length = 10;
  EXPECT_LT(encoded(rows).size(), 2'000);
}

TEST(ArrowIpc, WideAndDeep) {
  std::vector<Column> columns;
  for (int i = 0; i < 2'000; ++i) columns.push_back({"c" + std::to_string(i), "l"});
  const Rows wide = rows_of(columns, 0, 3);
  expect_round_trip(wide, describe(*wide.schema.get(), *wide.array.get()));
  const auto nested = [](int levels) {
    Column column{"item", "l"};
    for (int i = 0; i < levels; ++i) column = {i + 1 == levels ? "deep" : "item", "+l", {column}};
    return rows_of({column}, 2, 2);
  };
  const Rows deep = nested(Record::max_nesting);
  expect_round_trip(deep, describe(*deep.schema.get(), *deep.array.get()));
  const Error error = encoding_refusal(nested(Record::max_nesting + 1));
  EXPECT_EQ(error.code, ErrorCode::kUnsupported);
  EXPECT_THAT(error.message, HasSubstr("'deep."));
}

TEST(ArrowIpc, NoColumnsAtAll) {
  Rows rows = rows_of({}, 0, 0);
  rows.array->length = 5;
  EXPECT_EQ(decoded(encoded(rows)).rows->length, 5);
}

TEST(ArrowIpc, MetadataSurvives) {
  Rows rows = rows_of({{"a", "w:16"}, {"b", "+l", {{"item", "l"}}}}, 0, 4);
  const std::string value("\0{\"x\":1}\0\xff", 10);
  const auto add = [&](ArrowSchema* schema, const char* key) {
    nanoarrow::UniqueBuffer metadata;
    require_ok(ArrowMetadataBuilderInit(metadata.get(), nullptr));
    require_ok(ArrowMetadataBuilderAppend(metadata.get(), ArrowCharView(key),
                                          {value.data(), static_cast<std::int64_t>(value.size())}));
    require_ok(
        ArrowMetadataBuilderAppend(metadata.get(), ArrowCharView("empty"), ArrowCharView("")));
    require_ok(ArrowSchemaSetMetadata(schema, reinterpret_cast<const char*>(metadata->data)));
  };
  add(rows.schema.get(), "table");
  add(rows.schema->children[0], "ARROW:extension:name");
  add(rows.schema->children[1]->children[0], "inner");
  expect_round_trip(rows, describe(*rows.schema.get(), *rows.array.get()));
}

TEST(ArrowIpc, NamesMayBeAbsent) {
  Rows rows = rows_of({{"a", "l"}, {"b", "+l", {{"item", "l"}}}}, 0, 4);
  require_ok(ArrowSchemaSetName(rows.schema->children[1]->children[0], nullptr));
  EXPECT_STREQ(decoded(encoded(rows)).schema->children[1]->children[0]->name, "");
  EXPECT_EQ(rows.schema->children[1]->children[0]->name, nullptr);
}

TEST(ArrowIpc, ReadsWhatPyarrowWrites) {
  // Columns id: int64 not null, text: string with metadata, tags: list<int16>.
  const std::string_view hex =
      "ffffffff980100001000000000000a000e000600050008000a000000000104001000000000000a000c0000000400"
      "08000a0000003000000004000000010000000400000018ffffff1000000004000000010000007400000005000000"
      "7461626c6500000003000000000100009000000004000000d4ffffff0000010c140000001c000000040000000100"
      "0000240000000400000074616773000000004cffffff100014000800060007000c00000010001000000000000102"
      "10000000200000000400000000000000040000006974656d0000000008000e000800070008000000000000011000"
      "00000000120018000800060007000c000000100014001200000000000105140000004c0000000800000014000000"
      "00000000040000007465787400000000010000000c00000008000c00040008000800000010000000040000000300"
      "000076007700010000006b0000000400040004000000100014000800000007000c00000010001000000000000002"
      "100000001c0000000400000000000000020000006964000008000c00080007000800000000000001400000000000"
      "0000ffffffff2801000014000000000000000c0016000600050008000c000c000000000304001800000058000000"
      "0000000000000a0018000c00040008000a000000ac00000010000000030000000000000000000000090000000000"
      "00000000000000000000000000000000000000000000180000000000000018000000000000000100000000000000"
      "20000000000000001000000000000000300000000000000004000000000000003800000000000000010000000000"
      "00004000000000000000100000000000000050000000000000000000000000000000500000000000000006000000"
      "00000000000000000400000003000000000000000000000000000000030000000000000001000000000000000300"
      "00000000000001000000000000000300000000000000000000000000000001000000000000000200000000000000"
      "03000000000000000500000000000000000000000100000001000000040000006163636300000000050000000000"
      "0000000000000100000001000000030000000100020003000000ffffffff00000000";
  std::string stream;
  for (std::size_t i = 0; i < hex.size(); i += 2) {
    stream += static_cast<char>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16));
  }
  const DecodedIpc rows = decoded(stream);
  const auto pair = [](std::string_view key, std::string_view value) {
    std::string metadata;
    append_little_endian(metadata, 1);
    append_little_endian(metadata, static_cast<std::int32_t>(key.size()));
    metadata += key;
    append_little_endian(metadata, static_cast<std::int32_t>(value.size()));
    metadata += value;
    return metadata;
  };
  EXPECT_EQ(describe(*rows.schema.get()), ":+s:0" + pair("table", "t") + "<id:l:0,text:u:2" +
                                              pair("k", std::string_view("v\0w", 3)) +
                                              ",tags:+l:2<item:s:2>>");
  const auto bytes = [](auto value) {
    std::string text;
    append_little_endian(text, value);
    return text;
  };
  using std::int16_t;
  using std::int64_t;
  EXPECT_EQ(
      describe(*rows.schema.get(), *rows.rows.get()),
      (std::vector<std::string>{"{" + bytes(int64_t{1}) + ", a, [" + bytes(int16_t{1}) + " ], }",
                                "{" + bytes(int64_t{2}) + ", null, null, }",
                                "{" + bytes(int64_t{3}) + ", ccc, [" + bytes(int16_t{2}) + " " +
                                    bytes(int16_t{3}) + " ], }"}));
}

TEST(ArrowIpc, OwnerLivesAsLongAsTheLastArray) {
  const std::string stream =
      encoded(rows_of({{"a", "l"}, {"s", "+s", {{"x", "u"}, {"y", "l"}}}}, 0, 5));
  bool released = false;
  auto bytes = std::make_shared<const std::string>(stream);
  const std::shared_ptr<const void> keep = bytes;
  auto owner = std::shared_ptr<const void>(bytes->data(), [&](const void*) { released = true; });
  Result<DecodedIpc> rows = decode_ipc(*bytes, std::move(owner));
  ASSERT_TRUE(rows.ok());
  const auto* first = static_cast<const char*>(rows->rows->children[0]->buffers[1]);
  EXPECT_TRUE(first >= bytes->data() && first < bytes->data() + bytes->size());
  nanoarrow::UniqueArray inner;
  ArrowArrayMove(rows->rows->children[1]->children[0], inner.get());
  rows->rows.reset();
  EXPECT_FALSE(released);
  inner.reset();
  EXPECT_TRUE(released);
}

TEST(ArrowIpc, OwnerIsLetGoAfterAFailure) {
  const std::string stream = encoded(rows_of({{"a", "l"}}, 0, 5));
  const auto owner = std::make_shared<const std::string>(stream.substr(0, stream.size() - 8));
  EXPECT_FALSE(decode_ipc(*owner, owner).ok());
  EXPECT_EQ(owner.use_count(), 1);
}

TEST(ArrowIpcRefused, TypesThatAreNotStored) {
  const auto refused = [](const Column& column) {
    Rows rows;
    ArrowSchemaInit(rows.schema.get());
    require_ok(ArrowSchemaSetFormat(rows.schema.get(), "+s"));
    set_columns({{"outer", "+s", {column}}}, rows.schema.get());
    rows.array->length = 0;
    const Error error = encoding_refusal(rows);
    EXPECT_EQ(error.code, ErrorCode::kUnsupported);
    EXPECT_THAT(error.message, HasSubstr("'outer.odd'"));
    return error.message;
  };
  EXPECT_THAT(refused({"odd", "vu"}), HasSubstr("string_view"));
  EXPECT_THAT(refused({"odd", "vz"}), HasSubstr("binary_view"));
  EXPECT_THAT(refused({"odd", "+ud:0", {{"x", "l"}}}), HasSubstr("union"));
  EXPECT_THAT(refused({"odd", "+vl", {{"item", "l"}}}), HasSubstr("list_view"));
  EXPECT_THAT(refused({"odd", "+r", {{"run_ends", "i", {}, false}, {"values", "l"}}}),
              HasSubstr("run_end"));
}

TEST(ArrowIpcRefused, NullRows) {
  Rows rows = rows_of({{"a", "l"}}, 0, 3);
  require_ok(ArrowArrayStartAppending(rows.array.get()));
  require_ok(ArrowArrayAppendNull(rows.array.get(), 1));
  require_ok(ArrowArrayFinishBuildingDefault(rows.array.get(), nullptr));
  EXPECT_EQ(encoding_refusal(rows).code, ErrorCode::kInvalidArgument);
  // The null lies outside.
  rows.array->length = 3;
  EXPECT_EQ(decoded(encoded(rows)).rows->length, 3);
}

TEST(ArrowIpcRefused, RowsThatAreMalformed) {
  const auto spoil = [](const char* format, std::int32_t at, std::int32_t offset) {
    std::vector<Column> children;
    if (format[0] == '+') children.push_back({"item", "l", {}, false});
    Rows rows = rows_of({{"a", format, children, false}}, 0, 5);
    static_cast<std::int32_t*>(const_cast<void*>(rows.array->children[0]->buffers[1]))[at] = offset;
    const Error error = encoding_refusal(rows);
    EXPECT_EQ(error.code, ErrorCode::kInvalidArgument) << error.message;
  };
  for (const char* format : {"u", "+l"}) {
    spoil(format, 0, -1);
    spoil(format, 2, 1000);
    spoil(format, 2, -5);
    spoil(format, 5, -1);
  }
  spoil("+l", 5, 1000);
  Rows other = rows_of({{"a", "l"}}, 0, 5);
  require_ok(ArrowSchemaSetFormat(other.schema->children[0], "u"));
  EXPECT_EQ(encoding_refusal(other).code, ErrorCode::kInvalidArgument);
  require_ok(ArrowSchemaSetFormat(other.schema.get(), "l"));
  EXPECT_EQ(encoding_refusal(other).code, ErrorCode::kInvalidArgument);
}

TEST(ArrowIpcDamage, WrongPlacesAndLengths) {
  const std::string stream = encoded(rows_of({{"a", "l"}}, 0, 5));
  EXPECT_EQ(decode_ipc(std::string_view(stream).substr(1), nullptr).error().code,
            ErrorCode::kInvalidArgument);
  EXPECT_THAT(refusal(stream + std::string(8, '\0')).message, HasSubstr("8 bytes stand behind"));
  EXPECT_THAT(refusal(stream + "x").message, HasSubstr("behind its end"));
  EXPECT_THAT(refusal("").message, HasSubstr("ends early"));
  // A batch more: everything between the schema and the end once again.
  const std::size_t schema_bytes = 8 + load_little_endian<std::uint32_t>(stream.data() + 4);
  const std::string batch = stream.substr(schema_bytes, stream.size() - 8 - schema_bytes);
  const std::string twice =
      stream.substr(0, schema_bytes) + batch + batch + stream.substr(stream.size() - 8);
  EXPECT_THAT(refusal(twice).message, HasSubstr("behind its rows"));
  const std::string none = stream.substr(0, schema_bytes) + stream.substr(stream.size() - 8);
  EXPECT_THAT(refusal(none).message, HasSubstr("ends early"));
  EXPECT_EQ(refusal(batch + stream.substr(stream.size() - 8)).code, ErrorCode::kCorruption);
}

// Whatever the bytes are: an error that says so, or rows that can be read and encoded again.
void expect_sound_or_refused(std::string_view stream) {
  const Result<DecodedIpc> rows = decode(stream);
  if (!rows) {
    EXPECT_TRUE(rows.error().code == ErrorCode::kCorruption ||
                rows.error().code == ErrorCode::kUnsupported)
        << rows.error().message;
    return;
  }
  describe(*rows->schema.get(), *rows->rows.get());
  const Result<std::string> again = encode_ipc(*rows->schema.get(), *rows->rows.get());
  EXPECT_TRUE(again.ok()) << again.error().message;
}

TEST(ArrowIpcDamage, EveryTruncation) {
  const std::string stream = encoded(rows_of(every_type(), 0, 5));
  for (std::size_t size = 0; size < stream.size(); ++size) {
    EXPECT_EQ(refusal(std::string_view(stream).substr(0, size)).code, ErrorCode::kCorruption);
  }
}

TEST(ArrowIpcDamage, EveryFlippedBit) {
  std::string stream = encoded(rows_of(
      {{"a", "l"}, {"t", "u"}, {"l", "+l", {{"item", "b"}}}, {"v", "+w:2", {{"item", "f"}}}}, 0,
      5));
  for (std::size_t i = 0; i < stream.size(); ++i) {
    for (int bit = 0; bit < 8; ++bit) {
      stream[i] = static_cast<char>(stream[i] ^ (1 << bit));
      expect_sound_or_refused(stream);
      stream[i] = static_cast<char>(stream[i] ^ (1 << bit));
    }
  }
}

// A schema of 30 levels, each a struct of the level below 60 times: small, since they are all the
// same one, and 60^30 columns for whoever follows every reference.
TEST(ArrowIpcDamage, SchemaThatRefersToItsPartsAgainAndAgain) {
  flatcc_builder_t builder;
  require_ok(flatcc_builder_init(&builder));
  org_apache_arrow_flatbuf_Message_start_as_root(&builder);
  org_apache_arrow_flatbuf_Message_version_add(&builder,
                                               org_apache_arrow_flatbuf_MetadataVersion_V5);
  org_apache_arrow_flatbuf_Message_header_Schema_start(&builder);
  org_apache_arrow_flatbuf_Field_start(&builder);
  org_apache_arrow_flatbuf_Field_type_Null_create(&builder);
  auto field = org_apache_arrow_flatbuf_Field_end(&builder);
  for (int level = 0; level < 30; ++level) {
    org_apache_arrow_flatbuf_Field_start(&builder);
    org_apache_arrow_flatbuf_Field_type_Struct__create(&builder);
    org_apache_arrow_flatbuf_Field_children_start(&builder);
    for (int i = 0; i < 60; ++i) org_apache_arrow_flatbuf_Field_children_push(&builder, field);
    org_apache_arrow_flatbuf_Field_children_end(&builder);
    field = org_apache_arrow_flatbuf_Field_end(&builder);
  }
  org_apache_arrow_flatbuf_Schema_fields_start(&builder);
  org_apache_arrow_flatbuf_Schema_fields_push(&builder, field);
  org_apache_arrow_flatbuf_Schema_fields_end(&builder);
  org_apache_arrow_flatbuf_Message_header_Schema_end(&builder);
  org_apache_arrow_flatbuf_Message_end_as_root(&builder);
  std::string header(flatcc_builder_get_buffer_size(&builder), '\0');
  flatcc_builder_copy_buffer(&builder, header.data(), header.size());
  flatcc_builder_clear(&builder);
  header.resize((header.size() + 7) / 8 * 8);
  EXPECT_LT(header.size(), 20'000u);
  std::string stream;
  append_little_endian(stream, -1);
  append_little_endian(stream, static_cast<std::int32_t>(header.size()));
  EXPECT_EQ(refusal(stream + header).code, ErrorCode::kCorruption);
}

}  // namespace
}  // namespace persisting
