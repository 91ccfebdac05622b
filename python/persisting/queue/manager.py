"""StorageManager: the buckets of the embedded queues; one process, no Pulsing.

Guarantee: in one StorageManager a bucket has one backend, however many queues have it open.
Threads:   StorageManager is thread-safe.
"""

import asyncio
import contextlib
import os
import threading
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from persisting._check import text, whole_number
from persisting.queue.backends import NativeStorage
from persisting.queue.registry import get_backend_class
from persisting.queue.storage import BucketStorage

#: Options that say what the topic is rather than how it is stored; a reader need not know them.
_TOPIC_OPTIONS = frozenset({"topic", "num_buckets", "bucket_column"})


def default_storage_path(topic: str, base: str = "./queue_storage") -> str:
    """Return the folder of a topic for which none was given; as Pulsing's."""
    return f"{base}/{topic}"


@dataclass(frozen=True)
class _Key:
    storage_path: str
    topic: str
    bucket_id: int


@dataclass
class _Entry:
    """A bucket that is being opened, is open, or is being closed."""

    backend: type[Any]
    options: dict[str, Any]
    users: int = 0
    opened: "Future[BucketStorage]" = field(default_factory=Future)
    closed: "Future[None] | None" = None  # set once the last user has left


class StorageManager:
    """Owns the buckets of the embedded queues; one a process, from `StorageManager.default()`.

    A bucket is opened for the first queue that asks and closed with the last one that lets go.

    Args:
        base_storage_path: where topics without a storage path of their own are kept.
    """

    _default: ClassVar["tuple[int, StorageManager] | None"] = None
    _default_lock: ClassVar[threading.Lock] = threading.Lock()

    def __init__(self, base_storage_path: str = "./queue_storage") -> None:
        self.base_storage_path = base_storage_path
        self._lock = threading.Lock()
        self._entries: dict[_Key, _Entry] = {}

    @classmethod
    def default(cls) -> "StorageManager":
        """Return the process's manager. A forked child has its own, without any bucket."""
        with StorageManager._default_lock:
            default = StorageManager._default
            if default is None or default[0] != os.getpid():
                default = StorageManager._default = (os.getpid(), cls())
            return default[1]

    async def get_bucket(
        self,
        topic: str,
        bucket_id: int,
        *,
        batch_size: int = 100,
        storage_path: str | os.PathLike[str] | None = None,
        backend: str | type[Any] = "persisting",
        backend_options: dict[str, Any] | None = None,
    ) -> BucketStorage:
        """Return the bucket, opened if it is not; give it back with `release_bucket`.

        Raises:
            ValueError: it is open with another backend or other options; the message has both.
            Whatever making the backend raises.
        """
        key = self._key(topic, bucket_id, storage_path)
        options = dict(backend_options or {})
        backend_class = get_backend_class(backend)
        while True:
            with self._lock:
                entry = self._entries.get(key)
                first = entry is None
                if entry is None:
                    entry = self._entries[key] = _Entry(backend_class, options)
                    entry.opened.set_running_or_notify_cancel()
                closing = entry.closed
                if closing is None:
                    if not first:
                        _refuse_other_settings(key, entry, backend_class, options)
                    entry.users += 1
            if closing is not None:
                await asyncio.wrap_future(closing)
                continue
            if first:
                await self._open(key, entry, batch_size)
            return await self._opened(key, entry)

    async def release_bucket(self, bucket: BucketStorage) -> None:
        """Give back a bucket from `get_bucket`; the last to do so flushes and closes it."""
        with self._lock:
            found = [item for item in self._entries.items() if _holds(item[1], bucket)]
        if found:
            await self._leave(*found[0])

    def list_buckets(self) -> list[dict[str, Any]]:
        """Return topic, bucket id and storage path of every bucket in use."""
        with self._lock:
            keys = list(self._entries)
        return [
            {"topic": key.topic, "bucket_id": key.bucket_id, "storage_path": key.storage_path}
            for key in keys
        ]

    def _key(self, topic: str, bucket_id: int, storage_path: str | os.PathLike[str] | None) -> _Key:
        text("topic", topic)
        path = storage_path or default_storage_path(topic, self.base_storage_path)
        return _Key(str(Path(path).resolve()), topic, whole_number("bucket_id", bucket_id))

    async def _open(self, key: _Key, entry: _Entry, batch_size: int) -> None:
        folder = str(Path(key.storage_path) / f"bucket_{key.bucket_id}")

        def make() -> None:
            try:
                bucket = BucketStorage(
                    key.bucket_id, folder, batch_size, entry.backend, entry.options
                )
            except BaseException as error:  # noqa: BLE001 - it is handed to those who wait
                with self._lock:
                    self._entries.pop(key, None)
                entry.opened.set_exception(error)
            else:
                entry.opened.set_result(bucket)

        if issubclass(entry.backend, NativeStorage):
            # Recovery may take a while. The thread goes on where the caller is cancelled; see
            # _opened.
            threading.Thread(target=make, name="persisting-open").start()
        else:
            make()  # it may make things that belong to this loop

    async def _opened(self, key: _Key, entry: _Entry) -> BucketStorage:
        try:
            return await asyncio.wrap_future(entry.opened)
        except asyncio.CancelledError:
            # Nobody else may want it; leave once there is something to leave.
            await asyncio.shield(asyncio.create_task(self._leave_when_opened(key, entry)))
            raise

    async def _leave_when_opened(self, key: _Key, entry: _Entry) -> None:
        with contextlib.suppress(Exception):
            await asyncio.wrap_future(entry.opened)
            await self._leave(key, entry)

    async def _leave(self, key: _Key, entry: _Entry) -> None:
        with self._lock:
            entry.users -= 1
            if entry.users > 0 or entry.closed is not None:
                return
            entry.closed = Future()
            entry.closed.set_running_or_notify_cancel()
        try:
            await entry.opened.result().close()
        finally:
            with self._lock:
                del self._entries[key]
            entry.closed.set_result(None)


