// What a RecordPage gives, as values.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "persisting/msgpack_reader.h"
#include "persisting/record_page.h"

namespace persisting::testing {

// Keeps `most` records and then wants no more.
class RecordKeeper final : public RecordSink {
 public:
  explicit RecordKeeper(std::size_t most = SIZE_MAX) : most_(most) {}

  void fields(const std::vector<std::string_view>& names) override {
    names_.assign(names.begin(), names.end());
  }
  void begin_record() override { records_.emplace_back(); }
  void null() override { add(Null{}); }
  void boolean(bool value) override { add(value); }
  void integer(std::int64_t value) override { add(value); }
  void real(double value) override { add(value); }
  void text(std::string_view utf8) override { add(std::string(utf8)); }
  void encoded(std::string_view value) override { add(decode(value)); }
  bool end_record() override {
    EXPECT_EQ(records_.back().size(), names_.size());
    return records_.size() < most_;
  }
  bool record(std::string_view encoded) override {
    records_.push_back(*decode(encoded).get_if<Struct>());
    return records_.size() < most_;
  }

  const std::vector<Struct>& records() const { return records_; }

 private:
  static Value decode(std::string_view encoded) {
    msgpack::Reader reader(encoded);
    Value value;
    EXPECT_TRUE(msgpack::read_value(reader, &value) && reader.at_end());
    return value;
  }
  void add(Value value) {
    Struct& record = records_.back();
    ASSERT_LT(record.size(), names_.size());
    record.emplace_back(names_[record.size()], std::move(value));
  }

  const std::size_t most_;
  std::vector<std::string> names_;
  std::vector<Struct> records_;
};

inline std::vector<Struct> records_of(const RecordPage& page) {
  RecordKeeper keeper;
  const Status written = page.write_to(keeper);
  EXPECT_TRUE(written.ok()) << (written ? "" : written.error().message);
  EXPECT_EQ(page.size(), keeper.records().size());
  return keeper.records();
}

}  // namespace persisting::testing
