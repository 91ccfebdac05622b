"""Checks of arguments that several classes share."""

import operator
from typing import Any, SupportsIndex

Record = dict[str, Any]

#: The largest number that the core takes as a limit.
MOST = 2**63 - 1

#: Rows that a fragment has after a compaction: Lance's own default.
TARGET_ROWS = 2**20


def whole_number(name: str, value: SupportsIndex, *, least: int = 0) -> int:
    """Return `value` as an int; TypeError if it is none, ValueError below `least`."""
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise TypeError(f"{name} must be a whole number, not {value!r} ({type(value).__name__})")
    number = operator.index(value)
    if number < least:
        raise ValueError(f"{name} must be at least {least}, not {number}")
    return number


def compaction(target_rows: SupportsIndex, progress: object) -> int:
    """Return the checked `target_rows_per_fragment`; TypeError if `progress` cannot be called."""
    if progress is not None and not callable(progress):
        raise TypeError(f"progress must be a function of two numbers or None, not {progress!r}")
    return min(whole_number("target_rows_per_fragment", target_rows, least=1), MOST)


def seconds(name: str, value: float | None) -> float | None:
    """Return `value` (None: no limit); TypeError if no number, ValueError if negative or NaN."""
    if value is None:
        return None
    if isinstance(value, bool) or not hasattr(value, "__float__"):
        raise TypeError(f"{name} must be a number of seconds or None, not {value!r}")
    number = float(value)
    if not number >= 0:
        raise ValueError(f"{name} must be at least 0 seconds, not {number}")
    return None if number == float("inf") else number


def text(name: str, value: str) -> str:
    """Return `value`; TypeError if it is no str, ValueError if it is empty."""
    if not isinstance(value, str):
        raise TypeError(f"{name} must be a str, not {type(value).__name__}")
    if not value:
        raise ValueError(f"{name} must not be empty")
    return value
