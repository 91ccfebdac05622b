"""Waiting for a record in any of several buckets.

Reading does not consume, so a stream serves as an alarm: it is asked for one record, which is
thrown away and read again by whoever waits. Nothing can get lost between the alarms of two buckets.
"""

import asyncio
from collections.abc import Sequence
from contextlib import aclosing
from typing import Any

# A backend whose streams do not wait is asked this often.
_POLL_SECONDS = 0.05


async def wait_for_records(
    buckets: Sequence[tuple[Any, int]], deadline: float | None, slice_seconds: float | None
) -> bool:
    """Wait until one of the buckets holds a record at its offset.

    Args:
        buckets: each with its offset.
        deadline: of the loop's clock, at which False is returned; None: never.
        slice_seconds: longest wait of a single stream; None: no limit.

    Raises:
        Whatever a stream raises; the other waits are ended first.
    """
    loop = asyncio.get_running_loop()
    waits: set[asyncio.Task[bool]] = set()
    where: dict[asyncio.Task[bool], tuple[Any, int, float]] = {}

    def watch(bucket: Any, offset: int, pause: float = 0.0) -> None:
        left = None if deadline is None else max(deadline - loop.time(), 0.0)
        limits = [limit for limit in (left, slice_seconds) if limit is not None]
        task = asyncio.create_task(_has_record(bucket, offset, min(limits, default=None), pause))
        waits.add(task)
        where[task] = (bucket, offset, loop.time())

    try:
        for bucket, offset in buckets:
            watch(bucket, offset)
        while True:
            left = None if deadline is None else max(deadline - loop.time(), 0.0)
            done = await _first_of(waits, left)
            outcomes = [task.result() for task in done]  # all, so that no error is passed over
            if any(outcomes):
                return True
            if deadline is not None and loop.time() >= deadline:
                return False
            for task in done:  # its slice is over
                waits.remove(task)
                bucket, offset, started = where.pop(task)
                at_once = loop.time() - started < _POLL_SECONDS
                watch(bucket, offset, _POLL_SECONDS if at_once else 0.0)
    finally:
        for task in waits:
            task.cancel()
        await asyncio.gather(*waits, return_exceptions=True)


async def _first_of(
    waits: set[asyncio.Task[bool]],
    timeout: float | None,  # noqa: ASYNC109
) -> set[asyncio.Task[bool]]:
    if waits:
        return (await asyncio.wait(waits, timeout=timeout, return_when="FIRST_COMPLETED"))[0]
    # No bucket, as for a consumer beyond the number of buckets: nothing will ever come.
    await (asyncio.sleep(timeout) if timeout is not None else asyncio.Event().wait())
    return set()


async def _has_record(
    bucket: Any,
    offset: int,
    timeout: float | None,  # noqa: ASYNC109
    pause: float,
) -> bool:
    await asyncio.sleep(pause)
    stream = bucket.get_stream(1, offset, True, timeout)
    if not hasattr(stream, "aclose"):
        return await _first_nonempty(stream)
    async with aclosing(stream):
        return await _first_nonempty(stream)


async def _first_nonempty(stream: Any) -> bool:
    async for records in stream:
        if records:
            return True
    return False
