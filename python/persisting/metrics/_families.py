"""What the core hands over: metric families, their samples, and who has asked for them."""

import importlib
import threading
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any, Literal, NotRequired, TypedDict, cast

from persisting._core import collect_metrics, enable_metrics


class Sample(TypedDict):
    """The values of one bucket: `value`, or in a histogram the other three."""

    labels: dict[str, str]
    value: NotRequired[float]
    buckets: NotRequired[Sequence[tuple[float, int]]]
    sum: NotRequired[float]
    count: NotRequired[int]


class Family(TypedDict):
    """One metric, with a sample for each bucket."""

    name: str
    help: str
    kind: Literal["counter", "gauge", "histogram"]
    samples: list[Sample]


Collect = Callable[[], list[Family]]

_UNITS = frozenset({"seconds", "bytes", "records"})

_lock = threading.Lock()
_users: set[str] = set()


def collect() -> list[Family]:
    """Return all metrics of the buckets that this process has open and exports."""
    return cast("list[Family]", collect_metrics())


def base_name(family: Family) -> str:
    """Return the name without the suffix that tells a counter."""
    return family["name"].removesuffix("_total")


def unit(family: Family) -> str:
    """Return the unit, which the name ends in; empty for a plain number."""
    last = base_name(family).rpartition("_")[2]
    return last if last in _UNITS else ""


def switch(user: str, on: bool) -> None:
    """Export all buckets for as long as one of the users wants it."""
    with _lock:
        (_users.add if on else _users.discard)(user)
        enable_metrics(bool(_users))


def optional(module: str, package: str, extra: str) -> ModuleType:
    """Import a module of an optional dependency."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise ImportError(
            f"this needs {package}, which is not installed: pip install 'persisting[{extra}]'"
        ) from error


def label_names(samples: Sequence[Any]) -> list[str]:
    """Return the names of the samples' labels; all samples of a family have the same."""
    return list(samples[0]["labels"]) if samples else []
