#include "base/record_check.h"

#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "persisting/msgpack_reader.h"
#include "persisting/record.h"

#include "base/utf8.h"

namespace persisting {
namespace {

Error invalid(std::string message) {
  return make_error(ErrorCode::kInvalidArgument, std::move(message));
}

Error invalid_at(const msgpack::Reader& reader, std::string_view what) {
  return invalid("the record's encoding is invalid at byte " + std::to_string(reader.position()) +
                 ": " + std::string(what));
}

std::string quoted(std::string_view name) { return std::string("'").append(name).append("'"); }

// Walks one record. `path_` names where it stands, for messages.
class RecordChecker {
 public:
  explicit RecordChecker(std::string_view encoded) : reader_(encoded) {}

  Status check() {
    const msgpack::Item item = reader_.next();
    if (item.kind != msgpack::Kind::kMap) return invalid_at(reader_, "a record is a map");
    PERSISTING_RETURN_IF_ERROR(members(item.size, 0));
    if (!reader_.at_end()) return invalid_at(reader_, "bytes follow the record");
    return ok_status();
  }

 private:
  // `depth`: how many lists and structs are open around the members, the record itself not counted.
  Status members(std::uint32_t size, int depth) {
    std::vector<std::string_view> names;
    for (std::uint32_t i = 0; i < size; ++i) {
      const msgpack::Item key = reader_.next();
      if (key.kind != msgpack::Kind::kString) return invalid_at(reader_, "a field's name is text");
      if (!is_utf8(key.text)) {
        return invalid_at(reader_, "the field name before it is not UTF-8");
      }
      PERSISTING_RETURN_IF_ERROR(check_field_name(key.text, depth == 0));
      names.push_back(key.text);
      path_.push_back(key.text);
      PERSISTING_RETURN_IF_ERROR(value(depth));
      path_.pop_back();
    }
    std::sort(names.begin(), names.end());
    const auto twice = std::adjacent_find(names.begin(), names.end());
    if (twice == names.end()) return ok_status();
    path_.push_back(*twice);
    return invalid("field " + where() + " is given twice; give it once");
  }

  Status value(int depth) {
    const msgpack::Item item = reader_.next();
    switch (item.kind) {
      case msgpack::Kind::kInvalid:
        return invalid_at(reader_, "no value of a record's types for field " + where());
      case msgpack::Kind::kString:
        if (is_utf8(item.text)) return ok_status();
        return invalid("field " + where() + " holds text that is not UTF-8; store it as bytes");
      case msgpack::Kind::kNumber:
      case msgpack::Kind::kTensor:
        if (depth + array_nesting <= Record::max_nesting) return ok_status();
        return too_deep();
      case msgpack::Kind::kArray:
      case msgpack::Kind::kMap:
        return container(item, depth + 1);
      default:
        return ok_status();
    }
  }

  Status container(const msgpack::Item& item, int depth) {
    if (depth > Record::max_nesting) return too_deep();
    if (item.kind == msgpack::Kind::kMap) return members(item.size, depth);
    for (std::uint32_t i = 0; i < item.size; ++i) PERSISTING_RETURN_IF_ERROR(value(depth));
    return ok_status();
  }

  Error too_deep() const {
    return invalid("field " + quoted(path_.front()) + " nests deeper than " +
                   std::to_string(Record::max_nesting) +
                   " lists and structs (an array counts for " + std::to_string(array_nesting) +
                   "); flatten it");
  }

  std::string where() const {
    std::string joined;
    for (const std::string_view name : path_) {
      if (!joined.empty()) joined += '.';
      joined += name;
    }
    return quoted(joined);
  }

  msgpack::Reader reader_;
  std::vector<std::string_view> path_;
};

}  // namespace

Status check_record(std::string_view encoded) {
  if (encoded.size() > max_record_bytes) {
    return invalid("a record of " + std::to_string(encoded.size()) + " bytes is larger than " +
                   std::to_string(max_record_bytes) + "; split it");
  }
  return RecordChecker(encoded).check();
}

Status check_field_name(std::string_view name, bool top_level) {
  // The system columns of a table, and the names that Lance gives to its own.
  static constexpr std::array<std::string_view, 6> reserved = {"_offset",
                                                               "_ts",
                                                               "_rowid",
                                                               "_rowaddr",
                                                               "_row_created_at_version",
                                                               "_row_last_updated_at_version"};
  if (name.find('\0') != std::string_view::npos) {
    return invalid("field name " + quoted(name.substr(0, name.find('\0'))) +
                   "... holds a NUL character; take it out");
  }
  if (!top_level) {
    if (name != empty_struct_name) return ok_status();
    return invalid("member name " + quoted(name) + " is reserved; rename the member");
  }
  if (name.empty()) return invalid("a field's name is empty; name it");
  if (std::find(reserved.begin(), reserved.end(), name) != reserved.end()) {
    return invalid("field name " + quoted(name) + " is reserved; rename the field");
  }
  if (name.find_first_of(".`*") != std::string_view::npos) {
    return invalid("field name " + quoted(name) +
                   " holds '.', '`' or '*', which the table cannot address; rename the field");
  }
  return ok_status();
}

}  // namespace persisting
