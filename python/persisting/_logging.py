"""What the core tells goes to the logger `persisting`, and to whoever listens to its events.

A record of the log carries, beside its message, `event`, `topic`, `bucket` and `fields`
(docs/monitoring.md lists the events).
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from persisting._core import set_log_sink

_log = logging.getLogger("persisting")
_LEVELS = (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR)


@dataclass(frozen=True)
class CoreEvent:
    """Something that happened to a bucket: which kind of event, and its figures."""

    event: str
    topic: str
    bucket: int | None
    fields: dict[str, Any]


#: Called for every event, whatever the logger's level; in any thread. They must not raise.
listeners: list[Callable[[CoreEvent], None]] = []


def _emit(  # noqa: PLR0917 - the core calls it so
    level: int, message: str, event: str, topic: str, bucket: int | None, fields: dict[str, Any]
) -> None:
    extra = {"event": event, "topic": topic, "bucket": bucket, "fields": fields}
    _log.log(_LEVELS[level], message, extra=extra)
    if event:
        for listener in tuple(listeners):
            listener(CoreEvent(event, topic, bucket, fields))


def install() -> None:
    """Send what the core tells to Python's logging; done at the import of the queue."""
    set_log_sink(_emit)
