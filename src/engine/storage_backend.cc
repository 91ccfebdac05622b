// What a backend need not have.
#include "persisting/storage_backend.h"

#include <string>
#include <utility>

namespace persisting {
namespace {

Error unsupported(const char* what) {
  return make_error(ErrorCode::kUnsupported, std::string("this backend has no ") + what);
}

// Records that are encoded already.
class EncodedPage : public RecordPage {
 public:
  explicit EncodedPage(RecordBatch records) : records_(std::move(records)) {}

  std::uint64_t size() const override { return records_.size(); }
  Status write_to(RecordSink& sink) const override {
    for (std::size_t i = 0; i < records_.size(); ++i) {
      if (!sink.record(records_[i])) break;
    }
    return ok_status();
  }

 private:
  const RecordBatch records_;
};

Result<RecordPagePtr> page_of(Result<RecordBatch> records) {
  if (!records) return std::move(records).error();
  return make_page(std::move(records).value());
}

}  // namespace

RecordPagePtr make_page(RecordBatch records) {
  return std::make_shared<EncodedPage>(std::move(records));
}

Result<RecordPagePtr> StorageBackend::read(std::uint64_t limit, std::uint64_t offset) {
  return page_of(get(limit, offset));
}

void StorageBackend::read_async(std::uint64_t limit, std::uint64_t offset, ReadCallback done) {
  get_async(limit, offset, [done = std::move(done)](Result<RecordBatch> records) {
    done(page_of(std::move(records)));
  });
}

Result<std::uint64_t> StorageBackend::put_arrow(ArrowSchema* schema, ArrowArray* rows) {
  if (schema->release != nullptr) schema->release(schema);
  if (rows->release != nullptr) rows->release(rows);
  return unsupported("put_arrow");
}

Result<ArrowStreamPtr> StorageBackend::get_arrow(std::uint64_t, std::uint64_t) {
  return unsupported("get_arrow");
}

Result<std::vector<FieldDescription>> StorageBackend::schema() { return unsupported("schema"); }

Result<std::vector<SchemaChange>> StorageBackend::schema_history() {
  return unsupported("schema_history");
}

Result<std::vector<MetricFamily>> StorageBackend::get_metrics() { return unsupported("metrics"); }

Status StorageBackend::drop_field(const std::string&) { return unsupported("drop_field"); }

Status StorageBackend::rename_field(const std::string&, const std::string&) {
  return unsupported("rename_field");
}

Result<RecordBatch> StorageBackend::get_dead_letters(std::uint64_t, std::uint64_t) {
  return unsupported("dead letters");
}

Result<CompactionReport> StorageBackend::compact(const CompactionOptions&) {
  return unsupported("compact");
}

Status StorageBackend::pause_maintenance() { return unsupported("maintenance"); }

Status StorageBackend::resume_maintenance() { return unsupported("maintenance"); }

}  // namespace persisting
