"""Reads of the buffer and of flushed records, into dicts and Arrow, in bulk and one by one."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any

import msgpack

from cases.puts import MEMORY_SAFE
from framework import (
    READ,
    Chart,
    Group,
    Round,
    Row,
    Unit,
    at_least,
    at_most,
    no_more_than,
    quantile,
    rate,
    seconds,
)
from peers import encoder, lance_table
from persisting.queue import PersistingBackend
from workload import BATCH, make_records, put_batches

MEDIAN = 0.5
FIELDS = ["id", "name", "reward", "text"]


async def seconds_of(work: Callable[[], Awaitable[object]]) -> float:
    """Return how long it takes."""
    now = asyncio.get_running_loop().time
    started = now()
    await work()
    return now() - started


async def read_pages(backend: PersistingBackend, count: int) -> None:
    """Read everything into dicts, a thousand at a time."""
    found = 0
    for offset in range(0, count, BATCH):
        found += len(await backend.get(BATCH, offset))
    assert found == count


async def read_arrow(backend: PersistingBackend, count: int) -> None:
    """Read everything into one table."""
    assert (await backend.get_arrow(count, 0)).num_rows == count


async def one_by_one(backend: PersistingBackend, offsets: Sequence[int]) -> float:
    """Return how long the read of one record takes, half of the time."""
    taken = [await seconds_of(partial(backend.get, 1, offset)) for offset in offsets]
    return quantile(taken, MEDIAN)


async def read(this: Round, backend: PersistingBackend, records: list[dict[str, Any]]) -> None:
    """Measure our reads before and after the flush."""
    figures, count = this.figures, len(records)
    random = this.random()
    for state, picks in (("tail", this.count(5_000, 50)), ("flushed", this.count(500, 20))):
        if state == "flushed":
            await backend.flush()
        figures[f"{state}_dicts"] = count / await seconds_of(lambda: read_pages(backend, count))
        figures[f"{state}_arrow"] = count / await seconds_of(lambda: read_arrow(backend, count))
        offsets = [random.randrange(count) for _ in range(picks)]
        figures[f"{state}_one"] = await one_by_one(backend, offsets)


def take_one(table: Any, index: int) -> list[dict[str, Any]]:
    """Read one row of a Lance table into a dict."""
    return table.take([index], columns=FIELDS).to_pylist()  # type: ignore[no-any-return]


def read_peers(this: Round, path: Any, records: list[dict[str, Any]]) -> None:
    """Measure the same reads without us; `path` is the table that we have flushed into."""
    figures, count = this.figures, len(records)
    figures["unpackb"] = encoder.unpackb_rate(records)
    table = lance_table.open_table(path)
    figures["lance_scan"] = rate(count, lambda: table.to_table(columns=FIELDS))
    arrow = table.to_table(columns=FIELDS)
    figures["to_pylist"] = rate(count, arrow.to_pylist)
    random = this.random()
    offsets = [random.randrange(count) for _ in range(this.count(500, 20))]
    taken = [seconds(partial(take_one, table, i)) for i in offsets]
    figures["lance_take"] = quantile(taken, MEDIAN)
    encoded = [msgpack.packb(record) for record in records]
    taken = [seconds(partial(msgpack.unpackb, encoded[i])) for i in offsets]
    figures["unpackb_one"] = quantile(taken, MEDIAN)


def measure(this: Round) -> None:
    records = make_records(this.count(200_000, 2_000))
    bucket = this.new_folder() / "bucket"

    async def run() -> None:
        async with PersistingBackend(0, bucket, **MEMORY_SAFE) as backend:
            await put_batches(backend, records)
            await read(this, backend, records)

    asyncio.run(run())
    read_peers(this, bucket / "data.lance", records)


UNPACKB = "`msgpack.unpackb`"
GROUP = Group(
    "reads",
    "Reads",
    "200,000 records, first in the buffer (the tail), then flushed into the Lance table: into dicts"
    " in pages of 1,000, into one Arrow table, and one record at a random offset (the median of all"
    " picks). The peers decode the same records, or read the same table, all four fields.",
    rows=(
        Row("tail into dicts", READ, "tail_dicts", "unpackb", UNPACKB, target=at_least(2)),
        Row("tail into Arrow", READ, "tail_arrow", "unpackb", UNPACKB, target=at_least(8)),
        Row(
            "flushed into dicts",
            READ,
            "flushed_dicts",
            "to_pylist",
            "pyarrow `to_pylist` of the same rows",
            target=at_least(1.3),
        ),
        Row(
            "flushed into Arrow",
            READ,
            "flushed_arrow",
            "lance_scan",
            "Lance scan",
            target=at_least(0.9),
        ),
        Row(
            "one random record of the tail",
            READ,
            "tail_one",
            "unpackb_one",
            f"{UNPACKB} of one",
            Unit.SECONDS,
            no_more_than(5e-6),
        ),
        Row(
            "one random record, flushed",
            READ,
            "flushed_one",
            "lance_take",
            "Lance `take` of one row, `to_pylist`",
            Unit.SECONDS,
            at_most(1.1),
        ),
    ),
    measure=measure,
    charts=(
        Chart(
            "bench-reads.svg",
            "Reads, as a multiple of the peer",
            (
                "tail_dicts/unpackb",
                "tail_arrow/unpackb",
                "flushed_dicts/to_pylist",
                "flushed_arrow/lance_scan",
            ),
        ),
    ),
)
