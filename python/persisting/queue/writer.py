"""QueueWriter: the handle of those who write a topic."""

import os
from collections.abc import Mapping
from typing import Any, Self

from persisting._check import text
from persisting.queue.queue import Queue
from persisting.queue.sync import SyncQueueWriter


class QueueWriter:
    """Writes records to a queue. Threads: as `Queue`.

    Args:
        queue: where to.
        owns_queue: closing the writer closes the queue too.
    """

    def __init__(self, queue: Queue, *, owns_queue: bool = False) -> None:
        self.queue = queue
        self._owns_queue = owns_queue

    async def put(self, record: Any) -> dict[str, Any] | list[dict[str, Any]]:
        """Store one record, a list of them, or Arrow data; see `Queue.put`."""
        return await self.queue.put(record)

    async def flush(self) -> None:
        """Return once everything put before is in its final store; see `Queue.flush`."""
        await self.queue.flush()

    async def stats(self) -> dict[str, Any]:
        """Return figures of the opened buckets; see `Queue.stats`."""
        return await self.queue.stats()

    async def close(self) -> None:
        """Flush; a writer made by `write_queue` also lets go of the buckets. Idempotent."""
        if self._owns_queue:
            await self.queue.close()
        elif not self.queue.closed:
            await self.queue.flush()

    def sync(self) -> SyncQueueWriter:
        """Return a view of the writer whose methods block, for code outside the event loop."""
        return SyncQueueWriter(self)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"<QueueWriter of {self.queue!r}>"


async def write_queue(  # noqa: PLR0917 - Pulsing's signature
    system: Any,
    topic: str,
    bucket_column: str = "id",
    num_buckets: int = 4,
    batch_size: int = 100,
    storage_path: str | os.PathLike[str] | None = None,
    backend: str | type[Any] = "persisting",
    backend_options: Mapping[str, Any] | None = None,
) -> QueueWriter:
    """Open a topic for writing; durable by default.

    The arguments are those of `Queue`, and Pulsing's own `write_queue` has the same. With a Pulsing
    system its actors serve the buckets; with None the queue is embedded in this process. Close the
    writer when done.

    Raises:
        ValueError, TypeError: an argument is wrong, or the backend is not known.
        StorageError: a system was given, but no Pulsing that we know is installed.
    """
    queue = Queue(
        system,
        topic,
        text("bucket_column", bucket_column),
        num_buckets,
        batch_size,
        storage_path,
        backend,
        backend_options,
    )
    await queue.prepare()
    return QueueWriter(queue, owns_queue=True)
