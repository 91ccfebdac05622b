"""Batches of Arrow data, against the disk's own sequential writes."""

import asyncio
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from cases.puts import DISK_SAFE, MEMORY_SAFE
from framework import KILL, POWER, Group, Round, Row, Unit, at_least
from peers import disk
from persisting.queue import PersistingBackend

MIB = 1 << 20
COLUMNS = 8


def make_batch(size: int) -> pa.RecordBatch:
    """Return a batch of float64 columns, of that many bytes."""
    rows = size // (8 * COLUMNS)
    random = np.random.default_rng(size)
    return pa.record_batch({f"x{i}": random.random(rows) for i in range(COLUMNS)})


def put_rate(folder: Path, batch: pa.RecordBatch, count: int, options: dict[str, Any]) -> float:
    """Return bytes a second."""

    async def run() -> float:
        backend = PersistingBackend(0, folder / "bucket", **options)
        loop = asyncio.get_running_loop()
        started = loop.time()
        for _ in range(count):
            await backend.put_batch(batch)
        elapsed = loop.time() - started
        assert backend.total_count() == count * batch.num_rows
        # Not closed: that would write all of it into the table too. The round's process ends soon.
        return float(batch.nbytes * count / elapsed)

    return asyncio.run(run())


def measure(this: Round) -> None:
    figures = this.figures
    total = this.count(256 * MIB, 4 * MIB)
    for mib in (1, 8):
        batch = make_batch(mib * MIB)
        # The same bytes: some disks take zeros for nothing.
        chunk = b"".join(bytes(column.buffers()[1]) for column in batch.columns)
        count = max(1, total // batch.nbytes)
        for sync_each, name in ((True, "synced"), (False, "once")):
            figures[f"write_{name}_{mib}"] = disk.write_sequentially(
                this.new_folder(), chunk, count, sync_each=sync_each
            )
        figures[f"arrow_synced_{mib}"] = put_rate(this.new_folder(), batch, count, DISK_SAFE)
        figures[f"arrow_kill_{mib}"] = put_rate(this.new_folder(), batch, count, MEMORY_SAFE)


GROUP = Group(
    "arrow",
    "Arrow batches",
    "`put_batch` of an Arrow record batch (eight float64 columns), 256 MiB in all, into the log;"
    " no flush falls into the time. The disk writes the same number of bytes in pieces of the same"
    " size into a new file.",
    rows=tuple(
        row
        for mib in (1, 8)
        for row in (
            Row(
                f"put_batch of {mib} MiB",
                POWER,
                f"arrow_synced_{mib}",
                f"write_synced_{mib}",
                f"write + fdatasync of {mib} MiB each",
                Unit.BYTE_RATE,
                at_least(0.85),
            ),
            Row(
                f"put_batch of {mib} MiB",
                POWER,
                f"arrow_synced_{mib}",
                f"write_once_{mib}",
                "write, one fdatasync at the end",
                Unit.BYTE_RATE,
            ),
            Row(
                f"put_batch of {mib} MiB",
                KILL,
                f"arrow_kill_{mib}",
                f"write_once_{mib}",
                "write, one fdatasync at the end",
                Unit.BYTE_RATE,
                at_least(0.85),
            ),
        )
    ),
    measure=measure,
)
