"""The blocking view of what is asynchronous: `.sync()` of queue, writer, reader and backend.

Where a call runs: on the loop that the queue was made in, if that runs in another thread;
           otherwise, for an embedded queue, on one background loop of the process.
Failure:   RuntimeError where the call would block the very loop that has to answer it.
Threads:   thread-safe.
"""

import asyncio
import os
import threading
from collections.abc import Coroutine, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

from persisting.queue._check import Record, seconds, whole_number

if TYPE_CHECKING:
    from persisting._core import NativeBackend
    from persisting.queue.backends import NativeStorage
    from persisting.queue.queue import Queue
    from persisting.queue.reader import QueueReader
    from persisting.queue.writer import QueueWriter

T = TypeVar("T")

_lock = threading.Lock()
_background: tuple[int, asyncio.AbstractEventLoop] | None = None


def _background_loop() -> asyncio.AbstractEventLoop:
    """Return the process's background loop, started when needed; a forked child has its own."""
    global _background  # noqa: PLW0603 - one a process
    with _lock:
        if _background is None or _background[0] != os.getpid():
            loop = asyncio.new_event_loop()
            threading.Thread(target=loop.run_forever, name="persisting-loop", daemon=True).start()
            _background = (os.getpid(), loop)
        return _background[1]


def run(coroutine: Coroutine[Any, Any, T], loop: asyncio.AbstractEventLoop | None) -> T:
    """Run a coroutine on `loop`, or the background loop if it is None, and wait for its result."""
    try:
        running: asyncio.AbstractEventLoop | None = asyncio.get_running_loop()
    except RuntimeError:
        running = None
    if running is not None:
        coroutine.close()
        raise RuntimeError(
            "a blocking call inside a running event loop would block that loop; await the method"
            " of the asynchronous object instead"
        )
    target = _background_loop() if loop is None else loop
    future = asyncio.run_coroutine_threadsafe(coroutine, target)
    try:
        return future.result()
    except BaseException:
        future.cancel()  # KeyboardInterrupt while waiting; elsewhere it is done
        raise


class _Sync:
    def __init__(self, queue: "Queue") -> None:
        self._owner = queue

    def _run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        try:
            loop = self._owner.loop_for_sync()
        except RuntimeError:
            coroutine.close()
            raise
        return run(coroutine, loop)


class SyncQueue(_Sync):
    """A `Queue` whose methods block; see there."""

    def __init__(self, queue: "Queue") -> None:
        super().__init__(queue)
        self._queue = queue

    def put(self, record: Record | list[Record]) -> dict[str, Any] | list[dict[str, Any]]:
        """Put one record or a list of them; see `Queue.put`."""
        return self._run(self._queue.put(record))

    def get(
        self,
        bucket_id: int | None = None,
        limit: int = 100,
        offset: int = 0,
        wait: bool = False,
        timeout: float | None = None,
    ) -> list[Record]:
        """Read records; see `Queue.get`."""
        return self._run(self._queue.get(bucket_id, limit, offset, wait, timeout))

    def flush(self) -> None:
        """Flush the opened buckets; see `Queue.flush`."""
        self._run(self._queue.flush())

    def stats(self) -> dict[str, Any]:
        """Return figures of the opened buckets; see `Queue.stats`."""
        return self._run(self._queue.stats())

    def close(self) -> None:
        """Flush and let go of the buckets; see `Queue.close`."""
        self._run(self._queue.close())


class SyncQueueWriter(_Sync):
    """A `QueueWriter` whose methods block; see there."""

    def __init__(self, writer: "QueueWriter") -> None:
        super().__init__(writer.queue)
        self._writer = writer

    def put(self, record: Record | list[Record]) -> dict[str, Any] | list[dict[str, Any]]:
        """Put one record or a list of them; see `Queue.put`."""
        return self._run(self._writer.put(record))

    def flush(self) -> None:
        """Flush the opened buckets; see `Queue.flush`."""
        self._run(self._writer.flush())

    def stats(self) -> dict[str, Any]:
        """Return figures of the opened buckets; see `Queue.stats`."""
        return self._run(self._writer.stats())

    def close(self) -> None:
        """Flush, and close the writer's queue; see `QueueWriter.close`."""
        self._run(self._writer.close())


class SyncQueueReader(_Sync):
    """A `QueueReader` whose methods block; see there."""

    def __init__(self, reader: "QueueReader") -> None:
        super().__init__(reader.queue)
        self._reader = reader

    def get(
        self, limit: int = 100, wait: bool = False, timeout: float | None = None
    ) -> list[Record]:
        """Read the next records; see `QueueReader.get`."""
        return self._run(self._reader.get(limit, wait, timeout))

    def reset(self) -> None:
        """Start again from the first records."""
        self._reader.reset()

    def set_offset(self, offset: int, bucket_id: int | None = None) -> None:
        """Read on from `offset`, in one bucket or in all; see `QueueReader.set_offset`."""
        self._reader.set_offset(offset, bucket_id)

    @property
    def offsets(self) -> dict[int, int]:
        """The next offset of each bucket."""
        return self._reader.offsets

    def close(self) -> None:
        """Close the reader's queue; see `QueueReader.close`."""
        self._run(self._reader.close())


class SyncBackend:
    """A backend whose methods block; other threads run meanwhile, and no event loop is needed."""

    def __init__(self, backend: "NativeStorage", native: "NativeBackend") -> None:
        self._backend = backend
        self._native = native

    def put(self, record: Record) -> None:
        """Append one record."""
        first = self._native.put_sync(record)
        self._backend.note_put(first, [record])

    def put_batch(self, records: list[Record]) -> None:
        """Append all records in order, or none."""
        first = self._native.put_batch_sync(records)
        self._backend.note_put(first, records)

    def get(self, limit: int | None = None, offset: int = 0) -> list[Record]:
        """Return up to `limit` records (None: all) from `offset` on."""
        offset = whole_number("offset", offset)
        if limit is None:
            limit = max(self._native.total_count() - offset, 0)
        return self._native.get_sync(whole_number("limit", limit), offset)

    def get_stream(
        self,
        limit: int | None = None,
        offset: int = 0,
        wait: bool = False,
        timeout: float | None = None,
        *,
        block: bool | None = None,
    ) -> Iterator[list[Record]]:
        """Yield lists of records; the arguments are those of the backend's `get_stream`."""
        position = whole_number("offset", offset)
        remaining = None if limit is None else whole_number("limit", limit)
        timeout = seconds("timeout", timeout)
        wait = wait if block is None else block
        while remaining is None or remaining > 0:
            page = self._backend.page_records
            records = self.get(page if remaining is None else min(remaining, page), position)
            if records:
                yield records
                position += len(records)
                remaining = None if remaining is None else remaining - len(records)
            elif not wait or not run(self._backend.wait_beyond(position, timeout), None):
                return

    def flush(self) -> None:
        """Return once everything put before is durable in the backend's final store."""
        self._native.flush_sync()

    def stats(self) -> dict[str, Any]:
        """Return figures of the bucket."""
        return self._native.stats()

    def total_count(self) -> int:
        """Return the number of records."""
        return self._native.total_count()

    def close(self) -> None:
        """Flush, then let go of every resource."""
        self._native.close_sync()

    def __enter__(self) -> "SyncBackend":
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()
