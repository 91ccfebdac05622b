#include "wal/segment_list.h"

#include <algorithm>
#include <tuple>

namespace persisting::wal {

Result<std::vector<ListedSegment>> list_segments(FileSystem& file_system,
                                                 const std::string& folder) {
  PERSISTING_ASSIGN_OR_RETURN(const std::vector<std::string> names,
                              file_system.list_folder(folder));
  std::vector<ListedSegment> segments;
  for (const std::string& name : names) {
    if (const auto parsed = parse_segment_name(name))
      segments.push_back({folder + "/" + name, *parsed});
  }
  std::sort(segments.begin(), segments.end(), [](const ListedSegment& a, const ListedSegment& b) {
    return std::tie(a.name.first_offset, a.name.epoch) <
           std::tie(b.name.first_offset, b.name.epoch);
  });
  return segments;
}

}  // namespace persisting::wal
