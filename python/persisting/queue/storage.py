"""BucketStorage: one bucket of the embedded queue, with its backend.

Threads:   may be used from several event loops if its backend may; our own may.
Elsewhere: who opens and closes it, in manager.py.
"""

import contextlib
from collections.abc import AsyncIterator, Iterable
from typing import Any

from persisting._check import Record, whole_number
from persisting._core import FieldRuns
from persisting.queue.consumption import Consumption, cut, indexes_of, rows_at
from persisting.queue.registry import get_backend_class


class BucketStorage:
    """One bucket with its backend: the embedded counterpart of Pulsing's actor, with its methods.

    Args:
        bucket_id: number of the bucket, from 0.
        storage_path: folder of this bucket alone.
        batch_size: how many records are handed over at a time; a hint.
        backend: a registered name or a class.
        backend_options: passed to the backend.

    Raises:
        Whatever making the backend raises. It may block: make it in a thread, or through
        StorageManager.
    """

    def __init__(
        self,
        bucket_id: int,
        storage_path: str,
        batch_size: int = 100,
        backend: str | type[Any] = "persisting",
        backend_options: dict[str, Any] | None = None,
    ) -> None:
        self.bucket_id = whole_number("bucket_id", bucket_id)
        self.storage_path = storage_path
        self.batch_size = whole_number("batch_size", batch_size, least=1)
        self.backend: Any = get_backend_class(backend)(
            bucket_id=self.bucket_id,
            storage_path=storage_path,
            batch_size=self.batch_size,
            **(backend_options or {}),
        )
        # Backends may leave consumption to their owner. Which offset a put got is then what
        # total_count() was before it, as in Pulsing's actor: exact for backends that count a record
        # before they first suspend.
        self._consumption: Consumption | None = None
        if not hasattr(self.backend, "get_meta"):
            self._consumption = Consumption(FieldRuns(self.backend.total_count()))

    async def put(self, record: Record) -> dict[str, Any]:
        """Append one record; returns `{"status": "ok"}`."""
        if self._consumption is None:
            await self.backend.put(record)
        else:
            first = self.backend.total_count()
            await self.backend.put(record)
            self._consumption.note(first, record)
        return {"status": "ok"}

    async def put_batch(self, records: Any) -> dict[str, Any]:
        """Append all records in order, or none; returns `{"status": "ok", "count": …}`.

        Arrow data are for backends that take them.
        """
        if self._consumption is None:
            await self.backend.put_batch(records)
        else:
            first = self.backend.total_count()
            await self.backend.put_batch(records)
            self._consumption.note_batch(first, records)
        return {"status": "ok", "count": len(records)}

    async def get(self, limit: int = 100, offset: int = 0) -> list[Record]:
        """Return up to `limit` records from `offset` on."""
        records: list[Record] = await self.backend.get(limit, offset)
        return records

    async def get_stream(
        self,
        limit: int = 100,
        offset: int = 0,
        wait: bool = False,
        timeout: float | None = None,  # noqa: ASYNC109 - Pulsing's protocol
    ) -> AsyncIterator[list[Record]]:
        """Yield lists of records from `offset` on; the arguments are the backend's."""
        async with contextlib.aclosing(
            self.backend.get_stream(limit, offset, wait, timeout)
        ) as stream:
            async for records in stream:
                yield records

    async def flush(self) -> dict[str, Any]:
        """Flush the backend; returns `{"status": "ok"}`."""
        await self.backend.flush()
        return {"status": "ok"}

    async def stats(self) -> dict[str, Any]:
        """Return the backend's figures."""
        figures: dict[str, Any] = await self.backend.stats()
        return figures

    async def put_tensor(self, data: Any, **kwargs: Any) -> dict[str, Any]:
        """Append `data` by the backend's `put_tensor`; NotImplementedError where it has none."""
        if not hasattr(self.backend, "put_tensor"):
            raise NotImplementedError(f"{type(self.backend).__name__} has no put_tensor")
        await self.backend.put_tensor(data, **kwargs)
        return {"status": "ok"}

    async def get_meta(
        self,
        fields: list[str],
        batch_size: int,
        task_name: str = "default",
        sampler: Any = None,
        **sampling_kwargs: Any,
    ) -> dict[str, Any]:
        """Choose records for a task; see `NativeStorage.get_meta`."""
        if self._consumption is not None:
            bound = self.backend.total_count()
            return self._consumption.take(
                fields, batch_size, task_name, bound, sampler=sampler, **sampling_kwargs
            )
        meta = await self.backend.get_meta(
            fields=fields,
            batch_size=batch_size,
            task_name=task_name,
            sampler=sampler,
            **sampling_kwargs,
        )
        chosen: dict[str, Any] = meta.to_dict() if hasattr(meta, "to_dict") else meta
        return chosen

    async def get_data(self, batch_meta: Any, fields: list[str] | None = None) -> Any:
        """Return the records that an answer of `get_meta` points at."""
        if hasattr(self.backend, "get_data"):
            return await self.backend.get_data(batch_meta, fields=fields)
        indexes = indexes_of(batch_meta)
        if hasattr(self.backend, "get_by_indices"):
            return cut(await self.backend.get_by_indices(indexes), fields)
        return cut(await rows_at(indexes, self.backend.total_count(), self.backend.get), fields)

    async def mark_consumed(self, task_name: str, global_indexes: Iterable[int]) -> dict[str, Any]:
        """Mark records as consumed by a task; returns `{"status": "ok"}`."""
        indexes = list(global_indexes)
        if self._consumption is not None:
            self._consumption.mark(task_name, indexes)
        if hasattr(self.backend, "mark_consumed"):
            await self.backend.mark_consumed(task_name, indexes)
        return {"status": "ok"}

    async def reset_consumption(self, task_name: str) -> dict[str, Any]:
        """Forget what a task has consumed; returns `{"status": "ok"}`."""
        if self._consumption is not None:
            self._consumption.reset(task_name)
        if hasattr(self.backend, "reset_consumption"):
            await self.backend.reset_consumption(task_name)
        return {"status": "ok"}

    async def close(self) -> None:
        """Flush and close the backend; one without `close` is flushed only."""
        if hasattr(self.backend, "close"):
            await self.backend.close()
        else:
            await self.backend.flush()
