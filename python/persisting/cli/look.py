"""``ls``, ``stat`` and ``schema``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from persisting import StorageError
from persisting.cli import output
from persisting.cli.buckets import find, view_of
from persisting.cli.errors import Status, check_interrupt, one_line, say
from persisting.cli.json_text import to_json
from persisting.cli.metrics import Sample, read_bucket


def list_buckets(path: Path, *, as_json: bool) -> Status:
    """Print a line for each bucket; those that cannot be read on stderr."""
    from persisting import open_view

    rows = []
    status = Status.OK
    for bucket in find(path):
        try:
            with open_view(bucket.folder) as view:
                rows.append(_summary(view.stats()))
        except (StorageError, ValueError, OSError) as error:
            check_interrupt()
            say(one_line(error))
            status = Status.FAILED
    if not output.is_for_people(as_json):
        output.print_lines(rows)
    elif rows:
        _show_list(rows)
    return status


def _summary(stats: dict[str, Any]) -> dict[str, Any]:
    return {
        "topic": stats["topic"],
        "bucket_id": stats["bucket_id"],
        "folder": stats["storage_path"],
        "records": stats["total_count"],
        "flushed": stats["persisted_count"],
        "unflushed": stats["buffer_count"],
        "log_bytes": stats["wal_size"],
        "table_bytes": stats["table_bytes"],
        "fragments": stats["fragments"],
        "holder": stats["holder"],
    }


def _show_list(rows: list[dict[str, Any]]) -> None:
    numbers = ["bucket", "records", "flushed", "unflushed", "log", "table", "fragments", "holder"]
    made = output.table(["topic", *numbers], right=numbers)
    for row in rows:
        made.add_row(
            output.safe(row["topic"]),
            str(row["bucket_id"]),
            *(output.count(row[name]) for name in ("records", "flushed", "unflushed")),
            output.size(row["log_bytes"]),
            output.size(row["table_bytes"]),
            output.count(row["fragments"]),
            output.NOT_KNOWN if row["holder"] is None else str(row["holder"]),
        )
    output.show(made)


def show_stats(bucket: Path, *, as_json: bool) -> None:
    """Print the figures of one bucket, what its fields are counted among them."""
    with view_of(bucket) as view:
        stats = view.stats()
        stats["fields"] = len(view.schema())
        stats["maintenance"] = _maintenance(view.folder)
    if not output.is_for_people(as_json):
        output.print_line(to_json(stats))
        return
    output.show_pairs((name, _figure(name, value)) for name, value in stats.items())


def _maintenance(folder: str) -> str | None:
    """Tell what the process that has the bucket open does in the background; None: none has it."""
    families = read_bucket(folder)
    if not families:
        return None
    values = Sample.of(families).values
    if values.get("maintenance_running"):
        return "running"
    return "paused or off" if values.get("maintenance_paused") else "idle"


_BYTES = frozenset({"buffer_bytes", "wal_size", "table_bytes"})
_NUMBERS = frozenset({"bucket_id", "holder", "table_version"})


def _figure(name: str, value: Any) -> object:
    if value is None or isinstance(value, str | bool) or name in _NUMBERS:
        return value
    if name in _BYTES:
        return f"{output.size(value)} ({value:,} bytes)"
    return output.count(value)


def show_schema(bucket: Path, *, history: bool, as_json: bool) -> None:
    """Print fields, or how they came to be."""
    with view_of(bucket) as view:
        rows = view.schema_history() if history else view.schema()
    if not output.is_for_people(as_json):
        output.print_lines(to_json(row) for row in rows)
        return
    columns = (
        ["offset", "change", "field", "before", "after"] if history else ["name", "type", "default"]
    )
    made = output.table(columns, right=["offset"])
    for row in rows:
        made.add_row(*(output.safe(_word(row[name])) for name in columns))
    output.show(made)


def _word(value: Any) -> Any:
    return value if value is None or isinstance(value, str | int) else to_json(value)
