"""Spans: puts in the caller's trace, and what the core reports with a duration.

While this is off nothing is wrapped: a put runs the very code that it runs without this module.
Threads: thread-safe. A put under way while it is switched on or off ends as it began.
"""

import functools
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

from persisting import _logging
from persisting._logging import CoreEvent
from persisting.queue.backends import NativeStorage
from persisting.queue.sync import SyncBackend

if TYPE_CHECKING:
    from opentelemetry.trace import Tracer

_METHODS = ("put", "put_batch")
# The spans of the core's events. How long a failed flush took is not told: its span has no length.
_EVENTS = {
    "flush": "persisting.flush",
    "flush_failed": "persisting.flush",
    "recovery": "persisting.recovery",
    "compaction": "persisting.compaction",
}
_TIMES = frozenset({"begin_ns", "duration_seconds"})

_lock = threading.Lock()
_untraced: list[tuple[type, str, Callable[..., Any]]] = []
_tracer: "Tracer | None" = None


def enable(tracer: "Tracer") -> None:
    """Make spans with this tracer from now on, instead of with the one before."""
    global _tracer  # noqa: PLW0603 - one a process, as the methods that are replaced
    with _lock:
        _tracer = tracer
        if _untraced:
            return
        _logging.listeners.append(on_event)
        for owner in (NativeStorage, SyncBackend):
            for name in _METHODS:
                method = getattr(owner, name)
                _untraced.append((owner, name, method))
                traced = _traced if owner is NativeStorage else _traced_sync
                setattr(owner, name, traced(method, f"persisting.{name}"))


def disable() -> None:
    """Make no spans any more."""
    global _tracer  # noqa: PLW0603
    with _lock:
        _tracer = None
        for owner, name, method in _untraced:
            setattr(owner, name, method)
        if _untraced:
            _logging.listeners.remove(on_event)
        _untraced.clear()


def _traced(method: Callable[..., Any], span: str) -> Callable[..., Any]:
    @functools.wraps(method)
    async def traced(backend: Any, *args: Any, **kwargs: Any) -> None:
        with _put_span(span, backend, *args, **kwargs):
            await method(backend, *args, **kwargs)

    return traced


def _traced_sync(method: Callable[..., Any], span: str) -> Callable[..., Any]:
    @functools.wraps(method)
    def traced(backend: Any, *args: Any, **kwargs: Any) -> None:
        with _put_span(span, backend, *args, **kwargs):
            method(backend, *args, **kwargs)

    return traced


def _put_span(
    span: str, backend: Any, *args: Any, **kwargs: Any
) -> AbstractContextManager[object, bool | None]:
    tracer = _tracer
    if tracer is None:
        return nullcontext()
    from opentelemetry.trace import SpanKind

    if isinstance(backend, SyncBackend):
        backend = backend._backend  # noqa: SLF001 - of this package
    attributes = {
        "persisting.bucket": backend.bucket_id,
        "persisting.storage_path": backend.storage_path,
    }
    records: Any = next(iter((*args, *kwargs.values())), None)
    if isinstance(records, dict):
        attributes["persisting.records"] = 1
    elif hasattr(records, "__len__"):
        attributes["persisting.records"] = len(records)
    return tracer.start_as_current_span(span, kind=SpanKind.PRODUCER, attributes=attributes)


def on_event(event: CoreEvent) -> None:
    """Make the span of an event that took time. Any thread of the core may call this."""
    tracer = _tracer
    if tracer is None or event.event not in _EVENTS:
        return
    from opentelemetry.trace import Status, StatusCode

    begin = int(event.fields.get("begin_ns", time.time_ns()))
    attributes = {
        f"persisting.{name}": value
        for name, value in event.fields.items()
        if name not in _TIMES and isinstance(value, bool | int | float | str)
    }
    attributes["persisting.topic"] = event.topic
    if event.bucket is not None:
        attributes["persisting.bucket"] = event.bucket
    span = tracer.start_span(_EVENTS[event.event], attributes=attributes, start_time=begin)
    if event.event == "flush_failed":
        span.set_status(Status(StatusCode.ERROR, event.fields.get("reason")))
    span.end(begin + round(event.fields.get("duration_seconds", 0) * 1e9))
