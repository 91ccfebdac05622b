"""Queue: a topic split into buckets, embedded in this process or spread over a Pulsing cluster.

Guarantee: a put that returned is kept as its backend promises. Records of one bucket keep the order
           in which they were put.
Failure:   errors are raised, never swallowed. A list is checked in full before any of it is stored;
           if then a bucket refuses its part, the error says which buckets kept theirs.
Threads:   a queue belongs to one event loop; other threads use its `sync()`.
Elsewhere: the buckets in manager.py and _pulsing.py, reading on in reader.py.
"""

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Awaitable, Iterable, Mapping, Sequence
from typing import Any, Protocol, Self

import pyarrow as pa

from persisting import _arrow
from persisting._check import Record, seconds, text, whole_number
from persisting._core import bucket_of
from persisting._errors import StorageError
from persisting.queue._pulsing import PulsingBuckets
from persisting.queue.arrival import wait_for_records
from persisting.queue.backends import MemoryBackend, NativeStorage
from persisting.queue.manager import EmbeddedBuckets, StorageManager, default_storage_path
from persisting.queue.registry import backend_for_pulsing, get_backend_class
from persisting.queue.sync import SyncQueue

_log = logging.getLogger(__name__)


class Bucket(Protocol):
    """What a queue asks of a bucket, wherever it is."""

    async def put(self, record: Record) -> Any:
        """Append one record."""
        ...

    async def put_batch(self, records: Any) -> Any:
        """Append all records in order, or none; a list, or rows if the backend takes them."""
        ...

    async def get(self, limit: int, offset: int) -> list[Record]:
        """Return up to `limit` records from `offset` on."""
        ...

    def get_stream(
        self, limit: int, offset: int, wait: bool = False, timeout: float | None = None
    ) -> AsyncIterator[list[Record]]:
        """Yield lists of records from `offset` on."""
        ...

    async def flush(self) -> Any:
        """Return once everything put before is durable."""
        ...

    async def stats(self) -> dict[str, Any]:
        """Return the bucket's figures."""
        ...


class _Source(Protocol):
    """Where buckets come from. Longest wait of one stream in seconds; None: no limit."""

    wait_seconds: float | None

    async def prepare(self) -> None: ...

    async def open(self, bucket_id: int) -> Any: ...

    async def close(self, bucket: Any) -> None: ...


