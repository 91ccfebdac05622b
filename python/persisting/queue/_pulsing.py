"""The installed Pulsing: its queue module, registration of backends, buckets behind its actors.

Pulsing distributes the buckets over the cluster's nodes; this is only the way to them.
Guarantee: an acknowledgement is one that the bucket's actor sent. A call that ends without an
           answer is an error here, where Pulsing's own proxy returns None.
Failure:   errors of our backends come back as their own class; an actor that cannot be reached is a
           StorageError, and is looked up again at the next call.
Threads:   the event loop's thread only.
"""

import asyncio
import functools
import importlib
import logging
from collections.abc import AsyncIterator, Awaitable
from types import ModuleType
from typing import Any, NoReturn

from persisting._check import Record
from persisting._errors import BusyError, StorageError
from persisting.queue import _actor

_log = logging.getLogger(__name__)

# The queue's module by release: 0.1.0, and 0.1.2.
_QUEUE_MODULES = ("pulsing.queue", "pulsing.streaming")

# A new actor's name takes a while to reach the other nodes.
_LOOKUP_SECONDS = 3.0
_LOOKUP_PAUSE_SECONDS = 0.1
_LOOKUP_FAILURES = ("not found", "no healthy instances", "too many redirects", "redirect loop")


@functools.cache
def queue_module() -> ModuleType | None:
    """Return Pulsing's queue module; None where no Pulsing, or none known to us, is installed."""
    for name in _QUEUE_MODULES:
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError as error:
            if not (error.name or "").startswith("pulsing"):
                _log.warning("the installed Pulsing cannot be used: %s", error)
                return None
    return None


def register(name: str, backend_class: type[Any]) -> None:
    """Make a backend known to the installed Pulsing, if there is one."""
    module = queue_module()
    if module is not None:
        module.register_backend(name, backend_class)


def known_backends() -> dict[str, type[Any]]:
    """Return what the installed Pulsing has registered, by name."""
    module = queue_module()
    if module is None:
        return {}
    return {name: module.get_backend_class(name) for name in module.list_backends()}


class PulsingBuckets:
    """The buckets of a topic, served by Pulsing's actors."""

    #: Longest wait of one remote stream, in seconds: a stream that nobody reads any more ends by
    # itself.
    wait_seconds: float | None = 5.0

    def __init__(
        self,
        system: Any,
        topic: str,
        *,
        storage_path: str,
        batch_size: int,
        backend: str,
        backend_options: dict[str, Any] | None,
    ) -> None:
        module = queue_module()
        if module is None:
            raise StorageError(
                f"a Pulsing system was given, but none of {', '.join(_QUEUE_MODULES)} can be"
                " imported"
            )
        self._manager = importlib.import_module(f"{module.__name__}.manager")
        self._system = getattr(system, "_inner", system)
        self._topic = topic
        self._settings = {
            "batch_size": batch_size,
            "storage_path": storage_path,
            "backend": backend,
            "backend_options": backend_options,
        }

    async def prepare(self) -> None:
        """Make sure that this node can own buckets."""
        await self._manager.ensure_storage_managers(self._system)

    async def open(self, bucket_id: int) -> "RemoteBucket":
        """Find the bucket's actor, started on its owner node where it does not run yet."""
        bucket = RemoteBucket(self, bucket_id)
        await bucket.find()
        return bucket

    async def close(self, bucket: "RemoteBucket") -> None:
        """Flush the bucket. Its actor goes on: others may use it."""
        await bucket.flush()

    async def find(self, bucket_id: int) -> Any:
        """Return a proxy of the bucket's actor."""
        where = f"bucket {bucket_id} of topic {self._topic!r}"
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _LOOKUP_SECONDS
        while True:
            try:
                return await self._manager.get_bucket_ref(
                    self._system, self._topic, bucket_id, **self._settings
                )
            except Exception as error:  # noqa: BLE001 - Pulsing raises many; re-raised
                if not is_lookup_failure(error) or loop.time() > deadline:
                    _raise_translated(error, where)
            await asyncio.sleep(_LOOKUP_PAUSE_SECONDS)

    async def holder(self, bucket_id: int) -> Any:
        """Return a proxy of the actor that has the bucket open, among all of its name; else None.

        A node that joins makes an actor of its own for a bucket that another still has, where it
        has not heard of that one; the lock then keeps the bucket from it, and lookups find either.
        """
        name = f"bucket_{self._topic}_{bucket_id}"
        for instance in await self._system.get_named_instances(name):
            try:
                proxy = await self._manager.BucketStorage.resolve(
                    name, system=self._system, node_id=int(instance["node_id"])
                )
                if await proxy.stats() is not None:
                    return proxy
            except Exception as error:  # noqa: BLE001 - what it was asked for is reported instead
                _log.debug("an actor of %s does not have it: %s", name, error)
        return None


