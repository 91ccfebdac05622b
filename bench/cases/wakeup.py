"""How long a reader that waits at the end of a queue takes to have what is put."""

import asyncio
import time
from pathlib import Path
from typing import Any

from framework import KILL, Group, Round, Row, Unit, no_more_than, quantile
from persisting.queue import read_queue, write_queue
from workload import make_records

MEDIAN = 0.5


async def wake_ours(folder: Path, count: int) -> list[float]:
    """Return, for each record, the time from its put to a waiting reader that has it."""
    storage: dict[str, Any] = {"storage_path": folder, "num_buckets": 1}
    storage["backend_options"] = {"wal_sync_interval": 1, "enable_metrics": True}
    writer = await write_queue(None, "wakeup", **storage)
    reader = await read_queue(None, "wakeup", **storage)
    latencies = []

    async def wait() -> float:
        found = await reader.get(1, wait=True, timeout=10)
        assert len(found) == 1
        return time.perf_counter()

    for record in make_records(count):
        waiting = asyncio.ensure_future(wait())
        # Until it has looked, found nothing, and waits. Ten turns of the loop are more than enough.
        for _ in range(10):
            await asyncio.sleep(0)
        assert not waiting.done()
        started = time.perf_counter()
        await writer.put(record)
        latencies.append(await waiting - started)
    await reader.close()
    await writer.close()
    return latencies


async def wake_event(count: int) -> list[float]:
    """Return the time from setting an asyncio.Event from another thread to its waiter."""
    loop = asyncio.get_running_loop()
    latencies = []

    async def wait(event: asyncio.Event) -> float:
        await event.wait()
        return time.perf_counter()

    def set_from_thread(event: asyncio.Event) -> float:
        started = time.perf_counter()
        loop.call_soon_threadsafe(event.set)
        return started

    for _ in range(count):
        event = asyncio.Event()
        waiting = asyncio.ensure_future(wait(event))
        await asyncio.sleep(0)
        started = await loop.run_in_executor(None, set_from_thread, event)
        latencies.append(await waiting - started)
    return latencies


def measure(this: Round) -> None:
    count = this.count(2_000, 20)
    ours = asyncio.run(wake_ours(this.new_folder(), count))
    this.figures["wakeup"] = quantile(ours, MEDIAN)
    this.figures["wakeup_event"] = quantile(asyncio.run(wake_event(count)), MEDIAN)


GROUP = Group(
    "wakeup",
    "Wake-up of a waiting reader",
    "Embedded queue of one bucket, writer and reader in one event loop: from the call of `put` to"
    " the reader that has the record, half of the time. The peer is an `asyncio.Event` set from"
    " another thread.",
    rows=(
        Row(
            "put to a waiting reader",
            KILL,
            "wakeup",
            "wakeup_event",
            "bare event from a thread",
            Unit.SECONDS,
            no_more_than(100e-6),
        ),
    ),
    measure=measure,
)
