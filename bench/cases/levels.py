"""What each level of durability costs: the table in docs/durability.md."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from framework import KILL, NOTHING, POWER, Figures, Group, Record, Round, Row, spread
from persisting.queue import LanceBackend, MemoryBackend, PersistingBackend
from workload import make_records, put_batches, put_concurrently, put_each

PRODUCERS = 64


@dataclass(frozen=True)
class Level:
    """One row of the table."""

    name: str
    title: str
    survives: str
    backend: type[Any]
    options: dict[str, Any] = field(default_factory=dict)
    durable: bool = False  # fewer records: each waits for the disk


async def put_from_many(backend: Any, records: list[Record]) -> None:
    """Put from 64 producers."""
    await put_concurrently(backend, records, PRODUCERS)


@dataclass(frozen=True)
class Column:
    """One way of putting."""

    name: str
    title: str
    work: Callable[[Any, list[Record]], Awaitable[None]]
    count: int
    durable_count: int


MEMORY = Level("memory", "`MemoryBackend`", NOTHING, MemoryBackend)
LEVELS = (
    MEMORY,
    Level("lance", "`LanceBackend`, before its flush", NOTHING, LanceBackend),
    Level("kill", "`wal_sync_interval=1`", KILL, PersistingBackend, {"wal_sync_interval": 1}),
    Level("power", "`wal_sync_interval=0`", POWER, PersistingBackend, durable=True),
    Level(
        "zstd",
        "the same, `compression='zstd'`",
        POWER,
        PersistingBackend,
        {"compression": "zstd"},
        durable=True,
    ),
)
COLUMNS = (
    Column("one", "put, one producer", put_each, 20_000, 400),
    Column("many", f"put, {PRODUCERS} producers", put_from_many, 20_000, 8_000),
    Column("batch", "put_batch of 1,000", put_batches, 50_000, 50_000),
)


def put_rate(level: Level, column: Column, folder: Path, count: int) -> float:
    """Return records a second."""
    records = make_records(count)

    async def run() -> float:
        backend = level.backend(0, folder / "bucket", **level.options)
        now = asyncio.get_running_loop().time
        started = now()
        await column.work(backend, records)
        elapsed = now() - started
        assert backend.total_count() == count
        await backend.close()
        return count / elapsed

    return asyncio.run(run())


def measure(this: Round) -> None:
    for level in LEVELS:
        for column in COLUMNS:
            count = this.count(column.durable_count if level.durable else column.count, 64)
            rate = put_rate(level, column, this.new_folder(), count)
            this.figures[f"{level.name}_{column.name}"] = rate


def table(rounds: Sequence[Figures]) -> list[str]:
    """Return the table's lines: for each level and column the ratio and the rate."""
    lines = [
        "| level | " + " | ".join(f"{each.title}: ratio, records/s" for each in COLUMNS) + " |",
        "|---|" + "--:|" * len(COLUMNS),
    ]
    for level in LEVELS:
        cells = []
        for column in COLUMNS:
            ours, base = f"{level.name}_{column.name}", f"{MEMORY.name}_{column.name}"
            ratio = spread([each[ours] / each[base] for each in rounds]).median
            rate = spread([each[ours] for each in rounds]).median
            cells.append(f"{ratio:.3f}, {rate:,.0f}")
        lines.append(f"| {level.title} | " + " | ".join(cells) + " |")
    return lines


GROUP = Group(
    "levels",
    "What each level of durability costs",
    "",
    rows=tuple(
        Row(
            f"{level.title}: {column.title}",
            level.survives,
            f"{level.name}_{column.name}",
            f"{MEMORY.name}_{column.name}",
            MEMORY.title,
        )
        for level in LEVELS[1:]
        for column in COLUMNS
    ),
    measure=measure,
)
