#include "schema/arrow_rows.h"

#include <algorithm>
#include <cstring>
#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>
#include <vector>

#include "persisting/msgpack_writer.h"

#include "base/decimal.h"
#include "base/record_check.h"
#include "base/utf8.h"
#include "schema/arrow_columns.h"
#include "schema/arrow_type.h"
#include "schema/exact_double.h"
#include "schema/json_text.h"

namespace persisting {
namespace {

Error invalid(std::string message) {
  return make_error(ErrorCode::kInvalidArgument, std::move(message));
}

Error malformed(const ArrowError& error) {
  return invalid(std::string("the rows are malformed: ") + error.message);
}

// Looks at the values of one batch, column by column, and adds to its types what they tell.
class ValueScan {
 public:
  // Values [begin, end), counted without the offset of `view` itself.
  Status column(const ArrowArrayView& view, std::int64_t begin, std::int64_t end,
                const std::string& name, FieldType* type) {
    switch (type->kind) {
      case TypeKind::kString:
        return text(view, begin, end, name);
      case TypeKind::kJson:
        return json(view, begin, end, name);
      case TypeKind::kInt64:
        return integers(view, begin, end, type);
      case TypeKind::kNumber:
        return numbers(view, begin, end, name, type);
      case TypeKind::kDecimal:
        return decimals(view, begin, end, name, type);
      case TypeKind::kTensor:
        return tensors(view, begin, end, name, *type);
      case TypeKind::kList:
        return for_each_run(view, begin, end, [&](std::int64_t first, std::int64_t last) {
          return column(*view.children[0], child_begin(view, first), child_begin(view, last),
                        name + "[]", &type->children.front().type);
        });
      case TypeKind::kMap:
        return for_each_run(view, begin, end, [&](std::int64_t first, std::int64_t last) {
          return maps(view, first, last, name, type);
        });
      case TypeKind::kStruct:
        return for_each_run(view, begin, end, [&](std::int64_t first, std::int64_t last) {
          return members(view, first, last, name, type);
        });
      default:
        return ok_status();
    }
  }

 private:
  static std::int64_t child_begin(const ArrowArrayView& view, std::int64_t row) {
    return ArrowArrayViewListChildOffset(&view, view.offset + row);
  }

  // Calls `scan` for each run of rows that are not null: what stands inside of null is no value, and may be anything.
  template <typename Scan>
  static Status for_each_run(const ArrowArrayView& view, std::int64_t begin, std::int64_t end,
                             Scan scan) {
    while (begin < end) {
      std::int64_t first = begin;
      while (first < end && ArrowArrayViewIsNull(&view, first)) ++first;
      begin = first;
      while (begin < end && !ArrowArrayViewIsNull(&view, begin)) ++begin;
      if (first < begin) PERSISTING_RETURN_IF_ERROR(scan(first, begin));
    }
    return ok_status();
  }

  static Status text(const ArrowArrayView& view, std::int64_t begin, std::int64_t end,
                     const std::string& name) {
    for (std::int64_t row = begin; row < end; ++row) {
      if (ArrowArrayViewIsNull(&view, row)) continue;
      const ArrowStringView value = ArrowArrayViewGetStringUnsafe(&view, row);
      if (!is_utf8({value.data, static_cast<std::size_t>(value.size_bytes)}))
        return invalid("column '" + name + "' holds text that is not UTF-8; store it as bytes");
    }
    return ok_status();
  }

  static Status json(const ArrowArrayView& view, std::int64_t begin, std::int64_t end,
                     const std::string& name) {
    std::string unused;
    for (std::int64_t row = begin; row < end; ++row) {
      if (ArrowArrayViewIsNull(&view, row)) continue;
      const ArrowStringView value = ArrowArrayViewGetStringUnsafe(&view, row);
      unused.clear();
      const Status parsed =
          parse_json({value.data, static_cast<std::size_t>(value.size_bytes)}, unused);
      if (!parsed) return invalid("column '" + name + "' is JSON, but " + parsed.error().message);
    }
    return ok_status();
  }

  static Status integers(const ArrowArrayView& view, std::int64_t begin, std::int64_t end,
                         FieldType* type) {
    for (std::int64_t row = begin; row < end && !type->has_inexact_integers; ++row) {
      type->has_inexact_integers = !ArrowArrayViewIsNull(&view, row) &&
                                   !is_exact_double(ArrowArrayViewGetIntUnsafe(&view, row));
    }
    return ok_status();
  }

