"""The three backends of the library: one engine, in native code, in three compositions.

Guarantee: a put that returned is readable at once. What survives a crash differs; see the classes.
Failure:   a refused put leaves nothing behind: of a batch either all records are kept or none.
Threads:   a backend may be used from several event loops and, through `sync()`, from any thread. In
           a forked child every call fails.
Elsewhere: `get_meta` and its kin in consumption.py; what differs inside a Pulsing actor in
           _actor.py.
"""

import asyncio
import atexit
import contextlib
import logging
import os
import threading
import weakref
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from types import TracebackType
from typing import Any, ClassVar, Self

import pyarrow as pa

from persisting import _arrow
from persisting._check import (
    MOST,
    TARGET_ROWS,
    Record,
    compaction,
    seconds,
    text,
    whole_number,
)
from persisting._core import NativeBackend, stop
from persisting._declared import declaration
from persisting._errors import StorageError
from persisting.queue import _actor
from persisting.queue.consumption import Consumption, cut, indexes_of, rows_at
from persisting.queue.sync import SyncBackend

_log = logging.getLogger(__name__)


class NativeStorage:
    """What the three backends share. Make one of its subclasses.

    Args:
        bucket_id: number of the bucket, from 0.
        storage_path: folder of this bucket alone; a second process that opens it is refused with
            `StorageError`, which names the holder's pid.
        batch_size: how many records the queue hands over at a time; a hint.
        options: the backend's own options; an unknown one is ignored with a warning in the log. All
            three backends have these:

            schema: declared fields, as a dict of names and types ("int64", float, numpy.float32,
                "vector<float32, 768>", a pyarrow type, [str], {"x": float}, …) or an Arrow schema.
                They keep their types, and a record with any other field is refused, unless
                "*": "any" is among them. Once declared they stay so.
            defaults: a dict of field and value; what a record reads that lacks the field. None
                takes a default away.
            on_conflict: what becomes of a record whose types do not fit: "reject" (the default:
                SchemaError), "dead_letter" (kept aside, see `dead_letters`), "stringify" (the field
                becomes text).
            refuse: "batch" (the default) or "record": what is refused where one record of a batch
                does not fit.
            enable_metrics: bool, False; export the bucket's metrics, and measure the duration of
                its puts. For all buckets of a process: `persisting.metrics.enable()`.

    Raises:
        ValueError, TypeError: an argument or option is wrong, or the folder was written with other
            settings.
        StorageError: the folder cannot be used.
        WALError: its log is damaged.
    """

    #: Most records that `get_stream` yields in one list.
    page_records: ClassVar[int] = 1000

    _kind: ClassVar[str]

    def __init__(
        self,
        bucket_id: int,
        storage_path: str | os.PathLike[str] | None = None,
        batch_size: int = 100,
        **options: Any,
    ) -> None:
        self.bucket_id = whole_number("bucket_id", bucket_id)
        self.storage_path = "" if storage_path is None else os.fspath(storage_path)
        self.batch_size = whole_number("batch_size", batch_size, least=1)
        if options.get("schema") is not None:
            options["schema"] = declaration(options["schema"])
        self._options = options
        # Else some records of a put may have no offset.
        self._keeps_whole_batches = (
            options.get("on_conflict") != "dead_letter" and options.get("refuse") != "record"
        )
        self._pid = os.getpid()
        self._puts_under_way = 0
        self._native: NativeBackend
        if _actor.is_made_by_pulsing():
            _actor.adapt(self)
        else:
            self._open()

    def _open(self) -> None:
        self._native = NativeBackend(
            self._kind,
            self.bucket_id,
            self.storage_path,
            self.batch_size,
            self._options,
            self._keeps_whole_batches,
        )
        self._consumption = Consumption(self._native.field_runs)
        _close_at_exit(self)
        if self._kind != MemoryBackend._kind:  # noqa: SLF001
            weakref.finalize(self, _abandon, self._native, self._pid).atexit = False

    # No `async def`: where nothing is to be waited for, a coroutine would take a tenth of the time.
    def put(self, record: Record) -> Coroutine[Any, Any, None]:
        """Append one record, at once where that takes no waiting.

        Await what it returns, which raises:
            TypeError, ValueError: the record is no dict, or holds a value that cannot be stored.
            SchemaError: a field's type does not fit the bucket's.
            WALError, StorageError: the store failed; whether the record survives is not known.
        """
        try:
            done = self._native.try_put(record)  # also remembers its fields
        except Exception as error:  # noqa: BLE001 - whatever it is, who awaits is told
            return _fail(error)
        return self._put(record) if done is None else done

    async def _put(self, record: Record) -> None:
        self._puts_under_way += 1
        try:
            first: Any = self._native.put(record)
            if not isinstance(first, int):
                first = await first
            if self._keeps_whole_batches:
                self._consumption.note(first, record)
        finally:
            self._puts_under_way -= 1

    async def put_batch(self, records: Any) -> None:
        """Append all records in order, or none. Raises as `put` does.

        Args:
            records: a list of dicts, or anything with `__arrow_c_stream__` or `__arrow_c_array__`:
                a table, a record batch, a data frame. Its values stay in Arrow all the way.
        """
        self._puts_under_way += 1
        try:
            if _arrow.is_arrow(records):
                records = _arrow.record_batch(records)
                first: Any = self._native.put_arrow(*records.__arrow_c_array__())
                shape = 0
            else:
                first, shape = self._native.put_batch(records)
            if not isinstance(first, int):
                # The caller's records may be others by then.
                first, shape = await first, 0
            self.note_put(first, records, shape)
        finally:
            self._puts_under_way -= 1

    async def get(self, limit: int | None = None, offset: int = 0) -> list[Record]:
        """Return up to `limit` records (None: all) from `offset` on; none where the sequence ends.

        Raises:
            ValueError, TypeError: a negative or impossible argument.
            IndexError: the log was trimmed and no longer holds the offset.
            StorageError: the store failed, or was closed.
        """
        found: Any = self._native.get(*self.range_of(limit, offset))
        records: list[Record] = found if isinstance(found, list) else await found
        return records

    async def get_arrow(self, limit: int | None = None, offset: int = 0) -> pa.Table:
        """Return the records that `get` returns as a table, a column for each field of the schema.

        Raises:
            As `get`.
        """
        found: Any = self._native.get_arrow(*self.range_of(limit, offset))
        return _arrow.table_of(found if type(found).__name__ == "PyCapsule" else await found)

    def range_of(self, limit: int | None, offset: int) -> tuple[int, int]:
        """Return the checked limit and offset of a read; without limit up to the end."""
        offset = whole_number("offset", offset)
        if limit is None:
            return max(self._native.total_count() - offset, 0), offset
        return whole_number("limit", limit), offset

    async def get_stream(
        self,
        limit: int | None = None,
        offset: int = 0,
        wait: bool = False,
        timeout: float | None = None,  # noqa: ASYNC109 - Pulsing's protocol
        *,
        block: bool | None = None,
    ) -> AsyncIterator[list[Record]]:
        """Yield lists of records from `offset` on, `limit` records (None: no limit) in total.

        Args:
            limit: most records in total.
            offset: the first record.
            wait: at the end, wait for more instead of stopping.
            timeout: longest wait for the next record, in seconds; None: for ever.
            block: another name of `wait`.

        Raises:
            As `get`; StorageError also where the backend is closed while it waits.
        """
        position = whole_number("offset", offset)
        remaining = None if limit is None else whole_number("limit", limit)
        timeout = seconds("timeout", timeout)
        wait = wait if block is None else block
        while remaining is None or remaining > 0:
            page = self.page_records
            records = await self.get(page if remaining is None else min(remaining, page), position)
            if records:
                yield records
                position += len(records)
                remaining = None if remaining is None else remaining - len(records)
            elif not wait or not await self.wait_beyond(position, timeout):
                return

    async def wait_beyond(self, position: int, timeout: float | None) -> bool:  # noqa: ASYNC109
        """Return True once `position` holds a record, or at closing; False at the timeout."""
        arrival: Any = self._native.wait_beyond(position)
        if arrival is None:  # it has come between the look at the log and this
            return True
        try:
            await asyncio.wait_for(arrival, timeout)
        except TimeoutError:
            return False
        return True

    def schema(self) -> list[dict[str, Any]]:
        """Return the fields that records have had or that were declared, in order of appearance.

        Each as `name`, `type` (in the words of docs/schema-evolution.md) and `default`.
        """
        return self._native.schema()

    def schema_history(self) -> list[dict[str, Any]]:
        """Return how the schema came to be, oldest change first.

        Each as `offset` (of the first record under it), `change` ("added", "decided", "widened",
        "text", "declared", "default", "renamed", "dropped"), `field`, `before` and `after` (types,
        defaults or names; None where there was none).
        """
        return self._native.schema_history()

    async def drop_field(self, name: str) -> None:
        """Take a field out of the schema and of every record so far. A later one may bring it anew.

        Puts wait until it is done: what was put before is flushed first.

        Raises:
            ValueError: the bucket has no such field.
            StorageError: the store failed.
        """
        done: Any = self._native.drop_field(text("name", name))
        if done is not None:
            await done

    async def rename_field(self, name: str, new_name: str) -> None:
        """Give a field another name, in every record so far.

        Puts wait until it is done: what was put before is flushed first.

        Raises:
            ValueError: the bucket has no such field, or one of the new name, or no field can have
                it.
            StorageError: the store failed.
        """
        done: Any = self._native.rename_field(text("name", name), text("new_name", new_name))
        if done is not None:
            await done

    async def dead_letters(self, limit: int | None = None, offset: int = 0) -> list[Record]:
        """Return records that the policy "dead_letter" kept aside, from the `offset`-th on.

        Each as `offset` (that it would have had), `reason` and `record` (bytes: what was put, for
        `decode_record`). How many there are: `stats()["dead_letters"]`.
        """
        most = MOST if limit is None else whole_number("limit", limit)
        found: Any = self._native.get_dead_letters(most, whole_number("offset", offset))
        letters: list[Record] = found if isinstance(found, list) else await found
        return letters

    async def flush(self) -> None:
        """Return once everything put before is durable in the backend's final store.

        Raises:
            StorageError: it is not; nothing was lost, and the next flush tries again.
        """
        done: Any = self._native.flush()
        if done is not None:
            await done

    def get_metrics(self) -> dict[str, Any]:
        """Return the bucket's metrics by name, exported or not; see docs/monitoring.md.

        A counter or gauge is a float, a histogram a dict of `buckets` (upper bound and how many
        were at most that), `sum` and `count`. Durations are in seconds.

        Raises:
            StorageError: the backend is closed.
        """
        return self._native.get_metrics()

    async def compact(
        self,
        progress: Callable[[int, int], object] | None = None,
        *,
        target_rows_per_fragment: int = TARGET_ROWS,
    ) -> dict[str, Any]:
        """Flush, merge the table's small fragments, and remove its old versions.

        Records, order and offsets stay. Puts and reads go on meanwhile, flushes wait. Dead letters
        are compacted too, and count in what is returned.

        Args:
            progress: called in this event loop with the number of fragments merged so far, and of
                those to merge.
            target_rows_per_fragment: fragments with fewer rows are merged, into ones of about as
                many.

        Returns:
            `fragments_before`, `fragments_after`, `versions_removed`, `bytes_removed` and
            `duration_seconds`.

        Raises:
            StorageError: it failed, or the backend has no table. No record is touched by that.
            ValueError, TypeError: an impossible argument.
        """
        rows = compaction(target_rows_per_fragment, progress)
        report: Any = self._native.compact(rows, None if progress is None else _in_loop(progress))
        figures: dict[str, Any] = report if isinstance(report, dict) else await report
        return figures

    def pause_maintenance(self) -> None:
        """Begin nothing more of the maintenance in the background; a step under way ends.

        Returns at once. Holds until `resume_maintenance`, or until the bucket is opened again.

        Raises:
            StorageError: the backend is closed, or has no table.
        """
        self._native.pause_maintenance()

    def resume_maintenance(self) -> None:
        """Go on with the maintenance, if there is anything to do. Raises as `pause_maintenance`."""
        self._native.resume_maintenance()

    async def stats(self) -> dict[str, Any]:
        """Return figures of the bucket.

        `total_count` (records), `buffer_count` and `buffer_size` (of these, not yet in the table),
        `persisted_count` (in the table), `bucket_id`, `storage_path`, `backend`, and the backend's
        own.
        """
        return self._native.stats()

    def total_count(self) -> int:
        """Return the number of records, which is the offset of the next one."""
        return self._native.total_count()

    async def put_tensor(self, data: Any, **_kwargs: Any) -> dict[str, int]:
        """Append a record or a list of records; returns `{"size": count}`. Raises as `put` does."""
        if isinstance(data, list):
            await self.put_batch(data)
            return {"size": len(data)}
        if isinstance(data, dict):
            await self.put(data)
            return {"size": 1}
        raise TypeError(f"put_tensor takes a dict or a list of dicts, not {type(data).__name__}")

    async def get_meta(
        self,
        fields: list[str],
        batch_size: int,
        task_name: str = "default",
        sampler: Any = None,
        **sampling_kwargs: Any,
    ) -> dict[str, Any]:
        """Choose up to `batch_size` records that have all `fields` and are new to the task.

        What is chosen becomes consumed by the task. A `sampler` chooses by
        `sampled, marked = sampler.sample(ready, batch_size, **sampling_kwargs)`. Returns
        `global_indexes` (offsets) and one entry a record in `samples`. The state is kept in memory
        only: after a restart nothing is consumed, and every stored record is ready with every
            field. So is each under options that keep a part of a batch ("dead_letter", "record").
        """
        fields_known = self._consumption.end if self._puts_under_way else self.total_count()
        return self._consumption.take(
            fields, batch_size, task_name, fields_known, sampler=sampler, **sampling_kwargs
        )

    async def get_data(self, batch_meta: Any, fields: list[str] | None = None) -> list[Record]:
        """Return the records that an answer of `get_meta` points at, cut to `fields` if given."""
        return cut(await self.get_by_indices(indexes_of(batch_meta)), fields)

    async def get_by_indices(self, indexes: Iterable[int]) -> list[Record]:
        """Return the records at these offsets, in that order; where there is none, none."""
        return await rows_at(indexes, self.total_count(), self.get)

    async def mark_consumed(self, task_name: str, global_indexes: Iterable[int]) -> None:
        """Mark records as consumed by a task: it gets them no more. In memory only."""
        self._consumption.mark(task_name, global_indexes)

    async def reset_consumption(self, task_name: str) -> None:
        """Forget what a task has consumed."""
        self._consumption.reset(task_name)

    @property
    def closed(self) -> bool:
        """Whether the backend was closed."""
        return bool(self._native.closed)

    async def close(self) -> None:
        """Flush, then let go of every resource. Closing again does nothing.

        Raises:
            StorageError: the flush failed. What was durable stays so; the backend is closed all the
                same.
        """
        done: Any = self._native.close()
        if done is not None:
            await done

    def note_put(self, first: int, records: Any, shape: int = 0) -> None:
        """Remember, for `get_meta`, the fields of what was put from offset `first` on.

        `shape` is what the native put said of the records.
        """
        if not self._keeps_whole_batches:
            return
        if isinstance(records, list | tuple):
            self._consumption.note_batch(first, records, shape)
        else:  # Arrow data, whose rows all have the same fields
            self._consumption.note_rows(first, records.schema.names, records.num_rows)

    def sync(self) -> SyncBackend:
        """Return a view of the backend whose methods block."""
        return SyncBackend(self, self._native)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self._native.close_sync()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        if isinstance(self._native, _actor.Unopened):
            state = "not opened"
        else:
            state = "closed" if self.closed else f"{self.total_count()} records"
        where = f", {self.storage_path!r}" if self.storage_path else ""
        return f"<{type(self).__name__} bucket {self.bucket_id}{where}, {state}>"