class Queue:
    """A topic: buckets of records, each an append-only sequence.

    Args:
        system: a Pulsing actor system; None: the queue is embedded in this process.
        topic: the queue's name.
        bucket_column: the field whose value decides a record's bucket; None for a queue that only
            reads.
        num_buckets: number of buckets; the same for everybody who opens the topic.
        batch_size: how many records are handed over at a time; a hint to the backend.
        storage_path: the topic's folder; default `./queue_storage/{topic}`. Bucket `i` lives in
            `bucket_i` below it. Over Pulsing it is a folder of the bucket's owner node.
        backend: a registered name, or a class that follows `StorageBackend`.
        backend_options: the backend's own options.

    Raises:
        ValueError, TypeError: an argument is wrong, or the backend is not known. A bucket is opened
            when it is first used; what is wrong with it is raised then.
    """

    def __init__(  # noqa: PLR0917 - Pulsing's signature
        self,
        system: Any,
        topic: str,
        bucket_column: str | None = "id",
        num_buckets: int = 4,
        batch_size: int = 100,
        storage_path: str | os.PathLike[str] | None = None,
        backend: str | type[Any] = "persisting",
        backend_options: Mapping[str, Any] | None = None,
    ) -> None:
        self.system = system
        self.topic = text("topic", topic)
        self.bucket_column = bucket_column
        self.num_buckets = whole_number("num_buckets", num_buckets, least=1)
        self.batch_size = whole_number("batch_size", batch_size, least=1)
        self.storage_path = os.fspath(storage_path or default_storage_path(topic))
        self.backend = backend
        self.backend_options = dict(backend_options or {})
        self._takes_arrow = False
        self._source = self._make_source()
        self._buckets: dict[int, Bucket] = {}
        self._closed = False
        try:
            self._loop: asyncio.AbstractEventLoop | None = asyncio.get_running_loop()
        except RuntimeError:
            self._loop = None

    def _make_source(self) -> "_Source":
        if self.system is None:
            backend_class = get_backend_class(self.backend)
            self._takes_arrow = (
                issubclass(backend_class, NativeStorage)
                and backend_class.put_batch is NativeStorage.put_batch
            )
            return EmbeddedBuckets(
                StorageManager.default(),
                self.topic,
                storage_path=self.storage_path,
                batch_size=self.batch_size,
                backend=backend_class,
                backend_options=self._options_for(backend_class),
            )
        name, backend_class = backend_for_pulsing(self.backend)
        return PulsingBuckets(
            self.system,
            self.topic,
            storage_path=self.storage_path,
            batch_size=self.batch_size,
            backend=name,
            backend_options=self._options_for(backend_class),
        )

    def _options_for(self, backend_class: type[Any]) -> dict[str, Any]:
        """Return the backend's options; our own also keep, and compare, the topic's settings."""
        if not issubclass(backend_class, NativeStorage):
            return self.backend_options
        topic: dict[str, Any] = {"topic": self.topic, "num_buckets": self.num_buckets}
        if self.bucket_column is not None:
            topic["bucket_column"] = self.bucket_column
        return topic | self.backend_options

    def get_bucket_id(self, value: Any) -> int:
        """Return the bucket of a record whose bucket column holds `value`; the same as Pulsing's.

        It is `md5(str(value)) mod num_buckets`, with None as the empty text: 1, "1" and a thing
        whose `str` is "1" share a bucket, 1.0 does not.
        """
        value_text = "" if value is None else str(value)
        try:
            return bucket_of(value_text, self.num_buckets)
        except TypeError:
            value_text.encode()  # a lone surrogate: a UnicodeEncodeError, as with Pulsing
            raise

    async def prepare(self) -> None:
        """Make sure that this node can own buckets. `write_queue` and `read_queue` do it."""
        await self._source.prepare()

    async def put(self, record: Any) -> dict[str, Any] | list[dict[str, Any]]:
        """Store one record, a list of them, or the rows of Arrow data, each in its bucket.

        A list is grouped by bucket and each group stored at once, all groups concurrently. So are
        the rows of anything with `__arrow_c_stream__` or `__arrow_c_array__`: a table, a record
        batch, a data frame. They stay in Arrow where the queue is embedded and the backend one of
        the library's; elsewhere they become records.

        Returns:
            `{"bucket_id": …, "status": "ok"}`, or a list of these in the order of the records.

        Raises:
            TypeError: something that is no dict, or a value that cannot be stored.
            ValueError: a record or the Arrow data lack the bucket column.
            SchemaError: a field's type does not fit its bucket.
            StorageError, WALError: a bucket failed.

        Of a group nothing is kept if it is refused. If other groups of the list were kept, the
        error says so in a note, and in the attributes `kept_buckets` and `failed_buckets`.
        """
        if isinstance(record, dict):
            bucket_id = self._bucket_id_of(record, None)
            await (await self._bucket(bucket_id)).put(record)
            return {"bucket_id": bucket_id, "status": "ok"}
        if _arrow.is_arrow(record):
            batch = _arrow.record_batch(record)
            self._check_bucket_column(batch.schema.names, "the Arrow data")
            if self._takes_arrow:
                return await self._put_rows(batch)
            record = _records_of(batch)
        if not isinstance(record, list):
            raise TypeError(
                "a record must be a dict, or a list of dicts, or Arrow data, not"
                f" {type(record).__name__}"
            )
        bucket_ids = [self._bucket_id_of(one, index) for index, one in enumerate(record)]
        groups: dict[int, list[Record]] = {}
        for bucket_id, one in zip(bucket_ids, record, strict=True):
            groups.setdefault(bucket_id, []).append(one)
        await self._put_groups(groups)
        return [{"bucket_id": bucket_id, "status": "ok"} for bucket_id in bucket_ids]

    async def _put_rows(self, batch: pa.RecordBatch) -> list[dict[str, Any]]:
        keys = _records_of(batch.select([self.bucket_column]))
        bucket_ids = [self._bucket_id_of(one, index) for index, one in enumerate(keys)]
        places: dict[int, list[int]] = {}
        for row, bucket_id in enumerate(bucket_ids):
            places.setdefault(bucket_id, []).append(row)
        await self._put_groups({bucket_id: batch.take(rows) for bucket_id, rows in places.items()})
        return [{"bucket_id": bucket_id, "status": "ok"} for bucket_id in bucket_ids]

    async def _put_groups(self, groups: dict[int, Any]) -> None:
        outcomes = await asyncio.gather(
            *(self._put_group(bucket_id, group) for bucket_id, group in groups.items()),
            return_exceptions=True,
        )
        _raise_failure(dict(zip(groups, outcomes, strict=True)))

    def _bucket_id_of(self, record: Record, index: int | None) -> int:
        which = "the record" if index is None else f"record {index} of the list"
        if not isinstance(record, dict):
            raise TypeError(f"{which} is no dict but {type(record).__name__}; nothing was stored")
        return self.get_bucket_id(record[self._check_bucket_column(record, which)])

    def _check_bucket_column(self, fields: Iterable[str], which: str) -> str:
        column = self.bucket_column
        if column is None:
            raise ValueError(
                f"the queue {self.topic!r} was opened for reading, without a bucket column"
            )
        if column not in fields:
            known = ", ".join(map(repr, fields)) or "none"
            raise ValueError(
                f"{which} lacks the bucket column {column!r} (it has {known}); nothing was stored"
            )
        return column

    async def _put_group(self, bucket_id: int, records: Any) -> None:
        bucket = await self._bucket(bucket_id)
        await bucket.put_batch(records)

    async def get(
        self,
        bucket_id: int | None = None,
        limit: int = 100,
        offset: int = 0,
        wait: bool = False,
        timeout: float | None = None,  # noqa: ASYNC109 - Pulsing's signature
    ) -> list[Record]:
        """Return up to `limit` records from `offset` of one bucket, or of each bucket in turn.

        With `wait`, and nothing there, it waits up to `timeout` seconds (None: for ever) for the
        first record to arrive in any of these buckets, and returns none at the timeout.
        """
        limit = whole_number("limit", limit)
        offset = whole_number("offset", offset)
        timeout = seconds("timeout", timeout)
        bucket_ids = self.check_bucket_ids(None if bucket_id is None else [bucket_id])
        deadline = None if timeout is None else asyncio.get_running_loop().time() + timeout
        positions = dict.fromkeys(bucket_ids, offset)
        await self.open_buckets(bucket_ids)
        while True:
            records: list[Record] = []
            for each in bucket_ids:
                if len(records) < limit:
                    records += await self.read(each, limit - len(records), offset)
            if records or not wait or limit == 0:
                return records
            if not await self.wait_beyond(positions, deadline):
                return []

    async def open_buckets(self, bucket_ids: Sequence[int]) -> None:
        """Open those of the buckets that are not open yet, all at once."""
        missing = [bucket_id for bucket_id in bucket_ids if bucket_id not in self._buckets]
        if missing:
            await _all_of([self._bucket(bucket_id) for bucket_id in missing])

    async def read(self, bucket_id: int, limit: int, offset: int) -> list[Record]:
        """Return up to `limit` records of one bucket from `offset` on, without waiting."""
        bucket = await self._bucket(bucket_id)
        return await bucket.get(limit, offset)

    async def wait_beyond(self, positions: dict[int, int], deadline: float | None) -> bool:
        """Wait until a bucket holds a record at its position, given by bucket id.

        Returns False at `deadline` (of the loop's clock; None: never).
        """
        await self.open_buckets(list(positions))
        pairs = [(await self._bucket(each), offset) for each, offset in positions.items()]
        return await wait_for_records(pairs, deadline, self._source.wait_seconds)

    async def flush(self) -> None:
        """Return once everything that was put before is in the final store of its bucket.

        Covers the buckets that this queue has opened; what others put elsewhere is theirs to flush.
        """
        self._check_open()
        await _all_of([bucket.flush() for bucket in self._buckets.values()])

    async def stats(self) -> dict[str, Any]:
        """Return the topic's settings, and under `buckets` the figures of each opened bucket."""
        self._check_open()
        opened = dict(sorted(self._buckets.items()))
        figures = await _all_of([bucket.stats() for bucket in opened.values()])
        return {
            "topic": self.topic,
            "bucket_column": self.bucket_column,
            "num_buckets": self.num_buckets,
            "buckets": dict(zip(opened, figures, strict=True)),
        }

    async def close(self) -> None:
        """Flush and let go of the buckets. Closing again does nothing.

        Embedded: the last queue that has a bucket open closes it. Over Pulsing: its actor goes on.
        """
        self._closed = True
        buckets, self._buckets = self._buckets, {}
        await _all_of([self._source.close(bucket) for bucket in buckets.values()])

    @property
    def closed(self) -> bool:
        """Whether the queue was closed."""
        return self._closed

    def check_bucket_ids(self, bucket_ids: Sequence[int] | None) -> list[int]:
        """Return the ids (None: all); ValueError for one that does not exist or comes twice."""
        if bucket_ids is None:
            return list(range(self.num_buckets))
        checked = [whole_number("bucket_id", bucket_id) for bucket_id in bucket_ids]
        for bucket_id in checked:
            if bucket_id >= self.num_buckets:
                raise ValueError(
                    f"bucket {bucket_id} does not exist; num_buckets is {self.num_buckets}"
                )
        if len(set(checked)) != len(checked):
            raise ValueError(f"a bucket comes twice in {checked}")
        return checked

    def sync(self) -> SyncQueue:
        """Return a view of the queue whose methods block, for code outside the event loop."""
        return SyncQueue(self)

    def loop_for_sync(self) -> asyncio.AbstractEventLoop | None:
        """Return the loop that blocking calls run on; None: the process's background loop.

        RuntimeError where the queue needs its own loop, and that one does not run.
        """
        if self._loop is not None and self._loop.is_running():
            return self._loop
        if self.system is not None:
            raise RuntimeError("the event loop of the queue's Pulsing system is not running")
        return None

    async def _bucket(self, bucket_id: int) -> Bucket:
        self._check_open()
        bucket = self._buckets.get(bucket_id)
        if bucket is None:
            bucket = await self._source.open(bucket_id)
            if bucket_id in self._buckets or self._closed:  # another task was faster
                await self._source.close(bucket)
                self._check_open()
            bucket = self._buckets.setdefault(bucket_id, bucket)
        return bucket

    def _check_open(self) -> None:
        if self._closed:
            raise StorageError(f"the queue {self.topic!r} was closed")

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self.close()

    def __repr__(self) -> str:
        kind = "embedded" if self.system is None else "over Pulsing"
        return f"<Queue {self.topic!r} {kind}, {self.num_buckets} buckets at {self.storage_path!r}>"


