// A record reads the same from the tail and from the table, whatever records come and go around it.
// rapidcheck prints its seed; RC_PARAMS="seed=..." runs it again.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include "schema/admission.h"
#include "schema/arrow_convert.h"
#include "schema/normalizer.h"
#include "support/records.h"

namespace persisting {
namespace {

// Names and numbers come from small sets, and a name mostly brings its own kind of value: so records
// meet in the same fields, and types widen and grow often, and conflict now and then.
rc::Gen<std::string> any_name() {
  return rc::gen::element<std::string>("number", "text", "list", "struct", "grün", "any",
                                       "a name beyond the room of small strings");
}

rc::Gen<std::int64_t> any_integer() {
  const std::int64_t limit = std::int64_t{1} << 53;
  const std::vector<std::int64_t> edges = {limit, limit + 1, -limit, INT64_MIN};
  return rc::gen::oneOf(rc::gen::arbitrary<std::int64_t>(), rc::gen::inRange<std::int64_t>(-9, 9),
                        rc::gen::elementOf(edges));
}

// No NaN: it would not equal itself in the comparison.
rc::Gen<double> any_double() {
  return rc::gen::map(rc::gen::arbitrary<double>(),
                      [](double x) { return std::isnan(x) ? 0.25 : x; });
}

rc::Gen<std::string> any_text() {
  return rc::gen::oneOf(rc::gen::element<std::string>("", "x", "grün", "𝄞", std::string(300, 'y')),
                        rc::gen::container<std::string>(rc::gen::inRange<char>(1, 127)));
}

rc::Gen<Value> any_member(const std::string& name, int depth);

rc::Gen<Struct> any_struct(int depth) {
  return rc::gen::exec([depth] {
    Struct members;
    for (int left = *rc::gen::inRange(0, 7); left > 0; --left) {
      const std::string name = *any_name();
      const bool is_new = std::none_of(members.begin(), members.end(),
                                       [&](const auto& member) { return member.first == name; });
      if (is_new) members.emplace_back(name, *any_member(name, depth));
    }
    return members;
  });
}

template <typename T>
rc::Gen<Value> as_value(rc::Gen<T> gen) {
  return rc::gen::map(std::move(gen), [](T value) { return Value(std::move(value)); });
}

rc::Gen<Value> any_scalar() {
  const auto instant = rc::gen::map(rc::gen::arbitrary<std::pair<std::int64_t, bool>>(),
                                    [](const std::pair<std::int64_t, bool>& made) {
                                      return Timestamp{made.first, made.second};
                                    });
  const auto date = rc::gen::map(rc::gen::arbitrary<std::int32_t>(),
                                 [](std::int32_t days) { return Date{days}; });
  const auto raw = rc::gen::map(rc::gen::arbitrary<std::string>(),
                                [](std::string data) { return Bytes{std::move(data)}; });
  return rc::gen::weightedOneOf<Value>({{4, rc::gen::just(Value())},
                                        {1, as_value(rc::gen::arbitrary<bool>())},
                                        {6, as_value(any_integer())},
                                        {6, as_value(any_double())},
                                        {2, as_value(any_text())},
                                        {1, as_value(raw)},
                                        {1, as_value(instant)},
                                        {1, as_value(date)}});
}

rc::Gen<Value> any_list(int depth) {
  // All elements follow one name, so that they fit each other.
  return rc::gen::mapcat(any_name(), [depth](const std::string& name) {
    return as_value(rc::gen::resize(5, rc::gen::container<List>(any_member(name, depth))));
  });
}

rc::Gen<Value> any_member(const std::string& name, int depth) {
  const rc::Gen<Value> none = rc::gen::just(Value());
  if (name == "number") {
    return rc::gen::weightedOneOf<Value>(
        {{1, none}, {4, as_value(any_integer())}, {4, as_value(any_double())}});
  }
  if (name == "text") return rc::gen::weightedOneOf<Value>({{1, none}, {4, as_value(any_text())}});
  if (depth == 0) return any_scalar();
  if (name == "list") {
    const rc::Gen<Value> numbers = rc::gen::lazy([] {
      return as_value(rc::gen::resize(5, rc::gen::container<List>(any_member("number", 0))));
    });
    return rc::gen::weightedOneOf<Value>({{1, none}, {4, numbers}});
  }
  if (name == "struct") {
    const rc::Gen<Value> members =
        rc::gen::lazy([depth] { return as_value(any_struct(depth - 1)); });
    return rc::gen::weightedOneOf<Value>({{1, none}, {4, members}});
  }
  const rc::Gen<Value> nested = rc::gen::lazy([depth] { return any_list(depth - 1); });
  return rc::gen::weightedOneOf<Value>({{1, none}, {1, any_scalar()}, {3, nested}});
}

rc::Gen<std::vector<Struct>> any_records() {
  return rc::gen::scale(0.5, rc::gen::container<std::vector<Struct>>(any_struct(3)));
}

struct Bucket {
  SchemaPtr schema = testing::empty_schema();
  RecordBatch records;