def _in_loop(function: Callable[[int, int], object]) -> Callable[[int, int], None]:
    """Make a thread of the core call `function` in the running loop; not once that is closed."""
    loop = asyncio.get_running_loop()

    def call(done: int, total: int) -> None:
        with contextlib.suppress(RuntimeError):  # nobody is there any more to be told
            loop.call_soon_threadsafe(function, done, total)

    return call


class MemoryBackend(NativeStorage):
    """Keeps records in memory; they are gone when the backend is closed. `flush` does nothing."""

    _kind = "memory"


class LanceBackend(NativeStorage):
    """Keeps records in a buffer, and from there in a Lance table: durable once `flush` returned.

    A crash loses what was put since the last flush.

    Options:
        flush_threshold: int, 1000; records in the buffer that start a flush in the background.
        flush_interval: float, 60.0; seconds after which unflushed records are flushed.
        slow_flush: float, 5.0; seconds beyond which a flush is a warning in the log.
        max_buffer_bytes: int, 256 MiB; unflushed bytes at which puts wait for the flush.
        maintenance: bool, True; merge small fragments of the table, and remove its old versions, in
            the background.
        maintenance_bytes_per_second: int, 64 MiB; what these merges write, on average. 0: no limit.
        allow_network_storage: bool, False; open a bucket on NFS and the like all the same.
    """

    _kind = "lance"


