#include "engine/dead_letters.h"

#include <algorithm>
#include <cassert>

namespace persisting {
namespace {

// Reasons that an error message spells out; the rest are counted.
constexpr std::size_t reasons_told = 5;

}  // namespace

EngineOptions dead_letter_options(const EngineOptions& bucket) {
  EngineOptions options = bucket;
  if (!options.folder.empty()) options.folder += dead_letter_folder;
  options.is_part_of_bucket = true;
  options.admission = AdmissionRules();
  options.declaration = SchemaDeclaration();
  options.initial_schema = nullptr;
  // One after the other they are few; a burst of them is bounded like the records themselves.
  options.flush.records = 0;
  return options;
}

Record make_dead_letter(std::uint64_t offset, const std::string& reason, std::string_view record) {
  Result<Record> letter = Record::make({{"offset", static_cast<std::int64_t>(offset)},
                                        {"reason", reason},
                                        {"record", Bytes{std::string(record)}}});
  assert(letter);  // of fixed fields; what it holds was checked when it was put
  return std::move(letter).value();
}

PutCallback refuse_after(std::vector<Refusal> refused, std::size_t taken, PutCallback done) {
  std::string message;
  if (taken > 0) {
    message = std::to_string(refused.size()) + " of " + std::to_string(refused.size() + taken) +
              " records were refused, the others are kept: ";
  } else if (refused.size() > 1) {
    message = "all " + std::to_string(refused.size()) + " records were refused: ";
  }
  for (std::size_t i = 0; i < std::min(refused.size(), reasons_told); ++i)
    message += (i > 0 ? "; " : "") + refused[i].error.message;
  if (refused.size() > reasons_told)
    message += "; and " + std::to_string(refused.size() - reasons_told) + " more";
  Error error = make_error(ErrorCode::kSchema, std::move(message));
  return [error = std::move(error), done = std::move(done)](Result<std::uint64_t> kept) {
    done(kept ? Result<std::uint64_t>(error) : std::move(kept));
  };
}

}  // namespace persisting
