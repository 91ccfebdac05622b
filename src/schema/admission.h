// Decides whether records fit a bucket's schema, before they reach the log: what is acknowledged
// can be flushed.
// Threads: free functions over immutable schemas.
#pragma once

#include <cstdint>
#include <vector>

#include "persisting/record.h"

#include "schema/schema.h"

namespace persisting {

// What becomes of a record whose types conflict with the schema.
enum class ConflictPolicy : std::uint8_t {
  kReject,      // it is refused
  kDeadLetter,  // it is kept aside, with the reason
  kStringify,   // the field becomes text, what it holds already too
};

struct AdmissionRules {
  ConflictPolicy on_conflict = ConflictPolicy::kReject;
  // kReject: refuse only the record, and take the rest of its batch.
  bool refuse_single_records = false;
};

struct Refusal {
  std::size_t index = 0;  // in the batch
  Error error;
};

struct Admission {
  SchemaPtr schema;              // that holds all but the refused
  std::vector<Refusal> refused;  // by index; empty where the rules refuse whole batches
};

// Checks all records of `batch` in order. The schema is `schema` itself where it holds them all, else the
// grown one that does. Where one does not fit, and the rules refuse whole batches, nothing of the batch may be kept:
// kSchema for a conflict of types. Bytes or names that are no record's are kInvalidArgument under all rules. The
// message names the record's index in the batch and the offset it would have had, the field's path, both types and
// what to do.
//
// Rules: docs/schema-evolution.md. A missing field and None fit everywhere; an undecided type takes
// the first value's; a number type becomes the smallest that holds both without loss; a new field or struct member
// grows the schema (its name is checked with check_field_name); anything else is a conflict.
Result<Admission> admit(const SchemaPtr& schema, const RecordBatch& batch,
                        std::uint64_t first_offset, const AdmissionRules& rules);

// Under the default rules; gives the schema.
Result<SchemaPtr> admit(const SchemaPtr& schema, const RecordBatch& batch,
                        std::uint64_t first_offset);

// The same for rows that bring `fields` (see ArrowRows::fields()), by their types alone. kSchema where the types conflict, or
// where single values decide: put them as records then.
Result<SchemaPtr> admit_fields(const SchemaPtr& schema, const Schema& fields,
                               std::uint64_t first_offset);

// The smallest schema that holds what both hold; kSchema names the field where there is none.
// Used when a table has columns that the checkpoint does not know. History and the rest are those of `left`.
Result<Schema> merge(const Schema& left, const Schema& right);

}  // namespace persisting
