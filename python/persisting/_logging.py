"""The core's messages, such as a warning of an unknown option, go to the logger `persisting`."""

import logging

from persisting._core import set_log_sink

_log = logging.getLogger("persisting")
_LEVELS = (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR)


def _emit(level: int, message: str) -> None:
    _log.log(_LEVELS[level], message)


def install() -> None:
    """Send the core's messages to Python's logging; done at the import of the queue."""
    set_log_sink(_emit)
