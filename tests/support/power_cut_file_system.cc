#include "support/power_cut_file_system.h"

#include <algorithm>
#include <utility>

namespace persisting::testing {
namespace {

constexpr std::size_t sector_bytes = 512;

Error off(const std::string& what) {
  return make_error(ErrorCode::kIo, what + ": the power is off");
}

class NoLock : public FileLock {};

}  // namespace

class PowerCutFileSystem::File : public WritableFile {
 public:
  File(PowerCutFileSystem& owner, std::shared_ptr<Content> content, std::uint64_t life)
      : owner_(owner), content_(std::move(content)), life_(life), end_(content_->now.size()) {}

  Status append(const std::vector<std::string_view>& pieces) override {
    return change("append", [&] { write(pieces); });
  }
  Status sync() override {
    return change("sync", [this] { content_->durable = content_->now; });
  }
  Status truncate(std::uint64_t size) override {
    return change("truncate", [&] {
      content_->now.resize(size);
      end_ = size;
    });
  }
  Status reserve(std::uint64_t bytes) override {
    return change("reserve", [&] { content_->now.resize(content_->now.size() + bytes); });
  }
  std::uint64_t room() const override {
    const std::lock_guard lock(owner_.mutex_);
    // What is dead takes nothing.
    return life_ != owner_.life_ || owner_.stopped_ ? 0 : content_->now.size() - end_;
  }
  void map(std::uint64_t /*bytes*/) override { is_mapped_ = true; }
  bool is_mapped() const override { return is_mapped_; }
  void append_in_room(std::string_view bytes) override {
    (void)change("append", [&] { write({bytes}); });  // the last call takes effect
  }

 private:
  void write(const std::vector<std::string_view>& pieces) {
    std::string& bytes = content_->now;
    for (const std::string_view piece : pieces) {
      bytes.resize(std::max<std::size_t>(bytes.size(), end_ + piece.size()));
      bytes.replace(end_, piece.size(), piece);
      end_ += piece.size();
    }
  }

  template <typename Body>
  Status change(const std::string& what, Body body) {
    const std::lock_guard lock(owner_.mutex_);
    bool last = false;
    if (life_ != owner_.life_ || !owner_.begin_locked(&last)) return off(what);
    // A sync that fails has made nothing durable for certain; the cut decides.
    if (!last || what != "sync") body();
    return owner_.end(last, what);
  }

