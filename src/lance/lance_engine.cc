#include "persisting/lance_engine.h"

#include "base/file_system.h"
#include "lance/lance_inspection.h"
#include "lance/lance_table.h"
#include "lance/table_format.h"

namespace persisting {

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
  set_table_format(lance::make_table_format(FileSystem::posix(), *engine));
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
