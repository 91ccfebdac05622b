"""RocksDB (Debian's package), sync=true: a small C++ program writes the records' bytes."""

from pathlib import Path

import native


def write_rate(folder: Path, count: int, record_bytes: int, *, batch: int, threads: int) -> float:
    """Return how many records a second it writes, `batch` in one synced write."""
    database = folder / "rocksdb"
    figures = native.run("rocksdb_bench", database, count, record_bytes, batch, threads)
    return count / figures["seconds"]
