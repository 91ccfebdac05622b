#include "schema/admission.h"

#include <string>
#include <utility>
#include <vector>

#include "base/record_check.h"
#include "schema/record_fit.h"
#include "schema/schema_growth.h"

namespace persisting {
namespace {

// The schema that holds `record` too; `schema` itself stays as it is.
Result<SchemaPtr> grown(const Schema& schema, std::string_view record) {
  PERSISTING_RETURN_IF_ERROR(check_record(record));
  std::vector<SchemaField> fields = schema.fields();
  PERSISTING_RETURN_IF_ERROR(grow(&fields, record));
  return SchemaPtr(std::make_shared<const Schema>(std::move(fields)));
}

}  // namespace

Result<SchemaPtr> admit(const SchemaPtr& schema, const RecordBatch& batch,
                        std::uint64_t first_offset) {
  SchemaPtr current = schema;
  for (std::size_t i = 0; i < batch.size(); ++i) {
    if (record_fits(*current, batch[i])) continue;
    Result<SchemaPtr> next = grown(*current, batch[i]);
    if (!next) {
      return with_context(std::move(next).error(), "record " + std::to_string(i) +
                                                       " of the batch (offset " +
                                                       std::to_string(first_offset + i) + ")");
    }
    current = std::move(next).value();
  }
  return current;
}

Result<Schema> merge(const Schema& left, const Schema& right) {
  std::vector<SchemaField> fields = left.fields();
  PERSISTING_RETURN_IF_ERROR(grow(&fields, right.fields()));
  return Schema(std::move(fields));
}

}  // namespace persisting
