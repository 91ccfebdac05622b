#include "wal/compression.h"

#include <cassert>

#include <lz4.h>
#include <snappy.h>
#include <zstd.h>

namespace persisting::wal {
namespace {

// zstd's own default: beyond it a log gains little and costs much.
constexpr int zstd_level = 3;

}  // namespace

std::string compress(Compression codec, std::string_view raw) {
  std::string out;
  switch (codec) {
    case Compression::kNone:
      out = raw;
      break;
    case Compression::kZstd: {
      out.resize(ZSTD_compressBound(raw.size()));
      const std::size_t size =
          ZSTD_compress(out.data(), out.size(), raw.data(), raw.size(), zstd_level);
      assert(ZSTD_isError(size) == 0);
      out.resize(size);
      break;
    }
    case Compression::kLz4: {
      const int raw_size =
          static_cast<int>(raw.size());  // at most Wal::max_frame_bytes, below 2^31
      out.resize(static_cast<std::size_t>(LZ4_compressBound(raw_size)));
      const int size =
          LZ4_compress_default(raw.data(), out.data(), raw_size, static_cast<int>(out.size()));
      assert(size > 0);
      out.resize(static_cast<std::size_t>(size));
      break;
    }
    case Compression::kSnappy:
      snappy::Compress(raw.data(), raw.size(), &out);
      break;
  }
  return out;
}

bool expand(Compression codec, std::string_view compressed, std::uint64_t raw_bytes,
            std::string* raw) {
  if (raw_bytes > Wal::max_frame_bytes) return false;
  raw->resize(raw_bytes);
  switch (codec) {
    case Compression::kNone:
      *raw = compressed;
      return compressed.size() == raw_bytes;
    case Compression::kZstd:
      return ZSTD_decompress(raw->data(), raw->size(), compressed.data(), compressed.size()) ==
             raw_bytes;
    case Compression::kLz4:
      return LZ4_decompress_safe(compressed.data(), raw->data(),
                                 static_cast<int>(compressed.size()),
                                 static_cast<int>(raw_bytes)) == static_cast<int>(raw_bytes);
    case Compression::kSnappy: {
      std::size_t size = 0;
      return snappy::GetUncompressedLength(compressed.data(), compressed.size(), &size) &&
             size == raw_bytes &&
             snappy::RawUncompress(compressed.data(), compressed.size(), raw->data());
    }
  }
  return false;
}

}  // namespace persisting::wal
