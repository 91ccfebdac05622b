#include "engine/bucket_view.h"

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <utility>

#include "base/fork_generation.h"
#include "engine/bucket_identity.h"
#include "engine/bucket_inspection.h"
#include "engine/bucket_view_state.h"
#include "engine/dead_letters.h"
#include "engine/field_description.h"

namespace persisting {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;
using StatePtr = std::shared_ptr<const ViewState>;

// Between two looks at a bucket of which more is awaited: a few calls of stat. Soon after the last record the next one is
// likely.
constexpr milliseconds shortest_pause{1};
constexpr milliseconds longest_pause{20};

Error closed() { return make_error(ErrorCode::kClosed, "the view is closed; open another one"); }

Error forked() {
  return make_error(ErrorCode::kUnsupported,
                    "the view was opened before this process was forked; open one in this process");
}

std::uint64_t count_fragments(const std::vector<TableFileRows>& files) {
  // Files of one fragment hold the same rows.
  std::uint64_t fragments = 0;
  for (std::size_t i = 0; i < files.size(); ++i) {
    if (i == 0 || files[i].first_row != files[i - 1].first_row) ++fragments;
  }
  return fragments;
}

class FollowingView final : public BucketView {
 public:
  FollowingView(FileSystem& file_system, const TableFormat& format, std::string folder,
                BucketName name, std::unique_ptr<BucketFollower> follower)
      : file_system_(file_system),
        format_(format),
        folder_(std::move(folder)),
        name_(std::move(name)),
        follower_(std::move(follower)) {}

  const std::string& folder() const override { return folder_; }
  const BucketName& name() const override { return name_; }

  Result<std::uint64_t> total_count() override {
    PERSISTING_ASSIGN_OR_RETURN(const StatePtr state, refresh());
    return state->end;
  }
  Result<RecordBatch> get(std::uint64_t limit, std::uint64_t offset) override {
    return read<RecordBatch>(limit, offset, run_read);
  }
  Result<ArrowStreamPtr> get_arrow(std::uint64_t limit, std::uint64_t offset) override {
    return read<ArrowStreamPtr>(limit, offset, run_arrow_read);
  }
  Result<std::vector<FieldDescription>> schema() override {
    PERSISTING_ASSIGN_OR_RETURN(const StatePtr state, refresh());
    return describe_fields(*state->schema);
  }
  Result<std::vector<SchemaChange>> schema_history() override {
    PERSISTING_ASSIGN_OR_RETURN(const StatePtr state, refresh());
    return state->schema->history();
  }
  Result<RecordBatch> dead_letters(std::uint64_t limit, std::uint64_t offset) override {
    PERSISTING_ASSIGN_OR_RETURN(const auto letters, open_letters());
    return letters == nullptr ? RecordBatch() : letters->get(limit, offset);
  }

  Result<BucketViewStats> stats() override {
    PERSISTING_ASSIGN_OR_RETURN(const StatePtr state, refresh());
    BucketViewStats stats;
    stats.total_count = state->end;
    stats.persisted_count = state->checkpoint->flushed_to;
    stats.buffer_count = stats.total_count - stats.persisted_count;
    stats.buffer_bytes = state->tail_bytes;
    stats.table_version = state->checkpoint->table.version;
    if (state->table != nullptr) stats.fragments = count_fragments(state->table->files);
    for (const TableFile& file : state->checkpoint->table.files)
      stats.table_bytes += file.digest.bytes;
    {
      const std::lock_guard lock(mutex_);
      if (follower_ == nullptr) return closed();
      PERSISTING_ASSIGN_OR_RETURN(const auto log, follower_->log_size());
      stats.wal_segments = log.segments;
      stats.wal_size = log.bytes;
      PERSISTING_ASSIGN_OR_RETURN(stats.versions, follower_->count_versions());
    }
    PERSISTING_ASSIGN_OR_RETURN(const auto letters, open_letters());
    if (letters != nullptr) {
      PERSISTING_ASSIGN_OR_RETURN(stats.dead_letters, letters->total_count());
    }
    PERSISTING_ASSIGN_OR_RETURN(stats.holder, file_system_.lock_holder(folder_ + "/LOCK"));
    return stats;
  }

