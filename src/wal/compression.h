// Compresses and expands the bodies of frames.
// Failure: expand() is false for bytes that are not of the codec or not of the stated size; it never writes beyond it.
// Threads: free functions.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "wal/wal.h"

namespace persisting::wal {

std::string compress(Compression codec, std::string_view raw);

bool expand(Compression codec, std::string_view compressed, std::uint64_t raw_bytes,
            std::string* raw);

}  // namespace persisting::wal
