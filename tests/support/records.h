// Short ways to write records, schemas and Arrow batches in tests.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "persisting/msgpack_writer.h"
#include "persisting/record.h"

#include "schema/admission.h"
#include "schema/arrow_convert.h"
#include "schema/normalizer.h"
#include "schema/schema.h"

namespace persisting::testing {

inline Record record(const Struct& fields) {
  Result<Record> made = Record::make(fields);
  EXPECT_TRUE(made.ok()) << (made ? "" : made.error().message);
  return std::move(made).value();
}

inline RecordBatch batch(const std::vector<Struct>& records) {
  RecordBatch made;
  for (const Struct& fields : records) made.add(record(fields));
  return made;
}

// Encodes without any check, for what Record::make refuses.
inline RecordBatch unchecked_batch(const Struct& fields) {
  RecordBatch made;
  msgpack::write_value(made.bytes(), fields);
  made.end_record();
  return made;
}

inline SchemaPtr empty_schema() { return std::make_shared<const Schema>(); }

// The schema after `records`, each of which must be admitted.
inline SchemaPtr schema_of(const std::vector<Struct>& records) {
  Result<SchemaPtr> admitted = admit(empty_schema(), batch(records), 0);
  EXPECT_TRUE(admitted.ok()) << (admitted ? "" : admitted.error().message);
  return std::move(admitted).value();
}

inline std::string describe(const Schema& schema) {
  return persisting::describe(FieldType{TypeKind::kStruct, false, schema.fields()});
}

inline Struct normalized(const Schema& schema, const Struct& fields) {
  RecordBatch out;
  normalize(schema, record(fields).encoded(), &out);
  return out.fields(0);
}

// Rows of a table and their schema, as a flush makes them.
struct Rows {
  nanoarrow::UniqueSchema schema;
  nanoarrow::UniqueArray array;
};

inline Rows rows_of(const SchemaPtr& schema, const RecordBatch& records,
                    std::uint64_t first_offset = 0) {
  Rows rows;
  EXPECT_TRUE(to_arrow_schema(*schema, rows.schema.get()).ok());
  Result<ArrowBatchBuilder> builder = ArrowBatchBuilder::make(schema);
  EXPECT_TRUE(builder.ok());
  for (std::size_t i = 0; i < records.size(); ++i) {
    const Status added =
        builder->append(first_offset + i, static_cast<std::int64_t>(1000 + i), records[i]);
    EXPECT_TRUE(added.ok()) << (added ? "" : added.error().message);
  }
  EXPECT_EQ(builder->rows(), records.size());
  const Status finished = builder->finish(rows.array.get());
  EXPECT_TRUE(finished.ok()) << (finished ? "" : finished.error().message);
  return rows;
}

// The rows as a stream of one array.
inline nanoarrow::UniqueArrayStream stream_of(Rows rows) {
  nanoarrow::UniqueArrayStream stream;
  make_stream(
      rows.schema.get(),
      [array = std::make_shared<nanoarrow::UniqueArray>(std::move(rows.array))](
          ArrowArray* next) -> Result<bool> {
        if ((*array)->release == nullptr) return false;
        ArrowArrayMove(array->get(), next);
        return true;
      },
      stream.get());
  return stream;
}

inline std::vector<Struct> all_fields(const RecordBatch& records) {
  std::vector<Struct> fields;
  for (std::size_t i = 0; i < records.size(); ++i) fields.push_back(records.fields(i));
  return fields;
}

}  // namespace persisting::testing
