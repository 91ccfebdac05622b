// Arrow batches as programs put them, and what a reader gets, in tests.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "persisting/storage_backend.h"

#include "schema/arrow_rows.h"
#include "support/records.h"

namespace persisting::testing {

// The records as rows of the smallest schema that holds them, without system columns.
inline Rows arrow_of(const SchemaPtr& schema, const std::vector<Struct>& records) {
  Rows rows;
  EXPECT_TRUE(to_arrow_fields(*schema, rows.schema.get()).ok());
  Result<ArrowBatchBuilder> builder = ArrowBatchBuilder::make(schema, SystemColumns::kWithout);
  EXPECT_TRUE(builder.ok());
  for (const Struct& fields : records) {
    RecordBatch normalized;
    normalize(*schema, record(fields).encoded(), &normalized);
    EXPECT_TRUE(builder->append(0, 0, normalized[0]).ok());
  }
  EXPECT_TRUE(builder->finish(rows.array.get()).ok());
  return rows;
}
inline Rows arrow_of(const std::vector<Struct>& records) {
  return arrow_of(schema_of(records), records);
}

// Rows of one column of the given Arrow type ("U": large_string), filled by the test.
inline Rows arrow_column(const std::string& name, const char* format, const char* child,
                         const std::function<void(ArrowArray*)>& fill) {
  Rows rows;
  ArrowSchemaInit(rows.schema.get());
  EXPECT_EQ(ArrowSchemaSetTypeStruct(rows.schema.get(), 1), NANOARROW_OK);
  ArrowSchema* column = rows.schema->children[0];
  EXPECT_EQ(ArrowSchemaSetFormat(column, format), NANOARROW_OK);
  EXPECT_EQ(ArrowSchemaSetName(column, name.c_str()), NANOARROW_OK);
  if (child != nullptr) {
    EXPECT_EQ(ArrowSchemaAllocateChildren(column, 1), NANOARROW_OK);
    ArrowSchemaInit(column->children[0]);
    EXPECT_EQ(ArrowSchemaSetFormat(column->children[0], child), NANOARROW_OK);
    EXPECT_EQ(ArrowSchemaSetName(column->children[0], "item"), NANOARROW_OK);
  }
  EXPECT_EQ(ArrowArrayInitFromSchema(rows.array.get(), rows.schema.get(), nullptr), NANOARROW_OK);
  EXPECT_EQ(ArrowArrayStartAppending(rows.array.get()), NANOARROW_OK);
  fill(rows.array->children[0]);
  rows.array->length = rows.array->children[0]->length;
  EXPECT_EQ(ArrowArrayFinishBuildingDefault(rows.array.get(), nullptr), NANOARROW_OK);
  return rows;
}

// All rows of a reply, as records of `schema`. Every batch has its type.
inline std::vector<Struct> rows_of_stream(ArrowArrayStream* stream, const Schema& schema) {
  RecordBatch records;
  while (true) {
    nanoarrow::UniqueSchema type;
    nanoarrow::UniqueArray array;
    EXPECT_EQ(stream->get_schema(stream, type.get()), 0);
    EXPECT_EQ(stream->get_next(stream, array.get()), 0);
    if (array->release == nullptr) break;
    EXPECT_EQ(type->n_children, static_cast<std::int64_t>(schema.fields().size()));
    Result<ArrowRows> rows = ArrowRows::make(type.get(), array.get());
    EXPECT_TRUE(rows.ok()) << (rows ? "" : rows.error().message);
    if (!rows) break;
    const Status read = rows->read(0, rows->size(), schema, &records);
    EXPECT_TRUE(read.ok()) << (read ? "" : read.error().message);
    if (!read) break;
  }
  return all_fields(records);
}

}  // namespace persisting::testing
