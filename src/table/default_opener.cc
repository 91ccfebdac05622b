#include "table/default_opener.h"

#include <mutex>
#include <utility>

namespace persisting {
namespace {

struct Holder {
  std::mutex mutex;
  TableOpener opener;
};

Holder& holder() {
  static Holder* const instance = new Holder;  // outlives every thread that may ask at exit
  return *instance;
}

}  // namespace

void set_table_opener(TableOpener opener) {
  const std::lock_guard lock(holder().mutex);
  holder().opener = std::move(opener);
}

TableOpener table_opener() {
  const std::lock_guard lock(holder().mutex);
  return holder().opener;
}

}  // namespace persisting
