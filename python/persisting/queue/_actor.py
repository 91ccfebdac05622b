"""What differs when Pulsing's bucket actor owns a backend.

An actor whose backend fails to open dies, and its callers see "Actor mailbox closed"; and of an
error in a call, callers see the text only. So a backend made there that cannot be opened stays,
tries again at every call, and begins the text of its errors with the error's class.
Elsewhere: the way back from text to class in _pulsing.py.
"""

import functools
import logging
import re
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING, Any

from persisting._errors import BusyError, SchemaError, StorageError, WALError

if TYPE_CHECKING:
    from persisting.queue.backends import NativeStorage

_log = logging.getLogger(__name__)

_ACTOR_MODULES = frozenset({"pulsing.queue.storage", "pulsing.streaming.storage"})
# A subclass of a backend, and its own __init__, may stand between the actor and us.
_MOST_FRAMES = 12

# Special ones first.
_TELLABLE = (SchemaError, WALError, BusyError, StorageError, ValueError, TypeError, IndexError)
_CLASSES: dict[str, type[Exception]] = {kind.__name__: kind for kind in _TELLABLE}
_TAGGED = re.compile(rf"({'|'.join(_CLASSES)}): (.*)", re.DOTALL)

_COROUTINES = (
    "put",
    "put_batch",
    "get",
    "flush",
    "stats",
    "put_tensor",
    "get_meta",
    "get_data",
    "get_by_indices",
    "mark_consumed",
    "reset_consumption",
)


def is_made_by_pulsing() -> bool:
    """Whether one of Pulsing's bucket actors is among the callers."""
    frame = sys._getframe(1)  # noqa: SLF001 - Pulsing does not tell a backend who makes it
    for _ in range(_MOST_FRAMES):
        if frame.f_globals.get("__name__") in _ACTOR_MODULES:
            return True
        if frame.f_back is None:
            return False
        frame = frame.f_back
    return False


def adapt(backend: "NativeStorage") -> None:
    """Open `backend`, or leave that to its next call; make its errors tell their class."""
    for name in _COROUTINES:
        setattr(backend, name, _telling(backend, name))
    # mypy does not let a method be replaced, which is what is wanted here.
    setattr(backend, "get_stream", _telling_stream(backend.get_stream))  # noqa: B010
    setattr(backend, "total_count", _telling_now(backend.total_count))  # noqa: B010
    try:
        backend._open()  # noqa: SLF001 - this is a part of the class
    except _TELLABLE:
        _log.exception("bucket %d at %r cannot be opened", backend.bucket_id, backend.storage_path)
        backend._native = Unopened(backend)  # type: ignore[assignment]  # noqa: SLF001


class Unopened:
    """Stands for the engine of a backend that could not be opened: every use tries again."""

    def __init__(self, backend: "NativeStorage") -> None:
        self._backend = backend

    def __getattr__(self, name: str) -> Any:
        self._backend._open()  # noqa: SLF001
        return getattr(self._backend._native, name)  # noqa: SLF001

    def close_sync(self) -> None:
        """Nothing is open."""

    def close(self) -> None:
        """Nothing is open."""


def untagged(text: str) -> Exception | None:
    """Return the error whose text begins with its class, as made here; None for any other text."""
    match = _TAGGED.match(text)
    return None if match is None else _CLASSES[match[1]](match[2])


def _tagged(error: Exception) -> Exception:
    kind = next(kind for kind in _TELLABLE if isinstance(error, kind))
    return kind(f"{kind.__name__}: {error}")


def _telling(backend: "NativeStorage", name: str) -> Callable[..., Awaitable[Any]]:
    kind = type(backend)

    @functools.wraps(getattr(kind, name))
    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        try:
            # Looked up at each call: tracing replaces methods of the class.
            return await getattr(kind, name)(backend, *args, **kwargs)
        except _TELLABLE as error:
            raise _tagged(error) from error

    return wrapper


def _telling_now(call: Callable[[], int]) -> Callable[[], int]:
    @functools.wraps(call)
    def wrapper() -> int:
        try:
            return call()
        except _TELLABLE as error:
            raise _tagged(error) from error

    return wrapper


def _telling_stream(call: Callable[..., AsyncIterator[Any]]) -> Callable[..., AsyncIterator[Any]]:
    @functools.wraps(call)
    async def wrapper(*args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        try:
            async for item in call(*args, **kwargs):
                yield item
        except _TELLABLE as error:
            raise _tagged(error) from error

    return wrapper
