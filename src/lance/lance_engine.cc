#include "persisting/lance_engine.h"

#include "base/file_system.h"
#include "lance/lance_table.h"
#include "table/default_opener.h"

namespace persisting {

Status register_lance_engine(const persisting_lance_engine* engine) {
  if (engine == nullptr) {
    set_table_opener({});
    return ok_status();
  }
  if (engine->abi_version != PERSISTING_LANCE_ENGINE_ABI) {
    return make_error(ErrorCode::kUnsupported,
                      "the Lance engine has ABI version " + std::to_string(engine->abi_version) +
                          "; this library speaks " + std::to_string(PERSISTING_LANCE_ENGINE_ABI));
  }
  set_table_opener(
      [engine](const std::string& path, const TableVersion& known, NewerVersions newer) {
        return lance::LanceTable::open(FileSystem::posix(), *engine, path, known, newer);
      });
  return ok_status();
}

}  // namespace persisting
