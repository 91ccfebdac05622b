"""The bare disk: appends, sequential writes and reads, without any store around them."""

import os
import time
from collections.abc import Iterable
from pathlib import Path

READ_BYTES = 1 << 20


def append_and_sync(folder: Path, data: bytes, count: int) -> list[float]:
    """Append `data` and fdatasync, `count` times; return how long each took."""
    descriptor = os.open(folder / "bare", os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    latencies = []
    try:
        for _ in range(count):
            started = time.perf_counter()
            os.write(descriptor, data)
            os.fdatasync(descriptor)
            latencies.append(time.perf_counter() - started)
    finally:
        os.close(descriptor)
    return latencies


def write_sequentially(folder: Path, chunk: bytes, count: int, *, sync_each: bool) -> float:
    """Write `chunk` `count` times into a new file; return bytes a second, the last sync included.

    Args:
        sync_each: fdatasync after each chunk; else once, at the end.
    """
    descriptor = os.open(folder / "sequential", os.O_CREAT | os.O_EXCL | os.O_WRONLY)
    try:
        started = time.perf_counter()
        for _ in range(count):
            view = memoryview(chunk)
            while view:
                view = view[os.write(descriptor, view) :]
            if sync_each:
                os.fdatasync(descriptor)
        os.fdatasync(descriptor)
        return len(chunk) * count / (time.perf_counter() - started)
    finally:
        os.close(descriptor)


def forget(paths: Iterable[Path]) -> None:
    """Have the kernel drop the files from its page cache, so that the next read is the disk's."""
    for path in paths:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(descriptor)


def read(paths: Iterable[Path]) -> None:
    """Read the files from beginning to end."""
    buffer = bytearray(READ_BYTES)
    for path in paths:
        with path.open("rb", buffering=0) as file:
            while file.readinto(buffer):
                pass


def files_below(folder: Path) -> list[Path]:
    """Return every file of a folder, in order of their names."""
    return sorted(path for path in folder.rglob("*") if path.is_file())


def bytes_below(folder: Path) -> int:
    """Return the size of every file of a folder together."""
    return sum(path.stat().st_size for path in files_below(folder))