  Result<std::uint64_t> wait_beyond(std::uint64_t offset,
                                    std::optional<milliseconds> timeout) override {
    const auto deadline = timeout ? std::optional(steady_clock::now() + *timeout) : std::nullopt;
    for (milliseconds pause = shortest_pause;; pause = std::min(2 * pause, longest_pause)) {
      PERSISTING_ASSIGN_OR_RETURN(const std::uint64_t count, total_count());
      const auto now = steady_clock::now();
      if (count > offset || (deadline && now >= *deadline)) return count;
      const auto wake = deadline ? std::min(*deadline, now + pause) : now + pause;
      std::unique_lock lock(mutex_);
      closing_.wait_until(lock, wake, [this] { return follower_ == nullptr; });
    }
  }

  void close() override {
    if (is_child()) return;
    std::unique_ptr<BucketFollower> follower;
    std::shared_ptr<BucketView> letters;
    {
      const std::lock_guard lock(mutex_);
      follower = std::move(follower_);
      letters = std::move(letters_);
      closing_.notify_all();
    }
    if (letters != nullptr) letters->close();
  }

 private:
  // A thread of the parent may have held the lock when the child was made.
  bool is_child() const { return fork_generation_ != fork_generation(); }

  Result<StatePtr> refresh() {
    if (is_child()) return forked();
    const std::lock_guard lock(mutex_);
    if (follower_ == nullptr) return closed();
    return follower_->refresh();
  }

  // Reads without the lock. Where the files of the table's version are gone there is a newer checkpoint.
  template <typename T, typename Run>
  Result<T> read(std::uint64_t limit, std::uint64_t offset, Run run) {
    constexpr int tries = 10;
    PERSISTING_ASSIGN_OR_RETURN(StatePtr state, refresh());
    for (int left = tries;; --left) {
      Result<T> result = run(state->plan(limit, offset));
      if (result || left == 1) return result;
      PERSISTING_ASSIGN_OR_RETURN(StatePtr newer, refresh());
      if (newer->checkpoint_file == state->checkpoint_file) return result;
      state = std::move(newer);
    }
  }

  // Null: there are none (yet).
  Result<std::shared_ptr<BucketView>> open_letters() {
    if (is_child()) return forked();
    const std::lock_guard lock(mutex_);
    if (follower_ == nullptr) return closed();
    const std::string folder = folder_ + dead_letter_folder;
    if (letters_ == nullptr && check_is_bucket(file_system_, folder)) {
      PERSISTING_ASSIGN_OR_RETURN(letters_, open_view(file_system_, format_, folder));
    }
    return letters_;
  }

  FileSystem& file_system_;
  const TableFormat format_;
  const std::string folder_;
  const BucketName name_;
  const std::uint64_t fork_generation_ = fork_generation();

  std::mutex mutex_;
  std::condition_variable closing_;
  // Under mutex_.
  std::unique_ptr<BucketFollower> follower_;  // null: closed
  std::shared_ptr<BucketView> letters_;       // once there were any
};

BucketName make_name(const std::optional<BucketIdentity>& identity, const std::string& folder) {
  return {topic_name(identity ? identity->topic : TopicSettings(), folder),
          identity ? identity->bucket_id : bucket_id_of(folder)};
}

}  // namespace

Result<std::shared_ptr<BucketView>> open_view(FileSystem& file_system, const TableFormat& format,
                                              const std::string& folder) {
  PERSISTING_RETURN_IF_ERROR(check_is_bucket(file_system, folder));
  PERSISTING_ASSIGN_OR_RETURN(const std::optional<BucketIdentity> identity,
                              read_identity(file_system, folder));
  PERSISTING_ASSIGN_OR_RETURN(auto table, inspect_table(format, folder));
  std::optional<std::uint64_t> id;
  if (identity) id = identity->id;
  auto follower = std::make_unique<BucketFollower>(file_system, std::move(table), folder, id);
  PERSISTING_RETURN_IF_ERROR(follower->refresh());
  return std::shared_ptr<BucketView>(std::make_shared<FollowingView>(
      file_system, format, folder, make_name(identity, folder), std::move(follower)));
}

Result<std::shared_ptr<BucketView>> open_view(const std::string& folder) {
  return open_view(FileSystem::posix(), table_format(), folder);
}

BucketName name_of_bucket(const std::string& folder) {
  const Result<std::optional<BucketIdentity>> identity = read_identity(FileSystem::posix(), folder);
  return make_name(identity ? *identity : std::nullopt, folder);
}

}  // namespace persisting
