// Runs a fuzz target over kept inputs, without a fuzzer: replay_<target> <file or folder>...
// Fails where a property does not hold, an input cannot be read, or there is none.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <vector>

#include "fuzz/input.h"

namespace {

using std::filesystem::path;

std::vector<path> inputs_at(const path& place) {
  if (!std::filesystem::is_directory(place)) return {place};
  std::vector<path> inputs;
  for (const auto& entry : std::filesystem::directory_iterator(place)) {
    if (entry.is_regular_file()) inputs.push_back(entry.path());
  }
  std::sort(inputs.begin(), inputs.end());
  return inputs;
}

bool replay(const path& input) {
  std::ifstream file(input, std::ios::binary);
  const std::vector<std::uint8_t> bytes{std::istreambuf_iterator<char>(file), {}};
  if (!file) {
    (void)std::fprintf(stderr, "%s: cannot be read\n", input.c_str());
    return false;
  }
  // Before it runs: a failure ends the program, and the last line then names the input.
  (void)std::fprintf(stderr, "%s\n", input.c_str());
  LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  int replayed = 0;
  for (int i = 1; i < argc; ++i) {
    for (const path& input : inputs_at(argv[i])) {
      if (!replay(input)) return 1;
      ++replayed;
    }
  }
  (void)std::fprintf(stderr, "%d inputs replayed\n", replayed);
  return replayed > 0 ? 0 : 1;
}
