#pragma once

#include <cstdint>
#include <string_view>

namespace persisting {

// The name of the network file system with this type number (statfs(2), f_type); empty for every other. FUSE is not
// among them: what stands behind it cannot be told.
std::string_view network_file_system_name(std::uint64_t type);

}  // namespace persisting
