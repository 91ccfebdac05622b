"""One bucket that the dashboard watches: its view, what it last said, and the last minutes.

Threads: every method takes the bucket's lock, so that a slow read of one page holds up no other
         bucket.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from typing import Any

from persisting import BucketFolder, BucketView, StorageError, _core, open_view
from persisting._histogram import quantile
from persisting.dashboard import _rates
from persisting.dashboard._shorten import shorten, shorten_records

_log = logging.getLogger(__name__)

#: Seconds of history that are kept and shown.
HISTORY = 600.0
#: Seconds until a bucket that could not be read is tried again; reading it may take long.
RETRY = 5.0
#: Seconds over which the rate in the table of buckets is taken.
RATE_WINDOW = 5.0
#: How many of the last rates the table of buckets draws.
TRACE = 40
#: How many records the page of a bucket shows.
LAST_RECORDS = 6

_TIMED = {"put": "put_duration_seconds", "sync": "wal_sync_duration_seconds"}
_QUANTILES = {"p50": 0.5, "p99": 0.99}
_SERIES = (
    "time",
    "rate",
    "lag_records",
    "lag_seconds",
    *(f"{timed}_{quantile}" for timed in _TIMED for quantile in _QUANTILES),
    "flush_mean",
)

Point = dict[str, float | None]


class WatchedBucket:
    """A bucket's state over time.

    Guarantee: no method raises for what is wrong with the bucket; `error` says it.
    """

    def __init__(self, key: str, folder: BucketFolder) -> None:
        self.key = key
        self.folder = folder
        self._lock = threading.Lock()
        self._view: BucketView | None = None
        self._stats: dict[str, Any] = {}
        self._families: list[dict[str, Any]] = []
        self._unmeasured: str | None = None
        self._metrics: _rates.Metrics | None = None
        self._points: deque[tuple[int, Point]] = deque()  # each with the total count
        self._error: str | None = None
        self._retry_at = 0.0
        self._details: dict[str, Any] = {}
        self._details_of: tuple[int, int] | None = None

    def look(self) -> None:
        """Take a new sample of everything that changes."""
        with self._lock:
            now = time.time()
            if self._error is not None and now < self._retry_at:
                return
            try:
                if self._view is None:
                    self._view = open_view(self.folder.folder)
                self._stats = self._view.stats()
            # Whatever it is, it is this bucket's: the page says so and goes on with the others.
            except Exception as error:  # noqa: BLE001
                self._failed(error, now)
                return
            self._error = None
            self._families, self._unmeasured = self._read_metrics()
            metrics = _rates.flat(self._families) if self._families else None
            self._note(now, metrics)
            self._metrics = metrics

    def _read_metrics(self) -> tuple[list[dict[str, Any]], str | None]:
        """Return the families, and why there are none where there are none."""
        if self._stats["holder"] is None:
            return [], "only a process that has the bucket open measures this"
        try:
            families = _core.read_metrics(self.folder.folder)
        except (StorageError, ValueError, OSError) as error:  # of the process, not of the bucket
            return [], str(error)
        if not families:
            return [], "not to be seen from here: the process is of another user or container"
        return families, None

    def _failed(self, error: Exception, now: float) -> None:
        if not isinstance(error, (StorageError, ValueError, OSError)):
            _log.error("reading %s failed", self.folder.folder, exc_info=error)
        self._error = f"{type(error).__name__}: {error}"
        self._retry_at = now + RETRY
        self._families, self._metrics = [], None
        self._close_view()

    def _note(self, now: float, metrics: _rates.Metrics | None) -> None:
        total = self._stats["total_count"]
        point: Point = {"time": now, "rate": None}
        if self._points:
            old_total, old = self._points[-1]
            risen = _rates.increase(total, old_total)
            passed = now - (old["time"] or now)
            if risen is not None and passed > 0:
                point["rate"] = risen / passed
        point["lag_records"] = self._stats["buffer_count"]
        if metrics is not None:
            point["lag_records"] = metrics.get("flush_lag_records", point["lag_records"])
            point["lag_seconds"] = metrics.get("flush_lag_seconds")
            # Without an earlier look the histograms say how it was since the opening, not now.
            if self._metrics is not None:
                point |= _latencies(metrics, self._metrics)
        self._points.append((total, point))
        while (self._points[0][1]["time"] or 0) < now - HISTORY:
            self._points.popleft()

    def row(self) -> dict[str, Any]:
        """Return what the table of buckets shows."""
        with self._lock:
            return self._row()

    def _row(self) -> dict[str, Any]:
        stats = self._stats
        return {
            "key": self.key,
            "topic": self.folder.topic,
            "bucket": self.folder.bucket_id,
            "state": self._state(),
            "holder": stats.get("holder"),
            "error": self._error,
            "records": stats.get("total_count"),
            "rate": self._rate(),
            "unflushed": self._points[-1][1]["lag_records"] if self._points else None,
            "log_bytes": stats.get("wal_size"),
            "fragments": stats.get("fragments"),
            "versions": stats.get("versions"),
            "trace": [_short(point["rate"]) for _, point in list(self._points)[-TRACE:]],
        }

    def _state(self) -> str:
        if self._error is not None:
            return "damaged"
        if self._metrics is not None and self._metrics.get("poisoned"):
            return "poisoned"
        return "closed" if self._stats.get("holder") is None else "open"

    def _rate(self) -> float | None:
        if len(self._points) < 2 or self._error is not None:
            return None
        total, last = self._points[-1]
        until = last["time"] or 0
        for old_total, old in self._points:
            began = old["time"] or 0
            if until - began <= RATE_WINDOW and until > began:
                return _short(max(total - old_total, 0) / (until - began))
        return self._points[-1][1]["rate"]

    def detail(self) -> dict[str, Any]:
        """Return everything that the page of this bucket shows."""
        with self._lock:
            found = {
                **self._row(),
                "folder": self.folder.folder,
                "stats": self._stats,
                "metrics": _rates.table(self._families),
                "unmeasured": self._unmeasured,
                "puts_measured": self._puts_measured(),
                "series": {
                    name: [_short(point.get(name)) for _, point in self._points] for name in _SERIES
                },
            }
            if self._error is None and self._view is not None:
                try:
                    self._read_details(self._view)
                except Exception as error:  # noqa: BLE001 - as in look()
                    self._failed(error, time.time())
                    found |= self._row()
            return {**found, **self._details}

    def _puts_measured(self) -> bool:
        """Whether puts are timed, which enable_metrics decides; True while nothing was put."""
        if self._metrics is None:
            return False
        timed = self._metrics.get("put_duration_seconds", {}).get("count", 0)
        return bool(timed) or not self._metrics.get("records_total")

    def _read_details(self, view: BucketView) -> None:
        total = view.total_count()
        of = (total, self._stats.get("table_version", 0))
        if of == self._details_of:
            return
        first = max(total - LAST_RECORDS, 0)
        records = view.get(LAST_RECORDS, first)
        self._details = {
            "schema": [_texts(field) for field in view.schema()],
            "schema_history": [_texts(change) for change in view.schema_history()],
            "first_offset": first,
            "last_records": shorten_records(records),
        }
        self._details_of = of

    def close(self) -> None:
        """Let go of the view."""
        with self._lock:
            self._close_view()

    def _close_view(self) -> None:
        view, self._view = self._view, None
        if view is not None:
            view.close()


def _latencies(now: _rates.Metrics, before: _rates.Metrics) -> Point:
    point: Point = {}
    for timed, name in _TIMED.items():
        observed = _rates.buckets_since(now, before, name)
        for label, q in _QUANTILES.items():
            point[f"{timed}_{label}"] = quantile(observed, q)
    # Of one flush, as most looks find, this is its duration and not the bucket that it falls into.
    point["flush_mean"] = _rates.mean_since(now, before, "flush_duration_seconds")
    return point


def _texts(entry: dict[str, Any]) -> dict[str, Any]:
    """An entry of the schema for JSON: its defaults may be values of any type."""
    return {
        name: value if value is None or isinstance(value, (str, int)) else shorten(value)
        for name, value in entry.items()
    }


def _short(value: float | None) -> float | None:
    """Six digits: what a chart can show, in half the bytes. Times keep their milliseconds."""
    if value is None:
        return None
    return round(value, 3) if value > 1e6 else float(f"{value:.6g}")
