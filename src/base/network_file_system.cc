#include "base/network_file_system.h"

#include <algorithm>
#include <array>
#include <utility>

namespace persisting {
namespace {

// Source: linux/magic.h, and for file systems outside the kernel their own headers.
constexpr std::array<std::pair<std::uint64_t, std::string_view>, 14> network_types{{
    {0x6969, "nfs"},
    {0x517B, "smb"},
    {0xFE534D42, "smb"},
    {0xFF534D42, "cifs"},
    {0x01021997, "9p"},
    {0x5346414F, "afs"},
    {0x6B414653, "afs"},
    {0x73757245, "coda"},
    {0x564C, "ncp"},
    {0x00C36400, "ceph"},
    {0x7461636F, "ocfs2"},
    {0x0BD00BD0, "lustre"},
    {0x47504653, "gpfs"},
    {0x19830326, "beegfs"},
}};

}  // namespace

std::string_view network_file_system_name(std::uint64_t type) {
  const auto* const found = std::find_if(network_types.begin(), network_types.end(),
                                         [type](const auto& entry) { return entry.first == type; });
  return found == network_types.end() ? std::string_view() : found->second;
}

}  // namespace persisting