  static Status numbers(const ArrowArrayView& view, std::int64_t begin, std::int64_t end,
                        const std::string& name, FieldType* type) {
    if (type->number == NumberType::kUInt64) {
      for (std::int64_t row = begin; row < end && !type->has_inexact_integers; ++row) {
        type->has_inexact_integers =
            !ArrowArrayViewIsNull(&view, row) &&
            ArrowArrayViewGetUIntUnsafe(&view, row) > std::uint64_t{max_exact_integer};
      }
    }
    const std::uint32_t each = element_layout(type->number).numbers;
    if (each == 1) return ok_status();
    return elements(view, begin, end, each, name);
  }

  static Status decimals(const ArrowArrayView& view, std::int64_t begin, std::int64_t end,
                         const std::string& name, FieldType* type) {
    for (std::int64_t row = begin; row < end; ++row) {
      if (ArrowArrayViewIsNull(&view, row)) continue;
      Decimal::Coefficient value;
      std::memcpy(&value, view.buffer_views[1].data.as_char + (view.offset + row) * 16,
                  sizeof(value));
      if (!has_decimal_digits(value))
        return invalid("column '" + name + "' holds a decimal of more than 38 digits");
      type->whole_digits =
          std::max(type->whole_digits,
                   static_cast<std::uint8_t>(std::max(decimal_digits(value) - type->scale, 0)));
    }
    if (type->whole_digits + type->scale <= msgpack::max_decimal_digits) return ok_status();
    return invalid("column '" + name + "' holds a decimal of more than 38 digits");
  }

  // None of the fixed-size lists of rows [begin, end) may have a null inside, unless it is null itself.
  static Status elements(const ArrowArrayView& view, std::int64_t begin, std::int64_t end,
                         std::int64_t each, const std::string& name) {
    const ArrowArrayView& values = *view.children[0];
    if (values.buffer_views[0].size_bytes == 0) return ok_status();
    for (std::int64_t row = begin; row < end; ++row) {
      if (ArrowArrayViewIsNull(&view, row)) continue;
      for (std::int64_t i = 0; i < each; ++i) {
        if (ArrowArrayViewIsNull(&values, (view.offset + row) * each + i)) {
          return invalid(
              "column '" + name +
              "' holds an array with a null inside; cast it to a list, which may have them");
        }
      }
    }
    return ok_status();
  }

  static Status tensors(const ArrowArrayView& view, std::int64_t begin, std::int64_t end,
                        const std::string& name, const FieldType& type) {
    if (tensor_storage(type) == TensorStorage::kFixed) {
      const auto each =
          static_cast<std::int64_t>(element_count(type)) * element_layout(type.number).numbers;
      return elements(view, begin, end, each, name);
    }
    // Shape and data must agree: reading them tells.
    ArrowColumn column;
    column.name = name;
    column.target = type;
    column.view = &view;
    std::string unused;
    for (std::int64_t row = begin; row < end; ++row) {
      unused.clear();
      const Status written = write_cells({column}, row, unused);
      if (!written) return invalid(written.error().message);
    }
    return ok_status();
  }

  Status maps(const ArrowArrayView& view, std::int64_t begin, std::int64_t end,
              const std::string& name, FieldType* type) {
    const ArrowArrayView& entries = *view.children[0];
    const ArrowArrayView& keys = *entries.children[0];
    std::vector<std::string_view> names;
    for (std::int64_t row = begin; row < end; ++row) {
      names.clear();
      for (std::int64_t i = child_begin(view, row); i < child_begin(view, row + 1); ++i) {
        if (ArrowArrayViewIsNull(&keys, entries.offset + i))
          return invalid("column '" + name + "' holds a map with a null key");
        const ArrowStringView key = ArrowArrayViewGetStringUnsafe(&keys, entries.offset + i);
        names.emplace_back(key.data, static_cast<std::size_t>(key.size_bytes));
        PERSISTING_RETURN_IF_ERROR(check_field_name(names.back(), false));
      }
      std::ranges::sort(names);
      if (std::ranges::adjacent_find(names) != names.end())
        return invalid("column '" + name + "' holds a map with a key twice");
    }
    const std::int64_t first = entries.offset + child_begin(view, begin);
    const std::int64_t last = entries.offset + child_begin(view, end);
    PERSISTING_RETURN_IF_ERROR(text(keys, first, last, name));
    return column(*entries.children[1], first, last, name + "[]", &type->children.front().type);
  }

