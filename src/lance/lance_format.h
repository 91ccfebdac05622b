// The little that must be known of Lance's files to tell a whole version from a damaged one before Lance reads it.
// Source: the Lance table format (manifests under _versions, named by version) and file format (the last four bytes of
//         manifests and data files are "LANC").
// Threads: free functions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace persisting::lance {

inline constexpr std::string_view file_magic = "LANC";
// Footer of a manifest: position u64, format u16 × 2, magic.
inline constexpr std::size_t footer_bytes = 16;

inline constexpr const char* versions_folder = "/_versions";
inline constexpr const char* transactions_folder = "/_transactions";
inline constexpr const char* data_folder = "/data";
inline constexpr const char* version_hint_name = "latest_version_hint.json";

// The version a manifest's file name stands for, in either naming scheme: the version itself, or (V2) 2^64 - 1 minus it
// in twenty digits. Nothing for other files.
std::optional<std::uint64_t> version_of_manifest(std::string_view name);

// Whether the bytes end as a Lance file does.
bool ends_whole(std::string_view file);

}  // namespace persisting::lance
