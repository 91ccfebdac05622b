"""Measures what each level of durability costs, and writes its table into docs/durability.md.

    make bench      or      .venv/bin/python bench/levels.py [--rounds 5]

The same records are put at every level, in interleaved rounds. The ratio is to the memory backend
of the same round, the median of all rounds.
"""

import argparse
import asyncio
import re
import statistics
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from run import (
    PRODUCERS,
    ROOT,
    Work,
    describe_machine,
    in_new_folder,
    make_records,
    put_batches,
    put_concurrently,
    put_each,
)

from persisting.queue import LanceBackend, MemoryBackend, PersistingBackend

PAGE = ROOT / "docs" / "durability.md"
MARKED = re.compile(r"(<!-- levels -->\n).*?(<!-- end of levels -->)", re.DOTALL)


@dataclass
class Level:
    """One row of the table."""

    name: str
    backend: type
    options: dict[str, Any] = field(default_factory=dict)
    durable: bool = False  # fewer records: each waits for the disk


@dataclass
class Column:
    """One way of putting."""

    name: str
    work: Work
    count: int
    durable_count: int


LEVELS = [
    Level("`MemoryBackend`", MemoryBackend),
    Level("`LanceBackend`, before its flush", LanceBackend),
    Level("`wal_sync_interval=1`", PersistingBackend, {"wal_sync_interval": 1}),
    Level("`wal_sync_interval=0`", PersistingBackend, durable=True),
    Level("the same, `compression='zstd'`", PersistingBackend, {"compression": "zstd"}, True),
]
COLUMNS = [
    Column("put, one producer", put_each, 20_000, 400),
    Column(f"put, {PRODUCERS} producers", put_concurrently, 20_000, 8_000),
    Column("put_batch of 1,000", put_batches, 50_000, 50_000),
]


def measure(level: Level, column: Column, folder: Path) -> float:
    """Return records a second."""
    count = column.durable_count if level.durable else column.count
    records = make_records(count)

    async def run() -> float:
        backend = level.backend(0, folder / "bucket", **level.options)
        started = time.perf_counter()
        await column.work(backend, records)
        seconds = time.perf_counter() - started
        assert backend.total_count() == count
        await backend.close()
        return count / seconds

    return asyncio.run(run())


def table(rounds: list[dict[tuple[str, str], float]]) -> str:
    """Return the table: for each level and column the ratio and the rate."""
    lines = [
        "| level | " + " | ".join(f"{column.name}: ratio, records/s" for column in COLUMNS) + " |",
        "|---|" + "--:|" * len(COLUMNS),
    ]
    for level in LEVELS:
        cells = []
        for column in COLUMNS:
            base = (LEVELS[0].name, column.name)
            key = (level.name, column.name)
            ratio = statistics.median(each[key] / each[base] for each in rounds)
            rate = statistics.median(each[key] for each in rounds)
            cells.append(f"{ratio:.3f}, {rate:,.0f}")
        lines.append(f"| {level.name} | " + " | ".join(cells) + " |")
    lines += [
        "",
        f"Median of {len(rounds)} interleaved rounds; ratio to `MemoryBackend` in the same round;"
        " written by `make bench`.",
        f"Machine: {describe_machine()}.",
        "",
    ]
    return "\n".join(lines)


def main() -> None:
    """Run all rounds and write the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    base = ROOT / "build"
    base.mkdir(exist_ok=True)
    rounds = []
    for number in range(arguments.rounds):
        rounds.append(
            {
                (level.name, column.name): in_new_folder(
                    base, lambda folder, level=level, column=column: measure(level, column, folder)
                )
                for level in LEVELS
                for column in COLUMNS
            }
        )
        print(f"levels: round {number + 1} of {arguments.rounds} done", file=sys.stderr)
    text = table(rounds)
    page, marks = MARKED.subn(lambda match: match[1] + text + match[2], PAGE.read_text())
    assert marks == 1, f"{PAGE} has no marked place for the table"
    PAGE.write_text(page)
    print(text)


if __name__ == "__main__":
    main()
