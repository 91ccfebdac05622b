"""The blocking view of what is asynchronous: `.sync()` of queue, writer, reader and backend.

Where a call runs: on the loop that the queue was made in, if that runs in another thread;
           otherwise, for an embedded queue, on one background loop of the process.
Failure:   RuntimeError where the call would block the very loop that has to answer it.
Threads:   thread-safe.
"""

import asyncio
import os
import threading
from collections.abc import Callable, Coroutine, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

from persisting import _arrow
from persisting._arrow import table_of
from persisting._check import (
    MOST,
    TARGET_ROWS,
    Record,
    compaction,
    seconds,
    text,
    whole_number,
)

if TYPE_CHECKING:
    import pyarrow as pa

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

    def put(self, record: Any) -> dict[str, Any] | list[dict[str, Any]]:
        """Put one record, a list of them, or Arrow data; see `Queue.put`."""
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

    def put(self, record: Any) -> dict[str, Any] | list[dict[str, Any]]:
        """Put one record, a list of them, or Arrow data; see `Queue.put`."""
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

    def put_batch(self, records: Any) -> None:
        """Append all records in order, or none; a list of dicts, or Arrow data."""
        if _arrow.is_arrow(records):
            records = _arrow.record_batch(records)
            first = self._native.put_arrow_sync(*records.__arrow_c_array__())
        else:
            first = self._native.put_batch_sync(records)
        self._backend.note_put(first, records)

    def get(self, limit: int | None = None, offset: int = 0) -> list[Record]:
        """Return up to `limit` records (None: all) from `offset` on."""
        return self._native.get_sync(*self._backend.range_of(limit, offset))

    def get_arrow(self, limit: int | None = None, offset: int = 0) -> "pa.Table":
        """Return the same records as a table."""
        return table_of(self._native.get_arrow_sync(*self._backend.range_of(limit, offset)))

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

    def schema(self) -> list[dict[str, Any]]:
        """Return the fields; see the backend's `schema`."""
        return self._native.schema()

    def schema_history(self) -> list[dict[str, Any]]:
        """Return how the schema came to be; see the backend's `schema_history`."""
        return self._native.schema_history()

    def drop_field(self, name: str) -> None:
        """Take a field out of every record so far; see the backend's `drop_field`."""
        self._native.drop_field_sync(text("name", name))

    def rename_field(self, name: str, new_name: str) -> None:
        """Give a field another name; see the backend's `rename_field`."""
        self._native.rename_field_sync(text("name", name), text("new_name", new_name))

    def dead_letters(self, limit: int | None = None, offset: int = 0) -> list[Record]:
        """Return records that were kept aside; see the backend's `dead_letters`."""
        most = MOST if limit is None else whole_number("limit", limit)
        return self._native.get_dead_letters_sync(most, whole_number("offset", offset))

    def flush(self) -> None:
        """Return once everything put before is durable in the backend's final store."""
        self._native.flush_sync()

    def get_metrics(self) -> dict[str, Any]:
        """Return the bucket's metrics by name; see `NativeStorage.get_metrics`."""
        return self._native.get_metrics()

    def compact(
        self,
        progress: Callable[[int, int], object] | None = None,
        *,
        target_rows_per_fragment: int = TARGET_ROWS,
    ) -> dict[str, Any]:
        """Merge small fragments and remove old versions; see the backend's `compact`.

        `progress` is called from a thread of the core.
        """
        return self._native.compact_sync(compaction(target_rows_per_fragment, progress), progress)

    def pause_maintenance(self) -> None:
        """Begin nothing more in the background; see the backend's `pause_maintenance`."""
        self._native.pause_maintenance()

    def resume_maintenance(self) -> None:
        """Go on in the background; see the backend's `resume_maintenance`."""
        self._native.resume_maintenance()

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
