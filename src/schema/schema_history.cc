#include "schema/schema_history.h"

#include <string>
#include <utility>

#include "schema/type_text.h"

namespace persisting {
namespace {

class Comparison {
 public:
  explicit Comparison(std::uint64_t offset) : offset_(offset) {}

  // `guess` of a member's place is right but where members were dropped.
  void members(const std::vector<SchemaField>& before, const std::vector<SchemaField>& after,
               const std::string& prefix) {
    std::size_t next = 0;
    for (const SchemaField& field : after) {
      const bool is_known = next < before.size() && before[next].name == field.name;
      if (is_known) {
        type(before[next].type, field.type, prefix + field.name);
        ++next;
      } else {
        add(SchemaChange::Kind::kAdded, prefix + field.name, {}, describe(field.type));
      }
    }
  }

  std::vector<SchemaChange> take() { return std::move(changes_); }

 private:
  void type(const FieldType& before, const FieldType& after, const std::string& name) {
    if (before.kind == TypeKind::kUndecided && after.kind != TypeKind::kUndecided)
      return add(SchemaChange::Kind::kDecided, name, {}, describe(after));
    if (after.takes_anything && !before.takes_anything)
      return add(SchemaChange::Kind::kText, name, describe(before), describe(after));
    if (after.kind == TypeKind::kStruct)
      return members(before.children, after.children, name + ".");
    if (after.kind == TypeKind::kList || after.kind == TypeKind::kMap)
      return type(before.children.front().type, after.children.front().type, name + "[]");
    std::string from = describe(before);
    std::string to = describe(after);
    if (from != to) add(SchemaChange::Kind::kWidened, name, std::move(from), std::move(to));
  }

  void add(SchemaChange::Kind kind, std::string field, std::string before, std::string after) {
    changes_.push_back({offset_, kind, std::move(field), std::move(before), std::move(after)});
  }

  const std::uint64_t offset_;
  std::vector<SchemaChange> changes_;
};

}  // namespace

std::vector<SchemaChange> growth_between(const Schema& before,
                                         const std::vector<SchemaField>& grown,
                                         std::uint64_t offset) {
  Comparison comparison(offset);
  comparison.members(before.fields(), grown, {});
  return comparison.take();
}

SchemaPtr make_schema(const Schema& before, std::vector<SchemaField> fields,
                      std::vector<SchemaChange> changes) {
  Schema::Extras extras = before.extras();
  if (!changes.empty()) {
    std::vector<SchemaChange> history = *extras.history;
    history.insert(history.end(), std::make_move_iterator(changes.begin()),
                   std::make_move_iterator(changes.end()));
    extras.history = std::make_shared<const std::vector<SchemaChange>>(std::move(history));
  }
  return std::make_shared<const Schema>(std::move(fields), std::move(extras));
}

}  // namespace persisting
