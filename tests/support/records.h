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
#include "schema/type_text.h"
#include "table/table.h"

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

inline FieldType type_of(TypeKind kind, std::vector<SchemaField> children = {}) {
  FieldType type;
  type.kind = kind;
  type.children = std::move(children);
  return type;
}

inline std::string describe(const Schema& schema) {
  return persisting::describe(type_of(TypeKind::kStruct, schema.fields()));
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
    RecordBatch normalized;
    normalize(*schema, records[i], &normalized);
    const Status added =
        builder->append(first_offset + i, static_cast<std::int64_t>(1000 + i), normalized[0]);
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

// All rows of a version, with its schema's columns in their order.
inline Result<std::vector<Struct>> read_table(const TableSnapshot& snapshot) {
  nanoarrow::UniqueArrayStream stream;
  PERSISTING_RETURN_IF_ERROR(snapshot.scan(0, snapshot.rows(), stream.get()));
  nanoarrow::UniqueSchema arrow;
  if (stream->get_schema(stream.get(), arrow.get()) != 0)
    return Error{ErrorCode::kIo, Component::kTable, stream->get_last_error(stream.get())};
  std::vector<std::string> foreign;
  PERSISTING_ASSIGN_OR_RETURN(const Schema schema, from_arrow_schema(*arrow.get(), &foreign));
  RecordBatch records;
  while (true) {
    nanoarrow::UniqueArray array;
    if (stream->get_next(stream.get(), array.get()) != 0)
      return Error{ErrorCode::kIo, Component::kTable, stream->get_last_error(stream.get())};
    if (array->release == nullptr) return all_fields(records);
    PERSISTING_RETURN_IF_ERROR(
        decode_rows(*arrow.get(), *array.get(), schema, records.size(), &records));
  }
}

inline std::vector<Struct> table_rows(const TableSnapshot& snapshot) {
  Result<std::vector<Struct>> rows = read_table(snapshot);
  EXPECT_TRUE(rows.ok()) << (rows ? "" : rows.error().message);
  return rows ? std::move(rows).value() : std::vector<Struct>();
}

}  // namespace persisting::testing
