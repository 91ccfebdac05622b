#include <algorithm>

#include "schema/arrow_convert.h"
#include "schema/arrow_type.h"

namespace persisting {
namespace {

// Whether columns of the two types look the same in Arrow, down to the order of members. (Types of one kind have equal
// parameters where they do not matter.)
bool is_same_column(const FieldType& left, const FieldType& right) {
  return left.kind == right.kind && left.number == right.number && left.shape == right.shape &&
         left.has_any_shape == right.has_any_shape && left.scale == right.scale &&
         std::equal(left.children.begin(), left.children.end(), right.children.begin(),
                    right.children.end(), [](const SchemaField& a, const SchemaField& b) {
                      return a.name == b.name && is_same_column(a.type, b.type);
                    });
}

}  // namespace

TableChange plan_change(const Schema& table, const Schema& target) {
  TableChange change;
  std::vector<SchemaField> added;
  for (const SchemaField& field : target.fields()) {
    if (!has_column(field.type)) continue;
    const std::optional<std::size_t> column = table.find(field.name);
    if (!column) {
      added.push_back(field);
      // An added column is null in every row so far.
      if (!field.default_value.empty()) change.kind = TableChange::Kind::kRewrite;
    } else if (!is_same_column(table.fields()[*column].type, field.type)) {
      change.kind = TableChange::Kind::kRewrite;
    }
  }
  if (change.kind == TableChange::Kind::kRewrite || added.empty()) return change;
  change.kind = TableChange::Kind::kAddColumns;
  change.added = Schema(std::move(added));
  return change;
}

}  // namespace persisting
