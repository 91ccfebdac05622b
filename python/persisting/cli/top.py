"""``top``: what buckets do, from the pages of metrics that their processes share."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from persisting import StorageError
from persisting.cli import output
from persisting.cli.buckets import find
from persisting.cli.errors import check_interrupt
from persisting.cli.metrics import Sample, read_bucket

if TYPE_CHECKING:
    from rich.console import RenderableType

    from persisting import BucketFolder

_TIMES = {"put": "put_duration", "sync": "wal_sync_duration", "flush": "flush_duration"}


def top(path: Path, *, interval: float, once: bool, as_json: bool) -> None:
    """Show rows again and again, or after one interval."""
    watched = watch(path, interval)
    if not output.is_for_people(as_json):
        for rows in watched:
            output.print_lines(rows)
            if once:
                return
    elif once:
        output.show(render(next(watched), output.console().width))
    else:
        _live(watched)


def _live(watched: Iterator[list[dict[str, Any]]]) -> None:
    from rich.live import Live

    with Live(console=output.console(), screen=True, auto_refresh=False) as live:
        for rows in watched:
            live.update(render(rows, live.console.width), refresh=True)


@dataclass(frozen=True)
class _Look:
    when: float
    sample: Sample | None  # None: no process has the bucket open


def watch(path: Path, interval: float) -> Iterator[list[dict[str, Any]]]:
    """Yield a row for each bucket, about the interval before it; for ever."""
    before = {each.folder: _look(each) for each in find(path)}
    while True:
        time.sleep(interval)
        check_interrupt()
        buckets = find(path)
        now = {each.folder: _look(each) for each in buckets}
        yield [_row(each, now[each.folder], before.get(each.folder)) for each in buckets]
        before = now


def _look(bucket: BucketFolder) -> _Look:
    families = read_bucket(bucket.folder)
    return _Look(time.monotonic(), None if families is None else Sample.of(families))


def _row(bucket: BucketFolder, look: _Look, last: _Look | None) -> dict[str, Any]:
    row: dict[str, Any] = {"topic": bucket.topic, "bucket_id": bucket.bucket_id}
    if look.sample is None:
        return {**row, "open": False, **_resting(bucket)}
    sample, before = look.sample, last.sample if last else None
    seconds = look.when - last.when if last else 0.0
    row |= {
        "open": True,
        "put_per_second": sample.rate("records_total", before, seconds),
        "read_per_second": sample.rate("read_records_total", before, seconds),
        "bytes_per_second": sample.rate("bytes_total", before, seconds),
        "flush_lag_records": sample.values.get("flush_lag_records"),
        "flush_lag_seconds": sample.values.get("flush_lag_seconds"),
        "log_bytes": sample.values.get("wal_size_bytes"),
        "fragments": sample.values.get("fragments"),
        "poisoned": bool(sample.values.get("poisoned", 0)),
    }
    for short, name in _TIMES.items():
        for part in (50, 99):
            found = sample.percentile(f"{name}_seconds", part / 100, before)
            row[f"{short}_p{part}_seconds"] = found
    return row


def _resting(bucket: BucketFolder) -> dict[str, Any]:
    """Return what the files alone tell."""
    from persisting import open_view

    try:
        with open_view(bucket.folder) as view:
            stats = view.stats()
    except (StorageError, ValueError, OSError):
        return {}  # a bucket in the making or damaged; verify says what it is
    return {
        "flush_lag_records": stats["buffer_count"],
        "log_bytes": stats["wal_size"],
        "fragments": stats["fragments"],
    }


_Form = Callable[[Any], Any]

#: Columns by title: the name in a row, and how it is written.
_COLUMNS: dict[str, tuple[str, _Form]] = {
    "topic": ("topic", output.safe),
    "bucket": ("bucket_id", str),
    "put/s": ("put_per_second", output.rate),
    "read/s": ("read_per_second", output.rate),
    "bytes/s": ("bytes_per_second", output.size),
    "lag": ("flush_lag_records", output.count),
    "lag age": ("flush_lag_seconds", output.duration),
    "log": ("log_bytes", output.size),
    **{
        f"{short} p{part}": (f"{short}_p{part}_seconds", output.duration)
        for short in _TIMES
        for part in (50, 99)
    },
}
_SUMS = frozenset({"put/s", "read/s", "bytes/s", "lag", "log"})
#: What a narrow terminal does without, in this order.
_SPARED = [
    *("flush p50", "sync p50", "put p50", "lag age", "flush p99", "sync p99", "bytes/s"),
    *("read/s", "log", "put p99"),
]
_GAP = 3


def render(rows: list[dict[str, Any]], width: int) -> RenderableType:
    """Return the table of rows, with their sums; columns that do not fit are left out."""
    from rich.console import Group

    columns = {title: _cells(title, rows) for title in _COLUMNS}
    widths = {title: max(map(len, [title, *cells])) + _GAP for title, cells in columns.items()}
    for title in _SPARED:
        if sum(widths[each] for each in columns) <= width:
            break
        del columns[title]
    made = output.table(list(columns), right=[each for each in columns if each != "topic"])
    for i, cells in enumerate(zip(*columns.values(), strict=True)):
        if i == len(rows):
            made.add_section()
        is_poisoned = i < len(rows) and rows[i].get("poisoned")
        made.add_row(*cells, style="red" if is_poisoned else None)
    notes = []
    if any(row.get("poisoned") for row in rows):
        notes.append("red: the log failed; the bucket takes no puts until it is opened again")
    if not all(row["open"] for row in rows):
        notes.append(f"{output.NOT_KNOWN}: not known, for no program has the bucket open")
    if any(row.get("put_per_second") and row.get("put_p50_seconds") is None for row in rows):
        notes.append("puts are timed only by programs that have enable_metrics on")
    return Group(made, *(output.safe(note) for note in notes))


def _cells(title: str, rows: list[dict[str, Any]]) -> list[Any]:
    """Return a column, with the sum of several rows below."""
    name, form = _COLUMNS[title]
    cells = [form(row.get(name)) for row in rows]
    if len(rows) > 1:
        total = form(sum(row.get(name) or 0 for row in rows)) if title in _SUMS else ""
        cells.append("all" if title == "topic" else total)
    return cells
