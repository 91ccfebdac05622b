#include "lance/fragment_list.h"

#include <optional>

namespace persisting::lance {

std::vector<FragmentSize> sizes_of_fragments(const std::vector<DataFile>& files) {
  std::vector<FragmentSize> sizes;
  std::optional<std::uint64_t> fragment;
  for (const DataFile& file : files) {
    if (file.fragment != fragment) sizes.push_back({file.rows, 0});
    fragment = file.fragment;
    sizes.back().bytes += file.bytes;
  }
  return sizes;
}

std::vector<DataFile> files_of_fragments(const std::vector<DataFile>& files, std::size_t first,
                                         std::size_t count) {
  std::vector<DataFile> found;
  std::optional<std::uint64_t> fragment;
  std::size_t next = 0;  // the fragment behind this one
  for (const DataFile& file : files) {
    if (file.fragment != fragment) ++next;
    fragment = file.fragment;
    if (next > first && next <= first + count) found.push_back(file);
  }
  return found;
}

}  // namespace persisting::lance
