// The fragments that a list of data files consists of. Files of one fragment stand beside each other.
// Threads: free functions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "lance/dataset.h"

namespace persisting::lance {

struct FragmentSize {
  std::uint64_t rows = 0;
  std::uint64_t bytes = 0;  // of all its files
};

std::vector<FragmentSize> sizes_of_fragments(const std::vector<DataFile>& files);

// The files of `count` fragments from the `first`-th on.
std::vector<DataFile> files_of_fragments(const std::vector<DataFile>& files, std::size_t first,
                                         std::size_t count);

}  // namespace persisting::lance