  Status members(const ArrowArrayView& view, std::int64_t begin, std::int64_t end,
                 const std::string& name, FieldType* type) {
    // One without members has a column that stands for them.
    for (std::size_t i = 0; i < type->children.size(); ++i) {
      SchemaField& member = type->children[i];
      PERSISTING_RETURN_IF_ERROR(check_field_name(member.name, false));
      PERSISTING_RETURN_IF_ERROR(column(*view.children[i], view.offset + begin, view.offset + end,
                                        name + "." + member.name, &member.type));
    }
    return ok_status();
  }
};

}  // namespace

Status ArrowRows::view(ArrowSchema* schema, ArrowArray* rows) {
  schema_.reset(schema);
  array_.reset(rows);
  ArrowError error;
  ArrowErrorInit(&error);
  if (!is_struct_column(*schema_.get())) {
    return invalid("rows must be structs, not " + describe_column(*schema_.get()) +
                   "; give a record batch or a table");
  }
  if (ArrowArrayViewInitFromSchema(view_.get(), schema_.get(), &error) != NANOARROW_OK ||
      ArrowArrayViewSetArray(view_.get(), array_.get(), &error) != NANOARROW_OK) {
    return malformed(error);
  }
  return ok_status();
}

Result<ArrowRows> ArrowRows::make(DecodedIpc decoded) {
  ArrowRows made;
  PERSISTING_RETURN_IF_ERROR(made.view(decoded.schema.get(), decoded.rows.get()));
  return made;
}

Result<ArrowRows> ArrowRows::make(ArrowSchema* schema, ArrowArray* rows) {
  ArrowRows made;
  PERSISTING_RETURN_IF_ERROR(made.view(schema, rows));
  ArrowError error;
  ArrowErrorInit(&error);
  if (ArrowArrayViewValidate(made.view_.get(), NANOARROW_VALIDATION_LEVEL_FULL, &error) !=
      NANOARROW_OK) {
    return malformed(error);
  }
  for (std::int64_t row = 0; row < made.array().length; ++row) {
    if (made.view_->buffer_views[0].size_bytes == 0) break;
    if (ArrowArrayViewIsNull(made.view_.get(), row))
      return invalid("row " + std::to_string(row) + " is null; leave it out");
  }
  return made;
}

Result<Schema> ArrowRows::fields() const {
  std::vector<SchemaField> fields;
  std::unordered_set<std::string_view> names;
  for (std::int64_t i = 0; i < schema().n_children; ++i) {
    const ArrowSchema& column = *schema().children[i];
    const std::string name = column.name == nullptr ? "" : column.name;
    PERSISTING_RETURN_IF_ERROR(check_field_name(name, true));
    SchemaField& field = fields.emplace_back(SchemaField{name, {}});
    if (!read_column_type(column, Record::max_nesting, &field.type)) {
      return invalid("column '" + name + "' is " + describe_column(column) +
                     ", which no record holds; cast it to a type of docs/types.md");
    }
    if (!names.insert(column.name == nullptr ? "" : column.name).second)
      return invalid("column '" + name + "' is there twice; rename one");
    PERSISTING_RETURN_IF_ERROR(ValueScan().column(
        *view_->children[i], array().offset, array().offset + array().length, name, &field.type));
  }
  return Schema(std::move(fields));
}

Status ArrowRows::read(std::uint64_t first, std::uint64_t count, const Schema& schema,
                       RecordBatch* out) const {
  PERSISTING_ASSIGN_OR_RETURN(const std::vector<ArrowColumn> columns,
                              pair_columns(*schema_.get(), *view_.get(), schema.fields()));
  for (std::uint64_t i = first; i < first + count; ++i) {
    msgpack::write_map(out->bytes(), static_cast<std::uint32_t>(columns.size()));
    PERSISTING_RETURN_IF_ERROR(
        write_cells(columns, array().offset + static_cast<std::int64_t>(i), out->bytes()));
    out->end_record();
  }
  return ok_status();
}

Result<bool> ArrowRows::write_to(std::uint64_t first, std::uint64_t count, const Schema& schema,
                                 RecordSink& sink) const {
  PERSISTING_ASSIGN_OR_RETURN(const std::vector<ArrowColumn> columns,
                              pair_columns(*schema_.get(), *view_.get(), schema.fields()));
  std::string scratch;
  for (std::uint64_t i = first; i < first + count; ++i) {
    sink.begin_record();
    PERSISTING_RETURN_IF_ERROR(
        give_cells(columns, array().offset + static_cast<std::int64_t>(i), sink, scratch));
    if (!sink.end_record()) return false;
  }
  return true;
}

}  // namespace persisting
