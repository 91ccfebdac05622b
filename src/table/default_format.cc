#include "table/default_format.h"

#include <mutex>
#include <utility>

namespace persisting {
namespace {

struct Holder {
  std::mutex mutex;
  TableFormat format;
};

Holder& holder() {
  static Holder* const instance = new Holder;  // outlives every thread that may ask at exit
  return *instance;
}

}  // namespace

void set_table_format(TableFormat format) {
  const std::lock_guard lock(holder().mutex);
  holder().format = std::move(format);
}

TableFormat table_format() {
  const std::lock_guard lock(holder().mutex);
  return holder().format;
}

}  // namespace persisting
