#include "metrics/metrics_memory.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <filesystem>
#include <new>
#include <string>
#include <system_error>

#include <sys/mman.h>

namespace persisting {
namespace {

constexpr char memory_name[] = "persisting-metrics";

struct Header {
  std::array<char, 8> magic{'P', 'R', 'S', 'T', 'M', 'T', 'R', '1'};
  std::uint64_t slot_bytes = sizeof(BucketMetrics);
  std::uint64_t pid = 0;  // a forked child has its parent's descriptors too
  std::atomic<std::uint64_t> used{0};
};

constexpr std::size_t page = 4096;
// A slot of its own cache lines: buckets count on different cores.
constexpr std::size_t slot_bytes = (sizeof(BucketMetrics) + 63) / 64 * 64;
constexpr std::size_t identities_at = page;
constexpr std::size_t slots_at =
    identities_at + MetricsMemory::max_slots * sizeof(std::atomic<std::uint64_t>);
constexpr std::size_t total_bytes = slots_at + MetricsMemory::max_slots * slot_bytes;
static_assert(sizeof(Header) <= page);

Header& header_of(char* begin) { return *std::launder(reinterpret_cast<Header*>(begin)); }

std::atomic<std::uint64_t>& identity_at(char* begin, std::size_t slot) {
  return std::launder(reinterpret_cast<std::atomic<std::uint64_t>*>(begin + identities_at))[slot];
}

}  // namespace

MetricsMemory::~MetricsMemory() {
  if (begin_ != nullptr) ::munmap(begin_, total_bytes);
}

bool MetricsMemory::map() {
  if (mapping_tried_) return begin_ != nullptr;
  mapping_tried_ = true;
  descriptor_ = posix::FileDescriptor(::memfd_create(memory_name, MFD_CLOEXEC));
  if (!descriptor_.valid() || ::ftruncate(descriptor_.get(), total_bytes) != 0) return false;
  void* const mapped =
      ::mmap(nullptr, total_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor_.get(), 0);
  if (mapped == MAP_FAILED) return false;
  begin_ = static_cast<char*>(mapped);
  auto* const header = new (begin_) Header;
  header->pid = static_cast<std::uint64_t>(::getpid());
  return true;
}

std::uint32_t MetricsMemory::take_slot() {
  if (!free_.empty()) {
    const std::uint32_t slot = free_.back();
    free_.pop_back();
    return slot;
  }
  return used_ < max_slots ? used_++ : max_slots;
}

BucketMetrics* MetricsMemory::allocate(std::uint64_t identity) {
  if (identity == 0 || !map()) return new BucketMetrics;
  const std::uint32_t slot = take_slot();
  if (slot == max_slots) return new BucketMetrics;
  auto* const metrics = new (begin_ + slots_at + slot * slot_bytes) BucketMetrics;
  identity_at(begin_, slot).store(identity, std::memory_order_release);
  header_of(begin_).used.store(used_, std::memory_order_release);
  return metrics;
}

bool MetricsMemory::is_shared(const BucketMetrics* slot) const {
  const auto* const at = reinterpret_cast<const char*>(slot);
  return begin_ != nullptr && at >= begin_ && at < begin_ + total_bytes;
}

std::uint32_t MetricsMemory::index_of(const BucketMetrics* slot) const {
  const std::ptrdiff_t at = reinterpret_cast<const char*>(slot) - (begin_ + slots_at);
  return static_cast<std::uint32_t>(static_cast<std::size_t>(at) / slot_bytes);
}

void MetricsMemory::hide(BucketMetrics* slot) {
  if (is_shared(slot)) identity_at(begin_, index_of(slot)).store(0, std::memory_order_release);
}

void MetricsMemory::release(BucketMetrics* slot) {
  if (!is_shared(slot)) {
    delete slot;
    return;
  }
  hide(slot);
  free_.push_back(index_of(slot));
}

namespace {

bool read_exactly(int descriptor, void* into, std::size_t bytes, std::size_t at) {
  return posix::retry_interrupted([&] {
           return ::pread(descriptor, into, bytes, static_cast<off_t>(at));
         }) == static_cast<ssize_t>(bytes);
}

// The slot of that identity in a memory of process `pid`; null: there is none.
Result<std::unique_ptr<BucketMetrics>> read_slot(int memory, std::int64_t pid,
                                                 std::uint64_t identity) {
  const Header own;
  alignas(Header) std::array<std::byte, sizeof(Header)> bytes{};
  auto* const header = new (bytes.data()) Header;
  // A child has its parent's descriptors as well.
  if (!read_exactly(memory, bytes.data(), sizeof(Header), 0) ||
      header->pid != static_cast<std::uint64_t>(pid))
    return std::unique_ptr<BucketMetrics>();
  if (header->magic != own.magic || header->slot_bytes != own.slot_bytes) {
    return make_error(
        ErrorCode::kUnsupported,
        "process " + std::to_string(pid) +
            " runs another version of Persisting, whose metrics this one cannot read");
  }
  std::vector<std::uint64_t> identities(
      std::min<std::uint64_t>(header->used.load(), MetricsMemory::max_slots));
  auto metrics = std::make_unique<BucketMetrics>();
  if (!read_exactly(memory, identities.data(), identities.size() * sizeof(std::uint64_t),
                    identities_at))
    return std::unique_ptr<BucketMetrics>();
  const auto found = std::ranges::find(identities, identity);
  if (found == identities.end()) return std::unique_ptr<BucketMetrics>();
  const auto slot = static_cast<std::size_t>(found - identities.begin());
  if (!read_exactly(memory, metrics.get(), sizeof(BucketMetrics), slots_at + slot * slot_bytes))
    return std::unique_ptr<BucketMetrics>();
  return metrics;
}

}  // namespace

Result<std::unique_ptr<BucketMetrics>> read_metrics_of(std::int64_t pid, std::uint64_t identity) {
  const std::filesystem::path folder = "/proc/" + std::to_string(pid) + "/fd";
  std::error_code failed;  // the process is gone, or another user's
  for (auto entry = std::filesystem::directory_iterator(folder, failed);
       !failed && entry != std::filesystem::directory_iterator(); entry.increment(failed)) {
    std::error_code gone;
    const std::string target = std::filesystem::read_symlink(entry->path(), gone).string();
    if (gone || !target.starts_with(std::string("/memfd:") + memory_name + " ")) continue;
    const posix::FileDescriptor memory = posix::open_file(entry->path().string(), O_RDONLY, 0);
    if (!memory.valid()) continue;
    PERSISTING_ASSIGN_OR_RETURN(auto metrics, read_slot(memory.get(), pid, identity));
    if (metrics != nullptr) return metrics;
  }
  return std::unique_ptr<BucketMetrics>();
}

}  // namespace persisting
