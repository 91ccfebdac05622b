"""Whether the cost of a put stays flat while a bucket grows to many millions of records."""

import asyncio
import statistics
from pathlib import Path

from framework import KILL, Chart, Group, Round, Row, Unit, at_least, at_most, no_more_than
from peers import disk, lance_table
from persisting.queue import PersistingBackend
from workload import BATCH, make_records

WINDOW = 100_000
LAST_WINDOWS = 10
POINTS = 40


def put_windows(folder: Path, windows: int, window: int) -> list[float]:
    """Return records a second of each window, with the backend's default flushes and merges."""
    records = make_records(BATCH)
    rates = []

    async def run() -> None:
        backend = PersistingBackend(0, folder, wal_sync_interval=1, enable_metrics=True)
        now = asyncio.get_running_loop().time
        for _ in range(windows):
            started = now()
            for _ in range(window // BATCH):
                await backend.put_batch(records)
            rates.append(window / (now() - started))
        assert backend.total_count() == windows * window
        await backend.close()

    asyncio.run(run())
    return rates


def measure(this: Round) -> None:
    figures = this.figures
    window = this.count(WINDOW, BATCH)
    windows = max(2, this.count(this.flatness_records, 20 * BATCH) // window)
    bucket = this.new_folder() / "bucket"
    rates = put_windows(bucket, windows, window)
    last = rates[-LAST_WINDOWS:]
    figures["flat_records"] = windows * window
    figures["flat_first"] = rates[0]
    figures["flat_first_windows"] = len(last) / sum(1 / rate for rate in rates[:LAST_WINDOWS])
    figures["flat_last_window"] = statistics.median(last)
    figures["flat_last_windows"] = len(last) / sum(1 / rate for rate in last)
    table = bucket / "data.lance"
    figures["flat_fragments"] = len(lance_table.open_table(table).get_fragments())
    figures["flat_manifest_bytes"] = disk.bytes_below(table / "_versions")
    figures["flat_data_bytes"] = disk.bytes_below(table / "data")
    figures["bucket_bytes"] = disk.bytes_below(bucket)
    step = max(1, windows // POINTS)
    for point, first in enumerate(range(0, windows, step)):
        part = rates[first : first + step]
        figures[f"flat/{point}"] = len(part) / sum(1 / rate for rate in part)


GROUP = Group(
    "flatness",
    "Twenty million records",
    "`put_batch` of the same 1,000 dicts over and over with the defaults, so that flushes, and what"
    " else keeps the table in order, run meanwhile; the log written for `kill -9`. The rate of the"
    " last 100,000 records is the median of the last ten such windows, for a flush falls into some"
    " and not into others; the mean counts all of them. Bytes are those on disk at the end, old"
    " versions included.",
    rows=(
        Row(
            "the last 100,000 records",
            KILL,
            "flat_last_window",
            "flat_first",
            "the first 100,000 of the same run",
            target=at_least(0.95),
        ),
        Row(
            "the last million, mean",
            KILL,
            "flat_last_windows",
            "flat_first_windows",
            "the first million, mean",
        ),
        Row(
            "fragments at the end",
            KILL,
            "flat_fragments",
            "flat_records",
            "the number of records",
            Unit.COUNT,
            no_more_than(999),
        ),
        Row(
            "bytes of manifests",
            KILL,
            "flat_manifest_bytes",
            "flat_data_bytes",
            "bytes of data files",
            Unit.BYTES,
            at_most(0.01),
        ),
    ),
    measure=measure,
    charts=(
        Chart(
            "bench-flatness.svg",
            "Records a second while the bucket grows",
            line="flat",
            axis="flat_records",
        ),
    ),
)
