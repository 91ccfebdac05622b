// The stored form of schemas with every kind of type, and what damage does to it.
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "persisting/msgpack_writer.h"

#include "schema/declaration.h"
#include "schema/schema.h"
#include "support/records.h"

namespace persisting {
namespace {

using testing::type_of;

// Every kind, flag and parameter, with defaults and a history.
Schema full_schema() {
  std::vector<SchemaField> fields;
  const auto add = [&fields](FieldType type) -> SchemaField& {
    return fields.emplace_back(SchemaField{"f" + std::to_string(fields.size()), std::move(type)});
  };
  for (std::uint8_t kind = 0; kind <= static_cast<std::uint8_t>(TypeKind::kDate); ++kind)
    add(type_of(static_cast<TypeKind>(kind)));
  for (const char* type :
       {"int64", "float32", "uint64", "complex128", "vector<float32, 3>", "tensor<bfloat16>",
        "tensor<int8, scalar>", "tensor<bool, 2, 0, 1>", "decimal<7>", "uuid", "json",
        "map<string, list<json>>", "list<float16>", "struct<a: int64, b: struct<>>"}) {
    add(parse_type(type).value());
  }
  FieldType text = type_of(TypeKind::kString);
  text.takes_anything = true;
  add(text);
  FieldType inexact = type_of(TypeKind::kInt64);
  inexact.has_inexact_integers = true;
  msgpack::write_int(add(inexact).default_value, INT64_MAX);
  FieldType unsigned_type = type_of(TypeKind::kNumber);
  unsigned_type.number = NumberType::kUInt64;
  unsigned_type.has_inexact_integers = true;
  add(type_of(TypeKind::kList, {{"", unsigned_type}}));
  FieldType decimal = type_of(TypeKind::kDecimal);
  decimal.scale = 3;
  decimal.whole_digits = 35;
  add(decimal);
  std::vector<SchemaChange> history;
  for (std::uint8_t kind = 1; kind <= 8; ++kind)
    history.push_back({UINT64_MAX - kind, static_cast<SchemaChange::Kind>(kind), "f", "x", "grün"});
  return Schema(std::move(fields),
                {true, std::make_shared<const std::vector<SchemaChange>>(std::move(history))});
}

TEST(SchemaParse, EverythingComesBack) {
  const Schema schema = full_schema();
  const Result<Schema> parsed = Schema::parse(schema.serialize());
  ASSERT_TRUE(parsed.ok());
  EXPECT_EQ(*parsed, schema);
  EXPECT_EQ(parsed->history(), schema.history());
  EXPECT_TRUE(parsed->is_closed());
  EXPECT_EQ(parsed->serialize(), schema.serialize());
}

TEST(SchemaParse, TruncatedAnywhereIsCorruption) {
  const std::string valid = full_schema().serialize();
  for (std::size_t size = 0; size < valid.size(); ++size) {
    const Result<Schema> parsed = Schema::parse(valid.substr(0, size));
    ASSERT_FALSE(parsed.ok()) << size;
    EXPECT_EQ(parsed.error().code, ErrorCode::kCorruption);
  }
  EXPECT_EQ(Schema::parse(valid + '\xc0').error().code, ErrorCode::kCorruption);
}

// The checkpoint has a checksum; but whatever passes is a schema like another.
TEST(SchemaParse, AnyOtherByteIsASchemaOrCorruption) {
  const std::string valid = full_schema().serialize();
  int parsed_count = 0;
  for (std::size_t at = 0; at < valid.size(); ++at) {
    for (int other = 1; other < 256; ++other) {
      std::string damaged = valid;
      damaged[at] = static_cast<char>(damaged[at] ^ other);
      const Result<Schema> parsed = Schema::parse(damaged);
      if (!parsed) {
        ASSERT_EQ(parsed.error().code, ErrorCode::kCorruption);
        continue;
      }
      ++parsed_count;
      const Result<Schema> again = Schema::parse(parsed->serialize());
      ASSERT_TRUE(again.ok()) << at;
      ASSERT_EQ(*again, *parsed) << at;
      // A reader uses it.
      testing::describe(*parsed);
      RecordBatch out;
      std::string empty;
      msgpack::write_map(empty, 0);
      normalize(*parsed, empty, &out);
      nanoarrow::UniqueSchema arrow;
      static_cast<void>(to_arrow_schema(*parsed, arrow.get()));
    }
  }
  EXPECT_GT(parsed_count, 100);
}

TEST(SchemaParse, RefusesTypesThatCannotBe) {
  const auto refuses = [](FieldType type) {
    return !Schema::parse(Schema({{"f", std::move(type)}}).serialize()).ok();
  };
  const auto tensor = [](std::vector<std::uint32_t> shape) {
    FieldType type = type_of(TypeKind::kTensor);
    type.shape = std::move(shape);
    return type;
  };
  EXPECT_FALSE(refuses(tensor(std::vector<std::uint32_t>(64, 1))));
  EXPECT_TRUE(refuses(tensor(std::vector<std::uint32_t>(65, 1))));
  EXPECT_TRUE(refuses(tensor({70000, 70000})));
  EXPECT_TRUE(refuses(tensor({0, 70000, 70000})));
  FieldType any_and_fixed = tensor({1});
  any_and_fixed.has_any_shape = true;
  EXPECT_TRUE(refuses(any_and_fixed));
  for (const NumberType number : {NumberType::kInt64, NumberType::kFloat64, NumberType::kBool}) {
    FieldType second_form = type_of(TypeKind::kNumber);
    second_form.number = number;
    EXPECT_TRUE(refuses(second_form));
  }
  FieldType decimal = type_of(TypeKind::kDecimal);
  decimal.scale = 20;
  decimal.whole_digits = 19;
  EXPECT_TRUE(refuses(decimal));
  FieldType text = type_of(TypeKind::kBytes);
  text.takes_anything = true;
  EXPECT_TRUE(refuses(text));
  FieldType inexact = type_of(TypeKind::kDouble);
  inexact.has_inexact_integers = true;
  EXPECT_TRUE(refuses(inexact));
  EXPECT_TRUE(refuses(type_of(TypeKind::kMap)));
  EXPECT_TRUE(refuses(type_of(TypeKind::kJson, {{"", FieldType()}})));
}

}  // namespace
}  // namespace persisting