def _records_of(batch: pa.RecordBatch) -> list[Record]:
    """Return the rows as the records that a backend returns for them."""
    with MemoryBackend(0) as bucket:
        rows = bucket.sync()
        rows.put_batch(batch)
        return rows.get()


async def _all_of(calls: list[Awaitable[Any]]) -> list[Any]:
    """Await all calls, to the end, then raise the first failure among them."""
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    failures = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
    for other in failures[1:]:
        failures[0].add_note(f"another bucket failed too: {other!r}")
    if failures:
        raise failures[0]
    return outcomes


def _raise_failure(outcomes: dict[int, Any]) -> None:
    """Raise the first failure among a list's groups, telling which groups were kept."""
    failed = {
        bucket_id: outcome
        for bucket_id, outcome in outcomes.items()
        if isinstance(outcome, BaseException)
    }
    if not failed:
        return
    kept = sorted(outcomes.keys() - failed.keys())
    error = next(iter(failed.values()))
    error.add_note(
        f"of this list, buckets {kept or 'none'} kept their records and {sorted(failed)} did not"
    )
    for bucket_id, other in failed.items():
        if other is not error:
            error.add_note(f"bucket {bucket_id} failed too: {other!r}")
    vars(error).update(kept_buckets=kept, failed_buckets=sorted(failed))
    raise error