class RemoteBucket:
    """One bucket behind Pulsing's actor, wherever it runs."""

    def __init__(self, source: PulsingBuckets, bucket_id: int) -> None:
        self._source = source
        self._bucket_id = bucket_id
        self._proxy: Any = None
        self._where = f"bucket {bucket_id} of topic {source._topic!r}"  # noqa: SLF001 - same module

    async def find(self) -> None:
        """Look the actor up."""
        self._proxy = await self._source.find(self._bucket_id)

    async def put(self, record: Record) -> None:
        """Append one record."""
        await self._answer("put", record)

    async def put_batch(self, records: list[Record]) -> None:
        """Append all records in order, or none."""
        await self._answer("put_batch", records)

    async def get(self, limit: int, offset: int) -> list[Record]:
        """Return up to `limit` records from `offset` on."""
        records: list[Record] = await self._answer("get", limit, offset)
        return records

    async def get_stream(
        self,
        limit: int,
        offset: int,
        wait: bool = False,
        timeout: float | None = None,  # noqa: ASYNC109 - Pulsing's protocol
    ) -> AsyncIterator[list[Record]]:
        """Yield lists of records from `offset` on."""
        if self._proxy is None:
            await self.find()
        try:
            try:
                async for records in self._proxy.get_stream(limit, offset, wait, timeout):
                    yield records
            except Exception as error:
                # Then it has yielded nothing yet.
                if not is_busy(error) or not await self._find_holder():
                    raise
                async for records in self._proxy.get_stream(limit, offset, wait, timeout):
                    yield records
        except Exception as error:  # noqa: BLE001 - Pulsing raises many; re-raised
            self._fail(error)

    async def flush(self) -> None:
        """Return once everything put before is durable."""
        await self._answer("flush")

    async def stats(self) -> dict[str, Any]:
        """Return figures of the bucket."""
        figures: dict[str, Any] = await self._answer("stats")
        return figures

    async def _answer(self, method: str, *args: Any) -> Any:
        if self._proxy is None:
            await self.find()
        try:
            try:
                answer = await self._call(method, args)
            except Exception as error:
                # In both cases the call did nothing: once more, to the right place.
                if is_lookup_failure(error):
                    await self.find()
                elif not is_busy(error) or not await self._find_holder():
                    raise
                answer = await self._call(method, args)
        except Exception as error:  # noqa: BLE001 - Pulsing raises many; re-raised
            self._fail(error)
        if answer is None:
            # The actor's node went away in the middle of the call; Pulsing reports that as None.
            self._proxy = None
            raise StorageError(
                f"{self._where}: {method} ended without an answer; it may have been carried out, or"
                " not"
            )
        return answer

    async def _find_holder(self) -> bool:
        holder = await self._source.holder(self._bucket_id)
        if holder is not None:
            self._proxy = holder
        return holder is not None

    def _call(self, method: str, args: tuple[Any, ...]) -> Awaitable[Any]:
        call: Awaitable[Any] = getattr(self._proxy, method)(*args)
        return call

    def _fail(self, error: Exception) -> NoReturn:
        if not is_actor_error(error) or is_busy(error):
            self._proxy = None  # the bucket may have another owner by now
        _raise_translated(error, self._where)


def is_actor_error(error: Exception) -> bool:
    """Whether the bucket's actor itself raised it."""
    return type(error).__name__ == "PulsingActorError"


def is_busy(error: Exception) -> bool:
    """Whether the actor could not open its bucket, which another process has."""
    return is_actor_error(error) and isinstance(_actor.untagged(str(error)), BusyError)


def is_lookup_failure(error: Exception) -> bool:
    """Whether this node does not know (yet) where an actor is. Nothing was sent to it then."""
    message = str(error).lower()
    return not is_actor_error(error) and any(sign in message for sign in _LOOKUP_FAILURES)


def _raise_translated(error: Exception, where: str) -> NoReturn:
    """Raise what an error that came out of Pulsing stands for."""
    message = str(error)
    if is_actor_error(error):
        known = _actor.untagged(message)
        if known is None:
            raise error
        raise known from error
    if not isinstance(error, RuntimeError) and not type(error).__module__.startswith("pulsing"):
        raise error
    hint = ""
    if any(sign in message.lower() for sign in ("mailbox closed", "actor dropped")):
        hint = (
            "; did its backend fail to start there? Its node's log says why; a backend must be"
            " registered in the process of every node"
        )
    raise StorageError(f"{where} cannot be reached: {message}{hint}") from error
