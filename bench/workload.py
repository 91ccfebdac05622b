"""The records of the bench, and ways to put them."""

import asyncio
import time
from collections.abc import Sequence
from typing import Any, Protocol

import pyarrow as pa

from framework import Record

BATCH = 1000


class Puts(Protocol):
    """What takes records: our backends, and peers."""

    async def put(self, record: Record) -> Any: ...

    async def put_batch(self, records: list[Record]) -> Any: ...


def make_records(count: int) -> list[Record]:
    """Return records of four fields, about 67 bytes each as MessagePack."""
    return [
        {"id": i, "name": f"n{i % 1000:06d}", "reward": 0.5, "text": "hello world, this is text"}
        for i in range(count)
    ]


def make_table(count: int) -> pa.Table:
    """Return the same records in Arrow."""
    return pa.Table.from_pylist(make_records(count))


async def put_each(backend: Puts, records: Sequence[Record]) -> None:
    """Put one record after the other."""
    for record in records:
        await backend.put(record)


async def put_batches(backend: Puts, records: list[Record]) -> None:
    """Put a thousand records at a time."""
    for first in range(0, len(records), BATCH):
        await backend.put_batch(records[first : first + BATCH])


async def put_timed(backend: Puts, records: Sequence[Record], latencies: list[float]) -> None:
    """Put one record after the other; note how long each took."""
    for record in records:
        started = time.perf_counter()
        await backend.put(record)
        latencies.append(time.perf_counter() - started)


async def put_concurrently(
    backend: Puts, records: Sequence[Record], producers: int, latencies: list[float] | None = None
) -> None:
    """Put from many producers at once, each one record after the other."""
    parts = [records[i::producers] for i in range(producers)]
    if latencies is None:
        await asyncio.gather(*(put_each(backend, part) for part in parts))
    else:
        await asyncio.gather(*(put_timed(backend, part, latencies) for part in parts))


#: Options of a backend that flushes only when it is told to: what is measured is the log and the
#: buffer, and the table has its own rows.
NO_FLUSH: dict[str, Any] = {
    "flush_bytes": 1 << 40,
    "max_wal_size": 1 << 40,
    "max_buffer_bytes": 1 << 40,
    "flush_interval": 1e6,
}