  // Puts one record; what does not fit is left out, as a caller would.
  void put(const Struct& fields) {
    RecordBatch one = testing::batch({fields});
    const Result<SchemaPtr> admitted = admit(schema, one, records.size());
    if (!admitted) {
      RC_ASSERT(admitted.error().code == ErrorCode::kSchema);
      return;
    }
    schema = admitted.value();
    records.append(one);
  }
};

std::vector<Struct> tail_view(const Schema& schema, const RecordBatch& records) {
  RecordBatch out;
  for (std::size_t i = 0; i < records.size(); ++i) normalize(schema, records[i], &out);
  return testing::all_fields(out);
}

RecordBatch decode(const testing::Rows& rows, const Schema& schema) {
  RecordBatch out;
  const Status decoded = decode_rows(*rows.schema.get(), *rows.array.get(), schema, 0, &out);
  if (!decoded) RC_FAIL(decoded.error().message);
  return out;
}

RC_GTEST_PROP(SchemaProperty, TailAndTableReadTheSame, ()) {
  Bucket bucket;
  for (const Struct& fields : *any_records()) bucket.put(fields);
  const testing::Rows rows = testing::rows_of(bucket.schema, bucket.records);
  const RecordBatch decoded = decode(rows, *bucket.schema);
  RC_ASSERT(testing::all_fields(decoded) == tail_view(*bucket.schema, bucket.records));
  // Not only equal values: the same bytes.
  RecordBatch normal;
  for (std::size_t i = 0; i < bucket.records.size(); ++i) {
    normalize(*bucket.schema, bucket.records[i], &normal);
  }
  RC_ASSERT(decoded.bytes() == normal.bytes());
}

RC_GTEST_PROP(SchemaProperty, AlsoAfterLaterRecordsAndARewrite, ()) {
  Bucket bucket;
  for (const Struct& fields : *any_records()) bucket.put(fields);
  const SchemaPtr flushed_under = bucket.schema;
  const RecordBatch flushed = bucket.records;
  const testing::Rows table = testing::rows_of(flushed_under, flushed);
  for (const Struct& fields : *any_records()) bucket.put(fields);

  const std::vector<Struct> expected = tail_view(*bucket.schema, flushed);
  const RecordBatch read = decode(table, *bucket.schema);
  RC_ASSERT(testing::all_fields(read) == expected);
  // The rewrite: what was read is built again under the new schema.
  const testing::Rows rewritten = testing::rows_of(bucket.schema, read);
  RC_ASSERT(testing::all_fields(decode(rewritten, *bucket.schema)) == expected);
}

RC_GTEST_PROP(SchemaProperty, OneBatchEqualsManyPuts, ()) {
  Bucket bucket;
  for (const Struct& fields : *any_records()) bucket.put(fields);
  const Result<SchemaPtr> at_once = admit(testing::empty_schema(), bucket.records, 0);
  RC_ASSERT(at_once.ok());
  RC_ASSERT(*at_once.value() == *bucket.schema);
  RC_ASSERT(admit(bucket.schema, bucket.records, 0).value() == bucket.schema);
}

RC_GTEST_PROP(SchemaProperty, CheckpointAndTableGiveTheSchemaBack, ()) {
  Bucket bucket;
  for (const Struct& fields : *any_records()) bucket.put(fields);
  RC_ASSERT(Schema::parse(bucket.schema->serialize()).value() == *bucket.schema);
  nanoarrow::UniqueSchema arrow;
  RC_ASSERT(to_arrow_schema(*bucket.schema, arrow.get()).ok());
  std::vector<std::string> ignored;
  const Schema table = from_arrow_schema(*arrow.get(), &ignored).value();
  RC_ASSERT(ignored.empty());
  RC_ASSERT(plan_change(table, *bucket.schema).kind == TableChange::Kind::kNone);
  RC_ASSERT(merge(*bucket.schema, table).value() == *bucket.schema);
}

RC_GTEST_PROP(SchemaProperty, MergeHoldsWhatEitherHolds, ()) {
  Bucket left;
  Bucket right;
  for (const Struct& fields : *any_records()) left.put(fields);
  for (const Struct& fields : *any_records()) right.put(fields);
  const Result<Schema> merged = merge(*left.schema, *right.schema);
  if (!merged) {
    RC_ASSERT(merged.error().code == ErrorCode::kSchema);
    return;
  }
  const auto schema = std::make_shared<const Schema>(merged.value());
  RC_ASSERT(admit(schema, left.records, 0).value() == schema);
  RC_ASSERT(admit(schema, right.records, 0).value() == schema);
}

}  // namespace
}  // namespace persisting
