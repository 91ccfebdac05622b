"""A thousand buckets in one process: time to open them, threads, and what they cost while idle."""

import asyncio
import shutil
import time
from contextlib import closing
from pathlib import Path

from framework import KILL, Group, Round, Row, Unit, no_more_than, seconds
from peers import sqlite
from persisting.queue import PersistingBackend
from workload import make_records


def count_threads() -> int:
    """Return how many threads this process has."""
    return sum(1 for _ in Path("/proc/self/task").iterdir())


def open_all(folder: Path, count: int) -> list[PersistingBackend]:
    """Open as many buckets."""
    return [
        # One number in many folders: they are copies, and a bucket knows its number.
        PersistingBackend(0, folder / f"{i}", wal_sync_interval=1, enable_metrics=True)
        for i in range(count)
    ]


async def measure_ours(this: Round, folder: Path, count: int) -> None:
    """Open as many buckets that were filled and closed; look at the process while idle."""
    figures = this.figures
    [record] = make_records(1)
    idle_seconds = this.count(2_000, 200) / 1_000
    [first] = open_all(folder, 1)
    await first.put(record)
    await first.close()
    for i in range(1, count):
        shutil.copytree(folder / "0", folder / f"{i}")

    busy = time.process_time()
    await asyncio.sleep(idle_seconds)
    figures["idle_without"] = (time.process_time() - busy) / idle_seconds

    started = time.perf_counter()
    backends = open_all(folder, count)
    figures["open_buckets"] = time.perf_counter() - started
    for backend in backends:
        await backend.put(record)
    # The interval after which the puts are synced is over then, and threads that nobody needs have
    # ended: ours after a second, those of Lance's runtime after ten.
    await asyncio.sleep(this.count(11_000, 0) / 1_000)
    busy = time.process_time()
    await asyncio.sleep(idle_seconds)
    figures["idle_with"] = (time.process_time() - busy) / idle_seconds
    figures["bucket_threads"] = count_threads()
    figures["buckets"] = count
    assert all(backend.total_count() == 2 for backend in backends)
    # Not closed: that would flush each into its table. The round's process ends soon.


def open_databases(folder: Path, count: int) -> None:
    """Open as many databases of SQLite, each with a look at its table."""
    opened = [sqlite.connect(folder / f"{i}.sqlite") for i in range(count)]
    for database in opened:
        assert database.execute("SELECT count(*) FROM records").fetchone() == (1,)
    for database in opened:
        database.close()


def measure(this: Round) -> None:
    count = this.count(1_000, 20)
    asyncio.run(measure_ours(this, this.new_folder(), count))
    folder = this.new_folder()
    for i in range(count):
        with closing(sqlite.connect(folder / f"{i}.sqlite")) as database:
            database.execute(sqlite.INSERT, make_records(1)[0])
    this.figures["open_databases"] = seconds(lambda: open_databases(folder, count))


GROUP = Group(
    "buckets",
    "A thousand buckets in one process",
    "Buckets of one flushed record are opened, one after the other; each then takes one more."
    " Threads are all of the process, Python's own included. Idle is CPU time of all threads while"
    " nothing is put, in cores; the peer is the same process before it opened the buckets.",
    rows=(
        Row(
            "open all",
            KILL,
            "open_buckets",
            "open_databases",
            "SQLite: as many databases",
            Unit.SECONDS,
            no_more_than(2),
        ),
        Row(
            "threads",
            KILL,
            "bucket_threads",
            "buckets",
            "number of buckets",
            Unit.COUNT,
            no_more_than(10),
        ),
        Row(
            "CPU while idle",
            KILL,
            "idle_with",
            "idle_without",
            "without open buckets",
            Unit.SHARE,
            no_more_than(0.01),
        ),
    ),
    measure=measure,
)
