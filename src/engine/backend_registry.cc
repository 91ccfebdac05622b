#include "persisting/backend_registry.h"

#include <map>
#include <mutex>
#include <utility>

#include "persisting/backends.h"
#include "persisting/suggest.h"

namespace persisting {
namespace {

struct Registry {
  std::mutex mutex;
  std::map<std::string, BackendFactory, std::less<>> factories{
      // under mutex
      {"memory", &MemoryBackend::open},         {"MemoryBackend", &MemoryBackend::open},
      {"lance", &LanceBackend::open},           {"LanceBackend", &LanceBackend::open},
      {"persisting", &PersistingBackend::open}, {"PersistingBackend", &PersistingBackend::open}};
};

Registry& registry() {
  static Registry* const instance = new Registry;
  return *instance;
}

}  // namespace

Status register_backend(std::string name, BackendFactory factory) {
  if (name.empty())
    return make_error(ErrorCode::kInvalidArgument, "a backend's name must not be empty");
  if (!factory)
    return make_error(ErrorCode::kInvalidArgument, "backend '" + name + "' has no factory");
  const std::lock_guard lock(registry().mutex);
  registry().factories.insert_or_assign(std::move(name), std::move(factory));
  return ok_status();
}

Result<BackendFactory> find_backend(std::string_view name) {
  {
    const std::lock_guard lock(registry().mutex);
    const auto found = registry().factories.find(name);
    if (found != registry().factories.end()) return found->second;
  }
  const std::vector<std::string> known = list_backends();
  const std::optional<std::string> nearest = suggest(name, known);
  return make_error(ErrorCode::kInvalidArgument,
                    "unknown backend '" + std::string(name) + "'" +
                        (nearest ? ", did you mean '" + *nearest + "'?" : "") +
                        " Known are: " + join(known) + ". Others are added with register_backend");
}

std::vector<std::string> list_backends() {
  const std::lock_guard lock(registry().mutex);
  std::vector<std::string> names;
  for (const auto& [name, factory] : registry().factories) names.push_back(name);
  return names;
}

}  // namespace persisting
