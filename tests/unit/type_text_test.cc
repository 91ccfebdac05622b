#include "schema/type_text.h"

#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "schema/schema.h"
#include "support/records.h"

namespace persisting {
namespace {

using ::testing::HasSubstr;

std::string parsed(std::string_view text) {
  const Result<FieldType> type = parse_type(text);
  if (!type) {
    EXPECT_EQ(type.error().code, ErrorCode::kInvalidArgument);
    return type.error().message;
  }
  EXPECT_TRUE(type->is_declared);
  return describe(*type);
}

TEST(TypeText, ComesBack) {
  std::vector<std::string> texts = {"undecided is no type",
                                    "bool",
                                    "int64",
                                    "double",
                                    "string",
                                    "bytes",
                                    "timestamp with zone",
                                    "timestamp without zone",
                                    "date",
                                    "uuid",
                                    "json",
                                    "list<int64>",
                                    "list<list<float32>>",
                                    "map<string, list<json>>",
                                    "struct<>",
                                    "struct<a: int64, grün: struct<b: list<bool>>, : date>",
                                    "vector<float32, 768>",
                                    "vector<bool, 0>",
                                    "tensor<bfloat16>",
                                    "tensor<float64, scalar>",
                                    "tensor<complex128, 2, 0, 3>",
                                    "decimal<0>",
                                    "decimal<38>"};
  texts.erase(texts.begin());
  for (std::uint8_t code = first_number_type; code <= last_number_type; ++code) {
    const auto type = static_cast<NumberType>(code);
    const std::string name(name_of(type));
    texts.push_back("vector<" + name + ", 3>");
    texts.push_back("tensor<" + name + ", 3, 1>");
    if (type != NumberType::kFloat64) texts.push_back(name);
  }
  for (const std::string& text : texts) EXPECT_EQ(parsed(text), text);
}

TEST(TypeText, OtherNames) {
  const std::vector<std::pair<std::string, std::string>> names = {
      {"int", "int64"},
      {"float64", "double"},
      {"float", "double"},
      {"str", "string"},
      {"utf8", "string"},
      {"large_string", "string"},
      {"text", "string"},
      {"binary", "bytes"},
      {"large_binary", "bytes"},
      {"timestamp[us, UTC]", "timestamp with zone"},
      {"timestamp[us, tz=UTC]", "timestamp with zone"},
      {"timestamp[us]", "timestamp without zone"},
      {"date32[day]", "date"},
      {"date32", "date"},
      {" list< int > ", "list<int64>"},
      {"map<str,int>", "map<string, int64>"},
      {"struct<a:int,b: list<float>>", "struct<a: int64, b: list<double>>"},
      {"tensor<int8, 3>", "vector<int8, 3>"},
      {"vector<int8,2,3>", "tensor<int8, 2, 3>"}};
  for (const auto& [text, name] : names) EXPECT_EQ(parsed(text), name) << text;
}

TEST(TypeText, WhatIsNoType) {
  for (const char* text : {"",
                           " ",
                           "undecided",
                           "integer",
                           "int65",
                           "int64x",
                           "list",
                           "list<",
                           "list<>",
                           "list<int",
                           "list<int>>",
                           "map<int, int>",
                           "map<string>",
                           "struct<a>",
                           "struct<a: >",
                           "struct<a: int",
                           "struct<a: int,>",
                           "vector<>",
                           "vector<string, 3>",
                           "vector<float32, -1>",
                           "vector<float32, x>",
                           "vector<float32, 4294967296>",
                           "vector<float32",
                           "tensor<float32,>",
                           "tensor<float32, scalar, 2>",
                           "decimal",
                           "decimal<>",
                           "decimal<39>",
                           "decimal<-1>",
                           "timestamp",
                           "timestamp[ms]",
                           "Int64"}) {
    EXPECT_THAT(parsed(text), HasSubstr("'" + std::string(text) + "' is no type; use bool"))
        << text;
  }
}

TEST(TypeText, Limits) {
  EXPECT_THAT(parsed("vector<float64, 300000000>"), HasSubstr("larger than 2 GiB"));
  EXPECT_THAT(parsed("tensor<int8, 0, 70000, 70000>"), HasSubstr("larger than 2 GiB"));
  EXPECT_THAT(parsed("tensor<int8, 4294967295, 4294967295, 4294967295>"),
              HasSubstr("larger than 2 GiB"));
  EXPECT_THAT(parsed("struct<a: int, a: int>"), HasSubstr("names 'a' twice"));
  EXPECT_THAT(parsed("struct<__empty_struct: int>"), HasSubstr("is reserved"));
  std::string dimensions = "tensor<int8";
  for (int i = 0; i < 64; ++i) dimensions += ", 1";
  EXPECT_EQ(parsed(dimensions + ">"), dimensions + ">");
  EXPECT_THAT(parsed(dimensions + ", 1>"), HasSubstr("is no type"));
  const auto nested = [](int depth, const std::string& inner) {
    std::string text;
    for (int i = 0; i < depth; ++i) text += "list<";
    return text + inner + std::string(static_cast<std::size_t>(depth), '>');
  };
  EXPECT_EQ(parsed(nested(60, "int8")), nested(60, "int8"));
  EXPECT_THAT(parsed(nested(61, "int8")), HasSubstr("is no type"));
  EXPECT_THAT(parsed(nested(59, "map<string, int8>")), HasSubstr("is no type"));
  EXPECT_THAT(parsed(nested(100'000, "int8")), HasSubstr("is no type"));
}

TEST(TypeText, OfWhatWasFound) {
  EXPECT_EQ(describe(FieldType()), "undecided");
  FieldType text = testing::type_of(TypeKind::kString);
  text.takes_anything = true;
  EXPECT_EQ(describe(text), "string");
}

TEST(TypeDeclaration, FromTextListsAndStructs) {
  const auto declared = [](const Value& value) {
    const Result<FieldType> type = parse_declaration(value);
    return type ? describe(*type) : type.error().message;
  };
  EXPECT_EQ(declared("list<int>"), "list<int64>");
  EXPECT_EQ(declared(List{"int8"}), "list<int8>");
  EXPECT_EQ(declared(Struct{{"a", "int"}, {"b", List{Struct{}}}}),
            "struct<a: int64, b: list<struct<>>>");
  EXPECT_THAT(declared(List{}), HasSubstr("a list of one type, not of 0"));
  EXPECT_THAT(declared(Value(List{"int", "int"})), HasSubstr("a list of one type, not of 2"));
  EXPECT_THAT(declared(5), HasSubstr("a type is declared by its name"));
  EXPECT_THAT(declared(Struct{{"a", List{Struct{{"b", "x"}}}}}),
              HasSubstr("member 'a': member 'b': 'x' is no type"));
  EXPECT_THAT(declared(Struct{{"__empty_struct", "int"}}), HasSubstr("reserved"));
}

}  // namespace
}  // namespace persisting