class PersistingBackend(NativeStorage):
    """Keeps records in a write-ahead log and a Lance table: durable once `put` returned.

    Options (those of LanceBackend, without a default flush_threshold, and):
        enable_wal: bool, True; without it: LanceBackend with other defaults.
        wal_sync_interval: float, 0.0; seconds. 0: a put returns after the disk has it. More: a put
            returns once the kernel has it (it survives kill -9, not a power cut), and the disk has
            it that much later.
        max_wal_size: int, 100 MB; bytes of log that force a flush and a new segment.
        compression: None, "zstd", "lz4" or "snappy"; of the log.
        flush_bytes: int, 32 MiB; buffered bytes that start a flush in the background.
    """

    _kind = "persisting"


_open_backends: "weakref.WeakSet[NativeStorage]" = weakref.WeakSet()
_closing: "weakref.WeakSet[threading.Thread]" = weakref.WeakSet()


async def _fail(error: Exception) -> None:
    raise error


def _close_at_exit(backend: NativeStorage) -> None:
    if not _open_backends:
        # Exit handlers run last in, first out: behind the first opening, what the engine imported
        # still works.
        atexit.unregister(_close_all)
        atexit.register(_close_all)
    _open_backends.add(backend)


def _abandon(native: NativeBackend, pid: int) -> None:
    """Flush and close what nobody refers to any more; Pulsing's actors never close their backend.

    In a thread of its own: the collector may run in one that the flush needs.
    """
    if pid == os.getpid() and not native.closed:
        thread = threading.Thread(target=_close_abandoned, args=(native,), name="persisting-close")
        thread.start()
        _closing.add(thread)


def _close_abandoned(native: NativeBackend) -> None:
    try:
        native.close_sync()
    except StorageError:
        _log.exception("closing an abandoned backend failed")


def _close_all() -> None:
    """Flush and close what the program left open; not what a forked child inherited."""
    failures: list[Exception] = []
    for backend in list(_open_backends):
        if backend._pid != os.getpid() or backend.closed:  # noqa: SLF001 - this module's own class
            continue
        try:
            backend._native.close_sync()  # noqa: SLF001
        except Exception as error:  # noqa: BLE001 - raised below, once the others are closed
            failures.append(error)
    _open_backends.clear()
    for thread in list(_closing):
        thread.join()
    stop()  # a thread of the core must not ask for the GIL while the interpreter goes down
    if failures:
        raise ExceptionGroup("closing backends at exit failed", failures)