class EmbeddedBuckets:
    """The buckets of one topic in a StorageManager."""

    #: Longest wait of one stream, in seconds; None: no need for a limit.
    wait_seconds: float | None = None

    def __init__(
        self,
        manager: StorageManager,
        topic: str,
        *,
        storage_path: str,
        batch_size: int,
        backend: type[Any],
        backend_options: dict[str, Any] | None,
    ) -> None:
        self._manager = manager
        self._topic = topic
        self._storage_path = storage_path
        self._batch_size = batch_size
        self._backend = backend
        self._backend_options = backend_options

    async def prepare(self) -> None:
        """Nothing to prepare."""

    async def open(self, bucket_id: int) -> BucketStorage:
        """Open the bucket, or share it with those who have it open."""
        return await self._manager.get_bucket(
            self._topic,
            bucket_id,
            batch_size=self._batch_size,
            storage_path=self._storage_path,
            backend=self._backend,
            backend_options=self._backend_options,
        )

    async def close(self, bucket: BucketStorage) -> None:
        """Let go of the bucket; the last user's close flushes and closes it."""
        await self._manager.release_bucket(bucket)


def _holds(entry: _Entry, bucket: BucketStorage) -> bool:
    opened = entry.opened
    return opened.done() and opened.exception() is None and opened.result() is bucket


def _refuse_other_settings(
    key: _Key, entry: _Entry, backend: type[Any], options: dict[str, Any]
) -> None:
    where = f"bucket {key.bucket_id} of topic {key.topic!r} at {key.storage_path}"
    if entry.backend is not backend:
        raise ValueError(
            f"{where} is open with backend {entry.backend.__name__};"
            f" asked for was {backend.__name__}"
        )
    for name, asked in options.items():
        if name in entry.options and entry.options[name] != asked:
            raise ValueError(
                f"{where} is open with {name}={entry.options[name]!r};"
                f" asked for was {name}={asked!r}"
            )
        if name not in entry.options:
            if name not in _TOPIC_OPTIONS:
                raise ValueError(
                    f"{where} is open without the option {name}; asked for was {name}={asked!r}"
                )
            entry.options[name] = asked
