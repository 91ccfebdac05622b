"""What a put notices of a flush, and of a compaction, that run meanwhile."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cases.puts import DISK_SAFE, MEMORY_SAFE
from framework import (
    KILL,
    POWER,
    Group,
    Round,
    Row,
    Unit,
    at_least,
    at_most,
    no_more_than,
    quantile,
)
from persisting.queue import PersistingBackend
from workload import make_records, put_batches

P99 = 0.99
#: Puts between two looks at whether what runs meanwhile has ended: a put that need not wait does
# not let the event loop run.
STRIDE = 50


@dataclass
class Puts:
    """How puts one after the other went."""

    rate: float
    longest_gap: float
    p99: float


async def put_while(
    backend: PersistingBackend, records: list[dict[str, Any]], goes_on: Callable[[], bool]
) -> Puts:
    """Put one after the other while `goes_on`, at least STRIDE times."""
    latencies = []
    started = before = time.perf_counter()
    while True:
        for record in records[:STRIDE]:
            await backend.put(record)
            now = time.perf_counter()
            latencies.append(now - before)
            before = now
        if not goes_on():
            break
        await asyncio.sleep(0)
    return Puts(len(latencies) / (before - started), max(latencies), quantile(latencies, P99))


async def put_idle(
    backend: PersistingBackend, records: list[dict[str, Any]], seconds: float
) -> Puts:
    """Put for a while, with nothing beside it."""
    end = time.perf_counter() + seconds
    return await put_while(backend, records, lambda: time.perf_counter() < end)


async def put_beside(
    backend: PersistingBackend, records: list[dict[str, Any]], work: Awaitable[object]
) -> Puts:
    """Put as long as `work` runs."""
    task = asyncio.ensure_future(work)
    puts = await put_while(backend, records, lambda: not task.done())
    await task
    return puts


async def measure_bucket(this: Round, folder: Path, name: str, options: dict[str, Any]) -> None:
    """Measure puts alone, beside a flush, and beside a compaction, in a bucket of its own."""
    some = make_records(STRIDE)
    many = make_records(this.count(500_000, 2_000))
    async with PersistingBackend(0, folder, **options) as backend:
        # As many fragments as a compaction then merges.
        for first in range(0, len(many), len(many) // 10):
            await put_batches(backend, many[first : first + len(many) // 10])
            await backend.flush()
        idle = await put_idle(backend, some, this.count(2_000, 50) / 1_000)
        await put_batches(backend, many)
        flushed = await put_beside(backend, some, backend.flush())
        compacted = await put_beside(backend, some, backend.compact())
        for state, puts in (("idle", idle), ("flush", flushed), ("compact", compacted)):
            this.figures[f"{name}_{state}"] = puts.rate
            this.figures[f"{name}_{state}_gap"] = puts.longest_gap
            this.figures[f"{name}_{state}_p99"] = puts.p99


def measure(this: Round) -> None:
    asyncio.run(measure_bucket(this, this.new_folder(), "put", MEMORY_SAFE))
    asyncio.run(measure_bucket(this, this.new_folder(), "durable", DISK_SAFE))


STATES = (("flush", "a flush"), ("compact", "a compaction"))
GROUP = Group(
    "maintenance",
    "Puts beside a flush and a compaction",
    "Puts one after the other while 500,000 records are flushed, and while the ten fragments"
    " from before and that one are merged; the peer is the same bucket with nothing running, just"
    " before. A gap is the time from one acknowledgement to the next.",
    rows=tuple(
        row
        for state, text in STATES
        for row in (
            Row(
                f"put beside {text}", KILL, f"put_{state}", "put_idle", "idle", target=at_least(0.9)
            ),
            Row(
                f"longest gap beside {text}",
                KILL,
                f"put_{state}_gap",
                "put_idle_gap",
                "idle: the same",
                Unit.SECONDS,
                no_more_than(5e-3),
            ),
            Row(
                f"99 of 100 puts beside {text} within",
                POWER,
                f"durable_{state}_p99",
                "durable_idle_p99",
                "idle: the same",
                Unit.SECONDS,
                at_most(4),
            ),
        )
    ),
    measure=measure,
)
