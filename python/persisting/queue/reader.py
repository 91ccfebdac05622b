"""QueueReader: the handle of those who read a topic on, bucket by bucket, each from its own offset.

Guarantee: records of a bucket come in order, none twice and none left out, also where a `get` fails
           or is cancelled: the offsets advance in the moment in which the records are returned.
Threads:   as `Queue`; concurrent `get` calls of one reader share the records among them.
"""

import asyncio
import logging
import os
from collections.abc import Mapping, Sequence
from typing import Any, Self

from persisting._check import Record, seconds, whole_number
from persisting._core import assign_buckets
from persisting._errors import StorageError
from persisting.queue.queue import Queue
from persisting.queue.sync import SyncQueueReader

_log = logging.getLogger(__name__)


class QueueReader:
    """Reads records of a queue, starting at the first ones.

    Args:
        queue: where from.
        bucket_ids: the buckets to read; None: all.
        owns_queue: closing the reader closes the queue too.
    """

    def __init__(
        self, queue: Queue, bucket_ids: Sequence[int] | None = None, *, owns_queue: bool = False
    ) -> None:
        self.queue = queue
        self.bucket_ids = queue.check_bucket_ids(bucket_ids)
        self._owns_queue = owns_queue
        self._offsets = dict.fromkeys(self.bucket_ids, 0)
        self._turn = 0

    async def get(
        self,
        limit: int = 100,
        wait: bool = False,
        timeout: float | None = None,  # noqa: ASYNC109 - Pulsing's signature
    ) -> list[Record]:
        """Return up to `limit` of the next records, as many as are there.

        Buckets take turns at being read first, so that a busy one does not hold up the others.

        Args:
            limit: most records.
            wait: if nothing is there, wait for the first record in any of the buckets.
            timeout: longest wait in seconds, after which nothing is returned; None: for ever.

        Raises:
            ValueError, TypeError: an argument is wrong.
            StorageError: a bucket cannot be read. The offsets stay where they were.
        """
        limit = whole_number("limit", limit)
        timeout = seconds("timeout", timeout)
        deadline = None if timeout is None else asyncio.get_running_loop().time() + timeout
        await self.queue.open_buckets(self.bucket_ids)
        while True:
            records = await self._take(limit)
            if records or not wait or limit == 0:
                return records
            if not await self.queue.wait_beyond(dict(self._offsets), deadline):
                return []

    async def _take(self, limit: int) -> list[Record]:
        while True:
            before = dict(self._offsets)
            after = dict(before)
            records: list[Record] = []
            for bucket_id in self._in_turn():
                if len(records) >= limit:
                    break
                page = await self.queue.read(bucket_id, limit - len(records), before[bucket_id])
                after[bucket_id] += len(page)
                records += page
            # Meanwhile another task may have read, or moved the offsets: then read again from
            # there.
            if self._offsets == before:
                self._offsets = after
                self._turn += 1
                return records

    def _in_turn(self) -> list[int]:
        if not self.bucket_ids:
            return []
        first = self._turn % len(self.bucket_ids)
        return self.bucket_ids[first:] + self.bucket_ids[:first]

    @property
    def offsets(self) -> dict[int, int]:
        """The next offset of each bucket, by bucket id: a copy, to `set_offset` after a restart."""
        return dict(self._offsets)

    def reset(self) -> None:
        """Start again from the first records."""
        self._offsets = dict.fromkeys(self.bucket_ids, 0)

    def set_offset(self, offset: int, bucket_id: int | None = None) -> None:
        """Read on from `offset` in all buckets, or in one; ValueError if that is not read here."""
        offset = whole_number("offset", offset)
        if bucket_id is None:
            self._offsets = dict.fromkeys(self.bucket_ids, offset)
        elif bucket_id in self._offsets:
            self._offsets = self._offsets | {bucket_id: offset}
        else:
            raise ValueError(f"the reader reads buckets {self.bucket_ids}, not {bucket_id}")

    async def close(self) -> None:
        """Let go of the buckets, for a reader made by `read_queue`. Closing again does nothing."""
        if self._owns_queue:
            await self.queue.close()

    def sync(self) -> SyncQueueReader:
        """Return a view of the reader whose methods block, for code outside the event loop."""
        return SyncQueueReader(self)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> list[Record]:
        """Wait for the next records and return them as a list; ends when the queue is closed."""
        try:
            return await self.get(wait=True)
        except StorageError:
            if self.queue.closed:
                raise StopAsyncIteration from None
            raise

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"<QueueReader of buckets {self.bucket_ids} of {self.queue!r}>"


async def read_queue(  # noqa: PLR0917 - Pulsing's signature
    system: Any,
    topic: str,
    bucket_id: int | None = None,
    bucket_ids: Sequence[int] | None = None,
    rank: int | None = None,
    world_size: int | None = None,
    num_buckets: int = 4,
    storage_path: str | os.PathLike[str] | None = None,
    backend: str | type[Any] = "persisting",
    backend_options: Mapping[str, Any] | None = None,
) -> QueueReader:
    """Open a topic for reading: all buckets, or some, or the share of one of several consumers.

    Args:
        system: a Pulsing actor system; None: the queue is embedded in this process.
        topic: the queue's name.
        bucket_id: read this bucket only.
        bucket_ids: read these buckets only.
        rank: this consumer's number, from 0, among `world_size`: it reads every `world_size`-th
            bucket.
        world_size: number of consumers.
        num_buckets: number of buckets, as the writer's.
        storage_path: as the writer's.
        backend: as the writer's.
        backend_options: as the writer's; options that are not given are not compared.

    Raises:
        ValueError, TypeError: an argument is wrong, or several ways to choose buckets were given.
        StorageError: a system was given, but no Pulsing that we know is installed.
    """
    queue = Queue(
        system,
        topic,
        None,
        num_buckets,
        storage_path=storage_path,
        backend=backend,
        backend_options=backend_options,
    )
    chosen = _chosen_buckets(bucket_id, bucket_ids, rank, world_size, queue.num_buckets)
    reader = QueueReader(queue, chosen, owns_queue=True)
    await queue.prepare()
    return reader


def _chosen_buckets(
    bucket_id: int | None,
    bucket_ids: Sequence[int] | None,
    rank: int | None,
    world_size: int | None,
    num_buckets: int,
) -> Sequence[int] | None:
    if (rank is None) != (world_size is None):
        raise ValueError(
            f"rank and world_size go together; got rank={rank}, world_size={world_size}"
        )
    ways = {"bucket_id": bucket_id, "bucket_ids": bucket_ids, "rank and world_size": rank}
    given = [name for name, value in ways.items() if value is not None]
    if len(given) > 1:
        raise ValueError(f"buckets are chosen in one way only; got {' and '.join(given)}")
    if rank is not None and world_size is not None:
        return assign_buckets(
            num_buckets, whole_number("rank", rank), whole_number("world_size", world_size, least=1)
        )
    return bucket_ids if bucket_id is None else [bucket_id]