  PowerCutFileSystem& owner_;
  const std::shared_ptr<Content> content_;
  const std::uint64_t life_;
  std::uint64_t end_;  // under the owner's lock
  bool is_mapped_ = false;
};

void PowerCutFileSystem::stop_at(std::uint64_t calls_from_now) {
  const std::lock_guard lock(mutex_);
  stop_at_ = calls_ + calls_from_now;
}

bool PowerCutFileSystem::stopped() const {
  const std::lock_guard lock(mutex_);
  return stopped_;
}

std::uint64_t PowerCutFileSystem::calls() const {
  const std::lock_guard lock(mutex_);
  return calls_;
}

void PowerCutFileSystem::restart() {
  const std::lock_guard lock(mutex_);
  stopped_ = false;
  stop_at_ = UINT64_MAX;
  ++life_;
}

void PowerCutFileSystem::cut(std::uint64_t seed) {
  restart();
  const std::lock_guard lock(mutex_);
  std::mt19937_64 random(seed);
  std::set<std::string> paths;
  for (const auto& [path, content] : now_) paths.insert(path);
  for (const auto& [path, content] : durable_) paths.insert(path);
  Entries after;
  std::map<std::shared_ptr<Content>, std::shared_ptr<Content>> survivors;
  for (const std::string& path : paths) {
    const auto pick = [&path](const Entries& entries) {
      const auto entry = entries.find(path);
      return entry == entries.end() ? nullptr : entry->second;
    };
    const std::shared_ptr<Content> chosen = pick(random() % 2 == 0 ? now_ : durable_);
    if (chosen == nullptr) continue;
    std::shared_ptr<Content>& survivor = survivors[chosen];
    if (survivor == nullptr) {
      survivor = std::make_shared<Content>();
      survivor->now = survivor->durable = after_cut(*chosen, random);
    }
    after[path] = survivor;
  }
  now_ = durable_ = std::move(after);
}

std::string PowerCutFileSystem::after_cut(const Content& content, std::mt19937_64& random) {
  const std::string& before = content.durable;
  const std::string& after = content.now;
  if (before == after) return after;
  const std::size_t longer = std::max(before.size(), after.size());
  switch (random() % 5) {
    case 0:
      return before;
    case 1:
      return after;
    case 2: {  // a prefix of what changed; what was durable and not cut off stays
      if (after.size() <= before.size()) return after;
      return after.substr(0, before.size() + random() % (after.size() - before.size() + 1));
    }
    case 3: {  // the size is there, the bytes are not
      std::string zeros = before;
      zeros.resize(after.size());
      return zeros;
    }
    default:
      break;
  }
  std::string mixed = before;
  mixed.resize(longer);
  for (std::size_t sector = 0; sector < longer; sector += sector_bytes) {
    if (random() % 2 == 0 || sector >= after.size()) continue;
    const std::size_t bytes = std::min(sector_bytes, after.size() - sector);
    mixed.replace(sector, bytes, after, sector, bytes);
  }
  if (after.size() < before.size()) return mixed;
  const std::size_t size = before.size() + random() % (longer - before.size() + 1);
  return random() % 2 == 0 ? mixed : mixed.substr(0, size);
}

void PowerCutFileSystem::set_file(const std::string& path, std::string contents) {
  const std::lock_guard lock(mutex_);
  auto content = std::make_shared<Content>();
  content->now = content->durable = std::move(contents);
  now_[path] = durable_[path] = std::move(content);
}

std::map<std::string, std::string> PowerCutFileSystem::files() const {
  const std::lock_guard lock(mutex_);
  std::map<std::string, std::string> files;
  for (const auto& [path, content] : now_) files[path] = content->now;
  return files;
}

void PowerCutFileSystem::forget_folder(const std::string& path) {
  const std::lock_guard lock(mutex_);
  folders_.erase(path);
}

bool PowerCutFileSystem::begin_locked(bool* last) {
  if (stopped_) return false;
  stopped_ = *last = calls_ == stop_at_;
  ++calls_;
  return true;
}

Status PowerCutFileSystem::end(bool last, const std::string& what) const {
  if (last) return off(what);
  return ok_status();
}

Result<std::shared_ptr<PowerCutFileSystem::Content>> PowerCutFileSystem::find_locked(
    const std::string& path) const {
  if (stopped_) return off(path);
  const auto entry = now_.find(path);
  if (entry == now_.end()) return make_error(ErrorCode::kIo, path + ": no such file");
  return entry->second;
}

Status PowerCutFileSystem::create_folders(const std::string& path) {
  const std::lock_guard lock(mutex_);
  bool last = false;
  if (!begin_locked(&last)) return off(path);
  folders_.insert(path);
  return end(last, path);
}

Result<std::vector<std::string>> PowerCutFileSystem::list_folder(const std::string& path) {
  const std::lock_guard lock(mutex_);
  if (stopped_) return off(path);
  std::vector<std::string> names;
  for (const auto& [file, content] : now_) {
    if (parent_folder(file) == path) names.push_back(file.substr(path.size() + 1));
  }
  return names;
}

Status PowerCutFileSystem::sync_folder(const std::string& path) {
  const std::lock_guard lock(mutex_);
  bool last = false;
  if (!begin_locked(&last)) return off(path);
  if (last) return off(path);
  std::erase_if(durable_, [&](const auto& entry) { return parent_folder(entry.first) == path; });
  for (const auto& entry : now_) {
    if (parent_folder(entry.first) == path) durable_.insert(entry);
  }
  return ok_status();
}

Status PowerCutFileSystem::sync_file(const std::string& path) {
  const std::lock_guard lock(mutex_);
  bool last = false;
  if (!begin_locked(&last) || last) return off(path);
  PERSISTING_ASSIGN_OR_RETURN(const std::shared_ptr<Content> content, find_locked(path));
  content->durable = content->now;
  return ok_status();
}

Result<bool> PowerCutFileSystem::exists(const std::string& path) {
  const std::lock_guard lock(mutex_);
  if (stopped_) return off(path);
  return now_.contains(path) || folders_.contains(path);
}

Result<std::uint64_t> PowerCutFileSystem::file_size(const std::string& path) {
  PERSISTING_ASSIGN_OR_RETURN(const std::string contents, read_file(path));
  return contents.size();
}

Result<std::string> PowerCutFileSystem::read_file(const std::string& path) {
  const std::lock_guard lock(mutex_);
  PERSISTING_ASSIGN_OR_RETURN(const std::shared_ptr<Content> content, find_locked(path));
  return content->now;
}

Result<std::unique_ptr<WritableFile>> PowerCutFileSystem::open_append(const std::string& path) {
  const std::lock_guard lock(mutex_);
  bool last = false;
  if (!begin_locked(&last)) return off(path);
  std::shared_ptr<Content>& content = now_[path];
  if (content == nullptr) content = std::make_shared<Content>();
  PERSISTING_RETURN_IF_ERROR(end(last, path));
  return std::unique_ptr<WritableFile>(std::make_unique<File>(*this, content, life_));
}

Status PowerCutFileSystem::remove_file(const std::string& path) {
  const std::lock_guard lock(mutex_);
  bool last = false;
  if (!begin_locked(&last)) return off(path);
  if (now_.erase(path) == 0) return make_error(ErrorCode::kIo, path + ": no such file");
  return end(last, path);
}

Status PowerCutFileSystem::rename(const std::string& from, const std::string& to) {
  const std::lock_guard lock(mutex_);
  bool last = false;
  if (!begin_locked(&last)) return off(from);
  if (folders_.contains(from)) {
    move_folder_locked(from, to);
    return end(last, from);
  }
  const auto entry = now_.find(from);
  if (entry == now_.end()) return make_error(ErrorCode::kIo, from + ": no such file");
  now_[to] = entry->second;
  now_.erase(from);
  return end(last, from);
}

void PowerCutFileSystem::move_folder_locked(const std::string& from, const std::string& to) {
  for (Entries* entries : {&now_, &durable_}) {
    Entries moved;
    for (const auto& [path, content] : *entries)
      moved[path.starts_with(from + "/") ? to + path.substr(from.size()) : path] = content;
    *entries = std::move(moved);
  }
  folders_.erase(from);
  folders_.insert(to);
}

Result<std::unique_ptr<FileLock>> PowerCutFileSystem::lock_file(const std::string& path) {
  const std::lock_guard lock(mutex_);
  if (stopped_) return off(path);
  return std::unique_ptr<FileLock>(std::make_unique<NoLock>());
}

Result<std::string> PowerCutFileSystem::network_file_system(const std::string& /*path*/) {
  return network_;
}

}  // namespace persisting::testing
