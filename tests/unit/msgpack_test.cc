#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <limits>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "persisting/msgpack_reader.h"
#include "persisting/msgpack_writer.h"
#include "persisting/record.h"

#include "base/record_check.h"
#include "base/utf8.h"
#include "schema/admission.h"
#include "support/records.h"

namespace persisting {
namespace {

using msgpack::Item;
using msgpack::Kind;
using msgpack::Reader;

// A literal with its NUL characters.
template <std::size_t n>
std::string bytes(const char (&literal)[n]) {
  return std::string(literal, n - 1);
}

std::string encoded(const Value& value) {
  std::string out;
  msgpack::write_value(out, value);
  return out;
}

Item first_item(const std::string& input) { return Reader(input).next(); }

// The ways to take what is expected see the items that next() sees, cut short anywhere too, and leave others alone.
void expect_taken_as_read(const std::string& input) {
  const Item item = first_item(input);
  const auto expect = [&](Kind kind, bool taken, const Reader& reader, const std::string& what) {
    EXPECT_EQ(taken, item.kind == kind) << what << " of " << ::testing::PrintToString(input);
    Reader other(input);
    if (taken) other.next();
    EXPECT_EQ(reader.position(), other.position()) << what;
  };
  bool boolean = false;
  std::int64_t integer = 0;
  double number = 0;
  std::string_view text;
  std::uint32_t size = 0;
  Reader nil(input);
  expect(Kind::kNil, nil.take_nil(), nil, "nil");
  Reader bools(input);
  const bool is_bool = bools.take_bool(&boolean);
  expect(Kind::kBool, is_bool, bools, "bool");
  if (is_bool) {
    EXPECT_EQ(boolean, item.boolean);
  }
  Reader ints(input);
  const bool is_int = ints.take_int(&integer);
  expect(Kind::kInt, is_int, ints, "int");
  if (is_int) {
    EXPECT_EQ(integer, item.integer);
  }
  Reader doubles(input);
  const bool is_double = doubles.take_double(&number);
  if (!input.starts_with('\xca')) expect(Kind::kDouble, is_double, doubles, "double");
  if (is_double) {
    EXPECT_EQ(number, item.number);
  }
  Reader texts(input);
  const bool is_text = texts.take_text(&text);
  expect(Kind::kString, is_text, texts, "text");
  if (is_text) {
    EXPECT_EQ(text, item.text);
  }
  Reader maps(input);
  const bool is_map = maps.take_map(&size);
  expect(Kind::kMap, is_map, maps, "map");
  if (is_map) {
    EXPECT_EQ(size, item.size);
  }
}

TEST(MsgpackReader, TakesWhatIsExpected) {
  std::vector<std::string> inputs{"", "\xc1", bytes("\xca\x3f\x80\x00\x00"),
                                  bytes("\xcf\x80\x00\x00\x00\x00\x00\x00\x00")};
  for (const std::int64_t edge : {0LL, 32LL, 128LL, 1LL << 8, 1LL << 15, 1LL << 16, 1LL << 31,
                                  1LL << 32, std::numeric_limits<long long>::max()}) {
    for (const std::int64_t value : {edge, edge - 1, -edge, -edge - 1})
      inputs.push_back(encoded(value));
  }
  inputs.push_back(encoded(std::numeric_limits<std::int64_t>::min()));
  for (const double value : {0.0, -0.0, 1.5, -1e300, std::numeric_limits<double>::denorm_min()})
    inputs.push_back(encoded(value));
  for (const std::size_t size : {0U, 1U, 31U, 32U, 255U, 256U, 65535U, 65536U})
    inputs.push_back(encoded(std::string(size, 'x')));
  for (const std::size_t size : {0U, 1U, 15U, 16U, 70'000U}) {
    Struct members;
    for (std::size_t i = 0; i < size; ++i) members.emplace_back(std::to_string(i), Null{});
    inputs.push_back(encoded(members));
  }
  inputs.insert(inputs.end(), {encoded(true), encoded(false), encoded(Null{}), encoded(List{1, 2}),
                               encoded(Date{1}), encoded(Bytes{"x"})});
  for (const std::string& input : inputs) {
    expect_taken_as_read(input);
    for (std::size_t end = 0; end < std::min<std::size_t>(input.size(), 16); ++end)
      expect_taken_as_read(input.substr(0, end));
  }
}

TEST(MsgpackReader, TakesATextIfItIsTheOne) {
  for (std::size_t size = 0; size <= 40; ++size) {
    const std::string text = std::string(size, 'a');
    const std::string input = encoded(text) + "rest";
    Reader reader(input);
    EXPECT_TRUE(reader.take_text_if(text)) << size;
    EXPECT_EQ(reader.remaining(), "rest");
    for (std::size_t other = 0; other < size; ++other) {
      std::string changed = text;
      changed[other] = 'b';
      Reader same(input);
      EXPECT_FALSE(same.take_text_if(changed)) << size << " at " << other;
      EXPECT_EQ(same.position(), 0U);
    }
    EXPECT_FALSE(Reader(input).take_text_if(text + "a"));
  }
}

TEST(MsgpackWriter, TakesTheShortestInteger) {
  EXPECT_EQ(encoded(0), bytes("\x00"));
  EXPECT_EQ(encoded(127), bytes("\x7f"));
  EXPECT_EQ(encoded(128), bytes("\xcc\x80"));
  EXPECT_EQ(encoded(256), bytes("\xcd\x01\x00"));
  EXPECT_EQ(encoded(65536), bytes("\xce\x00\x01\x00\x00"));
  EXPECT_EQ(encoded(std::int64_t{1} << 32), bytes("\xcf\x00\x00\x00\x01\x00\x00\x00\x00"));
  EXPECT_EQ(encoded(-1), bytes("\xff"));
  EXPECT_EQ(encoded(-32), bytes("\xe0"));
  EXPECT_EQ(encoded(-33), bytes("\xd0\xdf"));
  EXPECT_EQ(encoded(-129), bytes("\xd1\xff\x7f"));
  EXPECT_EQ(encoded(-32769), bytes("\xd2\xff\xff\x7f\xff"));
  EXPECT_EQ(encoded(std::numeric_limits<std::int64_t>::min()),
            bytes("\xd3\x80\x00\x00\x00\x00\x00\x00\x00"));
}

TEST(MsgpackWriter, WritesDatesAndTimesBigEndian) {
  EXPECT_EQ(encoded(Timestamp{1, true}), bytes("\xd7\x01\x00\x00\x00\x00\x00\x00\x00\x01"));
  EXPECT_EQ(encoded(Timestamp{-1, false}), bytes("\xd7\x02\xff\xff\xff\xff\xff\xff\xff\xff"));
  EXPECT_EQ(encoded(Date{19723}), bytes("\xd6\x03\x00\x00\x4d\x0b"));
}

TEST(MsgpackWriter, EveryValueComesBack) {
  std::vector<Value> values = {Null{},
                               true,
                               false,
                               1.5,
                               Timestamp{-5, true},
                               Timestamp{7, false},
                               Date{-1},
                               "",
                               "text",
                               Bytes{bytes("\x00\xff")},
                               List{},
                               Struct{}};
  for (const std::size_t size : {31u, 32u, 255u, 256u, 65535u, 65536u}) {
    values.emplace_back(std::string(size, 'x'));
    values.emplace_back(Bytes{std::string(size, 'y')});
  }
  for (const std::size_t size : {15u, 16u, 65535u, 65536u}) {
    values.emplace_back(List(size, Value(1)));
    Struct members;
    for (std::size_t i = 0; i < size; ++i) members.emplace_back(std::to_string(i), Null{});
    values.emplace_back(members);
  }
  for (int shift = 0; shift < 63; ++shift) {
    const std::int64_t power = std::int64_t{1} << shift;
    for (const std::int64_t near : {power - 1, power, -power, -power - 1})
      values.emplace_back(near);
  }
  values.emplace_back(std::numeric_limits<std::int64_t>::min());
  values.emplace_back(std::numeric_limits<std::int64_t>::max());
  for (const Value& value : values) {
    const std::string input = encoded(value);
    Reader reader(input);
    Value back;
    ASSERT_TRUE(msgpack::read_value(reader, &back));
    EXPECT_TRUE(reader.at_end());
    EXPECT_TRUE(back == value);
    Reader skipper(input);
    EXPECT_TRUE(skipper.skip());
    EXPECT_TRUE(skipper.at_end());
  }
}

TEST(MsgpackReader, AcceptsLongerFormsThanNeeded) {
  EXPECT_EQ(first_item(bytes("\xcc\x01")).integer, 1);
  EXPECT_EQ(first_item(bytes("\xcf\x00\x00\x00\x00\x00\x00\x00\x01")).integer, 1);
  EXPECT_EQ(first_item(bytes("\xd3\xff\xff\xff\xff\xff\xff\xff\xff")).integer, -1);
  EXPECT_EQ(first_item(bytes("\xdb\x00\x00\x00\x01x")).text, "x");
  EXPECT_EQ(first_item(bytes("\xdd\x00\x00\x00\x01\xc0")).size, 1u);
  EXPECT_EQ(first_item(bytes("\xdf\x00\x00\x00\x01\xc0\xc0")).size, 1u);
  EXPECT_EQ(first_item(bytes("\xc7\x04\x03\x00\x00\x00\x02")).integer, 2);
  EXPECT_EQ(first_item(bytes("\xc8\x00\x04\x03\x00\x00\x00\x02")).integer, 2);
  EXPECT_EQ(first_item(bytes("\xca\x3f\xc0\x00\x00")).number, 1.5);
}

TEST(MsgpackReader, RefusesWhatNoRecordHolds) {
  const std::vector<std::string> inputs = {
      "",
      bytes("\xc1"),
      bytes("\xcf\x80\x00\x00\x00\x00\x00\x00\x00"),      // 2^63
      bytes("\xd4\x01\x00"),                              // ext of another size
      bytes("\xd6\x01\x00\x00\x00\x00"),                  // a timestamp of 4 bytes
      bytes("\xd7\x03\x00\x00\x00\x00\x00\x00\x00\x00"),  // a date of 8 bytes
      bytes("\xd7\xff\x00\x00\x00\x00\x00\x00\x00\x00"),  // msgpack's own timestamp
      bytes("\xa2x"),
      bytes("\xc4\x05xyz"),
      bytes("\xcb\x00"),
      bytes("\x92\xc0"),
      bytes("\xdd\xff\xff\xff\xff\xc0"),
  };
  for (const std::string& input : inputs) {
    Reader reader(input);
    EXPECT_EQ(reader.next().kind, Kind::kInvalid);
    EXPECT_EQ(reader.position(), 0u);
    EXPECT_FALSE(reader.skip());
    EXPECT_EQ(reader.position(), 0u);
  }
}

TEST(MsgpackReader, SkipsAllOrNothing) {
  const std::string cut = bytes("\x82\xa1x\x01\xa1y");
  Reader reader(cut);
  EXPECT_FALSE(reader.skip());
  EXPECT_EQ(reader.position(), 0u);
  EXPECT_EQ(reader.next().kind, Kind::kMap);
  EXPECT_TRUE(reader.skip());
  EXPECT_EQ(reader.remaining(), bytes("\x01\xa1y"));
}

TEST(MsgpackReader, BoundsItsRecursion) {
  const std::string deep(1'000'000, '\x91');
  Reader reader(deep);
  EXPECT_FALSE(reader.skip());
  Value value;
  EXPECT_FALSE(msgpack::read_value(reader, &value));
  EXPECT_FALSE(check_record("\x81\xa1x" + deep).ok());
}

TEST(Utf8, FollowsTheStandard) {
  for (const char* text : {"", "plain ascii, more than eight bytes", "ü", "€uro", "𝄞", "\xc2\x80",
                           "\xdf\xbf", "\xe0\xa0\x80", "\xed\x9f\xbf", "\xee\x80\x80",
                           "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf", "12345678ü"}) {
    EXPECT_TRUE(is_utf8(text)) << text;
  }
  EXPECT_TRUE(is_utf8(std::string_view("a\0b", 3)));
  for (const char* text : {"\x80", "\xbf", "\xc0\x80", "\xc1\xbf", "\xc2", "\xc2 ", "\xe0\x9f\xbf",
                           "\xed\xa0\x80", "\xed\xbf\xbf", "\xe2\x82", "\xf0\x8f\xbf\xbf",
                           "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff", "12345678\xff"}) {
    EXPECT_FALSE(is_utf8(text));
  }
}

// Changes `input` in one of the ways that damage takes.
void mutate(std::string& input, std::mt19937_64& random) {
  const auto below = [&](std::size_t limit) { return static_cast<std::size_t>(random() % limit); };
  const auto byte = [&] { return static_cast<char>(random()); };
  switch (input.empty() ? 1 : below(5)) {
    case 0:
      input[below(input.size())] = byte();
      break;
    case 1:
      input.insert(below(input.size() + 1), 1, byte());
      break;
    case 2:
      input.erase(below(input.size()), 1);
      break;
    case 3:
      input.resize(below(input.size()));
      break;
    default:
      input[below(input.size())] ^= static_cast<char>(1 << below(8));
  }
}

// Whatever passes admission must be a record in every respect; the sanitizers watch the rest.
TEST(MsgpackFuzz, MutatedRecordsAreRefusedOrSound) {
  const char* given = std::getenv("PERSISTING_TEST_SEED");
  const std::uint64_t seed =
      given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device{}();
  std::cout << "PERSISTING_TEST_SEED=" << seed << "\n";
  std::mt19937_64 random(seed);
  const Struct sample = {{"id", 300},
                         {"text", "grün"},
                         {"raw", Bytes{"\x01"}},
                         {"at", Timestamp{5, true}},
                         {"day", Date{3}},
                         {"list", List{List{1, Null{}}, List{}}},
                         {"action", Struct{{"reward", 0.5}, {"none", Struct{}}}}};
  const SchemaPtr schema = testing::schema_of({sample});
  const std::string valid(testing::record(sample).encoded());
  int admitted_count = 0;
  for (int round = 0; round < 20'000; ++round) {
    std::string input = valid;
    for (std::uint64_t i = 0; i < 1 + random() % 3; ++i) mutate(input, random);
    Reader(input).skip();
    Value value;
    Reader reader(input);
    msgpack::read_value(reader, &value);
    RecordBatch batch;
    batch.add_encoded(input);
    const Result<SchemaPtr> admitted = admit(schema, batch, 0);
    if (!admitted) continue;
    ++admitted_count;
    ASSERT_TRUE(Record::from_encoded(input).ok());
    RecordBatch out;
    normalize(*admitted.value(), input, &out);
    ASSERT_TRUE(Record::from_encoded(std::string(out[0])).ok());
    const testing::Rows rows = testing::rows_of(admitted.value(), batch);
    RecordBatch decoded;
    ASSERT_TRUE(decode_rows(*rows.schema.get(), *rows.array.get(), *admitted.value(), 0, &decoded));
  }
  EXPECT_GT(admitted_count, 100);
}

}  // namespace
}  // namespace persisting
