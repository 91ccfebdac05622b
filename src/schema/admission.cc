#include "schema/admission.h"

#include <string>
#include <utility>
#include <vector>

#include "base/record_check.h"
#include "schema/normalizer.h"
#include "schema/record_fit.h"
#include "schema/schema_growth.h"
#include "schema/schema_history.h"

namespace persisting {
namespace {

SchemaPtr finish_growth(const Schema& schema, std::vector<SchemaField> fields,
                        std::uint64_t offset) {
  normalize_defaults(&fields);
  std::vector<SchemaChange> changes = growth_between(schema, fields, offset);
  return make_schema(schema, std::move(fields), std::move(changes));
}

// The schema that holds `record` too; `schema` itself stays as it is.
Result<SchemaPtr> grown(const Schema& schema, std::string_view record, std::uint64_t offset,
                        ConflictPolicy policy) {
  PERSISTING_RETURN_IF_ERROR(check_record(record));
  std::vector<SchemaField> fields = schema.fields();
  PERSISTING_RETURN_IF_ERROR(
      grow(&fields, record, {policy == ConflictPolicy::kStringify, schema.is_closed()}));
  return finish_growth(schema, std::move(fields), offset);
}

}  // namespace

Result<Admission> admit(const SchemaPtr& schema, const RecordBatch& batch,
                        std::uint64_t first_offset, const AdmissionRules& rules) {
  const bool refuses_batch =
      rules.on_conflict != ConflictPolicy::kDeadLetter && !rules.refuse_single_records;
  Admission admission{schema, {}};
  for (std::size_t i = 0; i < batch.size(); ++i) {
    if (record_fits(*admission.schema, batch[i])) continue;
    const std::uint64_t offset = first_offset + i - admission.refused.size();
    Result<SchemaPtr> next = grown(*admission.schema, batch[i], offset, rules.on_conflict);
    if (next) {
      admission.schema = std::move(next).value();
      continue;
    }
    Error error = with_context(
        std::move(next).error(),
        "record " + std::to_string(i) + " of the batch (offset " + std::to_string(offset) + ")");
    if (refuses_batch || error.code != ErrorCode::kSchema) return error;
    admission.refused.push_back({i, std::move(error)});
  }
  return admission;
}

Result<SchemaPtr> admit(const SchemaPtr& schema, const RecordBatch& batch,
                        std::uint64_t first_offset) {
  PERSISTING_ASSIGN_OR_RETURN(Admission admission, admit(schema, batch, first_offset, {}));
  return std::move(admission.schema);
}

Result<SchemaPtr> admit_fields(const SchemaPtr& schema, const Schema& fields,
                               std::uint64_t first_offset) {
  std::vector<SchemaField> merged = schema->fields();
  PERSISTING_RETURN_IF_ERROR(grow(&merged, fields.fields(), {false, schema->is_closed()}));
  if (merged == schema->fields()) return schema;
  return finish_growth(*schema, std::move(merged), first_offset);
}

Result<Schema> merge(const Schema& left, const Schema& right) {
  std::vector<SchemaField> fields = left.fields();
  PERSISTING_RETURN_IF_ERROR(grow(&fields, right.fields(), {}));
  normalize_defaults(&fields);
  return Schema(std::move(fields), left.extras());
}

}  // namespace persisting
