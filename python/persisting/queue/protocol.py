"""The protocol that every backend of a bucket follows; Pulsing's, member for member."""

from collections.abc import AsyncIterator
from typing import Any, Protocol, runtime_checkable

#: What a class must have to be registered as a backend.
REQUIRED_METHODS = ("put", "put_batch", "get", "get_stream", "flush", "stats", "total_count")


@runtime_checkable
class StorageBackend(Protocol):
    """Stores one bucket: an append-only sequence of records (dicts) with dense offsets from 0.

    A backend is made as `cls(bucket_id=…, storage_path=…, batch_size=…, **backend_options)`.
    Pulsing does that in another thread than the event loop's; every other call comes from the
    loop. `storage_path` is the folder of this bucket alone.

    A class needs the first seven members to be registered. The last three are Pulsing's optional
    ones (since 0.1.2): without them Pulsing's actor, or our `BucketStorage`, does their work.
    """

    async def put(self, record: dict[str, Any]) -> None:
        """Append one record. Once it returned, readers see the record."""
        ...

    async def put_batch(self, records: list[dict[str, Any]]) -> None:
        """Append all records in order, or none of them."""
        ...

    async def get(self, limit: int, offset: int) -> list[dict[str, Any]]:
        """Return up to `limit` records from `offset` on; fewer, or none, where the sequence ends.

        It must never skip: a reader advances by the number of records that it received.
        """
        ...

    def get_stream(
        self, limit: int, offset: int, wait: bool = False, timeout: float | None = None
    ) -> AsyncIterator[list[dict[str, Any]]]:
        """Yield lists of records from `offset` on, `limit` records in total.

        At the end of the sequence: stop, or, with `wait`, wait up to `timeout` seconds (None: for
            ever)
        for the next record. An async generator.
        """
        ...

    async def flush(self) -> None:
        """Return once every record put before is in the backend's final store."""
        ...

    async def stats(self) -> dict[str, Any]:
        """Return `bucket_id`, `total_count`, `persisted_count`, `backend` and whatever else."""
        ...

    def total_count(self) -> int:
        """Return the number of records, which is the offset of the next one."""
        ...

    async def put_tensor(self, data: Any, **kwargs: Any) -> Any:
        """Append `data` (a record or a list of them)."""
        ...

    async def get_data(self, batch_meta: Any, fields: list[str] | None = None) -> Any:
        """Return the records, cut to `fields`, that an answer of `get_meta` points at."""
        ...

    async def get_meta(
        self,
        fields: list[str],
        batch_size: int,
        task_name: str = "default",
        sampler: Any = None,
        **sampling_kwargs: Any,
    ) -> Any:
        """Choose records that have all `fields` and are new to the task; they become consumed."""
        ...
