"""pylance without us: appends (which it does not sync), scans, and takes of one row."""

from pathlib import Path

import lance
import pyarrow as pa

from framework import Record, rate


def append_rate(folder: Path, records: list[Record], batch: int) -> float:
    """Return how many records a second it appends, a version for each batch."""

    def work() -> None:
        for first in range(0, len(records), batch):
            table = pa.Table.from_pylist(records[first : first + batch])
            lance.write_dataset(table, folder / "t.lance", mode="append" if first else "create")

    return rate(len(records), work)


def open_table(path: Path) -> lance.LanceDataset:
    """Open a table."""
    return lance.dataset(str(path))
