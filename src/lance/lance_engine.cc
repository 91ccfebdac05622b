#include "persisting/lance_engine.h"

#include <atomic>
#include <cstdint>
#include <memory>
#include <utility>

#include "base/file_system.h"
#include "base/fork_generation.h"
#include "lance/lance_inspection.h"
#include "lance/lance_table.h"
#include "lance/table_format.h"

namespace persisting {
namespace {

constexpr std::uint64_t unused = UINT64_MAX;

// An engine that has run has threads, and they do not survive a fork: in the child it would hang, or worse.
Status refuse_after_fork(std::atomic<std::uint64_t>& first_use) {
  std::uint64_t generation = unused;
  if (first_use.compare_exchange_strong(generation, fork_generation()) ||
      generation == fork_generation()) {
    return ok_status();
  }
  return make_error(ErrorCode::kUnsupported,
                    "this process was forked from one that has used Lance, which does not survive "
                    "a fork; start it afresh (multiprocessing's 'spawn' or 'forkserver')");
}

}  // namespace

Status register_lance_engine(const persisting_lance_engine* engine) {
  if (engine == nullptr) {
    set_table_format({});
    return ok_status();
  }
  if (engine->abi_version != PERSISTING_LANCE_ENGINE_ABI) {
    return make_error(ErrorCode::kUnsupported,
                      "the Lance engine has ABI version " + std::to_string(engine->abi_version) +
                          "; this library speaks " + std::to_string(PERSISTING_LANCE_ENGINE_ABI));
  }
  TableFormat format = lance::make_table_format(FileSystem::posix(), *engine);
  const TableOpener open = std::move(format.open);
  const auto first_use = std::make_shared<std::atomic<std::uint64_t>>(unused);
  format.open = [open, first_use](const std::string& path, const TableVersion& known,
                                  NewerVersions newer) -> Result<std::unique_ptr<Table>> {
    PERSISTING_RETURN_IF_ERROR(refuse_after_fork(*first_use));
    return open(path, known, newer);
  };
  const TableInspector inspect = std::move(format.inspect);
  format.inspect =
      [inspect, first_use](const std::string& path) -> Result<std::unique_ptr<TableInspection>> {
    PERSISTING_RETURN_IF_ERROR(refuse_after_fork(*first_use));
    return inspect(path);
  };
  set_table_format(std::move(format));
  return ok_status();
}

namespace lance {

TableFormat make_table_format(FileSystem& file_system, const persisting_lance_engine& engine) {
  TableFormat format;
  format.open = [&file_system, &engine](const std::string& path, const TableVersion& known,
                                        NewerVersions newer) {
    return LanceTable::open(file_system, engine, path, known, newer);
  };
  format.inspect = [&file_system, &engine](const std::string& path) {
    return inspect_table(file_system, engine, path);
  };
  return format;
}

}  // namespace lance
}  // namespace persisting
