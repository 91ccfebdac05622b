// Looks for damage in a stored bucket, and saves from a damaged one what is whole. Neither changes the bucket.
//
// What is covered: BUCKET and CHECKPOINT, every frame of the log, the table's manifest and data files of the checkpoint's
// version, by checksums of their contents; then every record is decoded. Older versions of the table and Lance's
// transaction files are not: no reader of the bucket needs them.
// Failure: kInvalidArgument where the folder is no bucket, kBusy with the holder's pid while it is open (in this process
//          too), kUnsupported for a later version's files or without a Lance engine.
// Threads: free functions, thread-safe.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "persisting/result.h"

namespace persisting {

// Offsets [first, end).
struct OffsetRange {
  std::uint64_t first = 0;
  std::uint64_t end = 0;
  bool operator==(const OffsetRange&) const = default;
};

struct Finding {
  enum class Kind : std::uint8_t {
    kDamage,      // something durable is not what was written
    kUnfinished,  // what a crash may leave; opening the bucket mends it
  };
  Kind kind = Kind::kDamage;
  std::string file;
  std::optional<std::uint64_t> byte;  // the first of the damage, where that is known
  std::string message;
  std::optional<OffsetRange>
      at_stake;  // the records that the damage may have hit, where that is known
};

struct VerifyReport {
  std::string folder;
  std::vector<Finding> findings;
  std::uint64_t files = 0;    // read
  std::uint64_t bytes = 0;    // of them
  std::uint64_t records = 0;  // decoded, once each
  bool is_whole() const;      // no damage
};

Result<VerifyReport> verify_bucket(const std::string& folder);

struct RepairReport {
  VerifyReport before;            // of the damaged bucket
  std::uint64_t records = 0;      // saved
  std::vector<OffsetRange> lost;  // offsets of the damaged bucket that could not be
};

// Writes what is whole of the bucket in `folder` into a new bucket `into`, which must not exist: in order, with the
// times of the records, under new offsets without gaps. The damaged bucket stays as it is.
Result<RepairReport> repair_bucket(const std::string& folder, const std::string& into);

}  // namespace persisting
