"""What exporting metrics costs a put: the same work with and without, in turn.

Without `enable_metrics` a backend counts too, but reads no clock for it. Pairs are short and many,
because what is looked for is smaller than the noise of one run; the time is the process's own on
the CPU, which other programs do not share in.
"""

import asyncio
import itertools
import statistics
import time
from pathlib import Path

from framework import KILL, Group, Record, Round, Row
from persisting.queue import PersistingBackend
from workload import NO_FLUSH, make_records, put_batches, put_each

PAIRS = 8
WORKS = {"one": put_each, "batch": put_batches}


def cpu_rate(folder: Path, records: list[Record], work: str, exported: bool) -> float:
    """Return records a second of CPU time, of all threads."""

    async def run() -> float:
        options = {"wal_sync_interval": 1, "enable_metrics": exported, **NO_FLUSH}
        backend = PersistingBackend(0, folder / "bucket", **options)
        started = time.process_time()
        await WORKS[work](backend, records)
        return len(records) / (time.process_time() - started)

    return asyncio.run(run())


def measure(this: Round) -> None:
    for work, count in (("one", 20_000), ("batch", 100_000)):
        records = make_records(this.count(count, 2_000))
        rates: dict[bool, list[float]] = {False: [], True: []}
        # Each is the first of its pair half of the time.
        for first, _ in zip(
            itertools.cycle((False, True)), range(this.count(PAIRS, 2)), strict=False
        ):
            for exported in (first, not first):
                rates[exported].append(cpu_rate(this.new_folder(), records, work, exported))
        this.figures[f"with_{work}"] = statistics.median(rates[True])
        this.figures[f"without_{work}"] = statistics.median(rates[False])


GROUP = Group(
    "metrics",
    "What metrics cost",
    "The same work with `enable_metrics` and without, eight times each in turn a round: 0.98 would"
    " be 2 % slower. Records a second are of CPU time of the whole process.",
    rows=(
        Row("put, one by one", KILL, "with_one", "without_one", "without metrics"),
        Row("put_batch of 1,000", KILL, "with_batch", "without_batch", "without metrics"),
    ),
    measure=measure,
)
