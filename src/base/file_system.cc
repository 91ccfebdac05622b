#include "base/file_system.h"

#include "base/checksum.h"

namespace persisting {

Result<std::string> FileSystem::read_range(const std::string& path, std::uint64_t offset,
                                           std::uint64_t bytes) {
  PERSISTING_ASSIGN_OR_RETURN(const std::string contents, read_file(path));
  return offset < contents.size() ? contents.substr(offset, bytes) : std::string();
}

Result<std::optional<FileState>> FileSystem::file_state(const std::string& path) {
  PERSISTING_ASSIGN_OR_RETURN(const bool there, exists(path));
  if (!there) return std::optional<FileState>();
  PERSISTING_ASSIGN_OR_RETURN(const std::string contents, read_file(path));
  return std::optional<FileState>({contents.size(), checksum64(contents), 0});
}

Result<std::optional<std::int64_t>> FileSystem::lock_holder(const std::string& /*path*/) {
  return std::optional<std::int64_t>();
}

Result<std::string> FileSystem::network_file_system(const std::string& /*path*/) {
  return std::string();
}

std::string parent_folder(const std::string& path) {
  const std::size_t last = path.find_last_not_of('/');
  if (last == std::string::npos) return path.empty() ? "." : "/";
  const std::size_t slash = path.find_last_of('/', last);
  if (slash == std::string::npos) return ".";
  const std::size_t end = path.find_last_not_of('/', slash);
  return end == std::string::npos ? "/" : path.substr(0, end + 1);
}

Status replace_file_durably(FileSystem& file_system, const std::string& path,
                            std::string_view contents) {
  const std::string temporary = path + ".tmp";
  // A crash may have left an earlier attempt there. It is not written into: where only half of a rename survived, it is a
  // second name of the file itself.
  PERSISTING_ASSIGN_OR_RETURN(const bool left, file_system.exists(temporary));
  if (left) PERSISTING_RETURN_IF_ERROR(file_system.remove_file(temporary));
  {
    PERSISTING_ASSIGN_OR_RETURN(auto file, file_system.open_append(temporary));
    PERSISTING_RETURN_IF_ERROR(file->append({contents}));
    PERSISTING_RETURN_IF_ERROR(file->sync());
  }
  PERSISTING_RETURN_IF_ERROR(file_system.rename(temporary, path));
  return file_system.sync_folder(parent_folder(path));
}

}  // namespace persisting
