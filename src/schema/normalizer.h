// A record as a reader sees it: every field of the schema, in its order; where the record lacks it the field's default
// or None; every value of the field's own type, structs likewise inside. So it reads the same before and after its flush,
// and so the table gets it.
// Threads: free functions over immutable schemas.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "persisting/msgpack_reader.h"
#include "persisting/record.h"
#include "persisting/record_page.h"

#include "schema/schema.h"

namespace persisting {

// Appends the normalized form of `record`, which `schema` must have admitted, to `out`.
void normalize(const Schema& schema, std::string_view record, RecordBatch* out);

// Gives the values of that form to `sink`, between its begin_record() and end_record(). `scratch` is overwritten.
void normalize(const Schema& schema, std::string_view record, RecordSink& sink,
               std::string& scratch);

// Whether every value of the type looks to a reader as it was put.
bool reads_as_put(const FieldType& type);

// Appends the next value as one of `type`, which must hold it.
void normalize_value(const FieldType& type, msgpack::Reader& reader, std::string& out);

// Brings the defaults of a record's fields, whose types have changed, to the form of these.
void normalize_defaults(std::vector<SchemaField>* fields);

}  // namespace persisting
