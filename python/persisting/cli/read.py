"""``get`` and ``tail``: records on stdout."""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from persisting.cli import json_text, output
from persisting.cli.buckets import find, view_of
from persisting.cli.json_text import to_json
from persisting.cli.pages import Pages

if TYPE_CHECKING:
    from persisting import BucketFolder, BucketView
    from persisting.cli.where import Where

Record = dict[str, Any]

#: Records of one table on a terminal.
_SCREEN = 100

#: Seconds after which a thread that follows a bucket looks whether it is to end.
_LOOK = 0.3

#: The least width of a column there, and what is between two.
_COLUMN = 10
_GAP = 3


def get(bucket: Path, *, offset: int, limit: int | None, where: str | None, as_json: bool) -> None:
    """Print records from an offset on."""
    with view_of(bucket) as view:
        if where is None:
            found = _all(view, offset, limit)
        else:
            from persisting.cli.where import Where

            found = _fitting(view, offset, limit, Where(where))
        if output.is_for_people(as_json):
            _show(found)
        else:
            for numbered in found:
                output.print_lines(_line(offset, record) for offset, record in numbered)


def _all(view: BucketView, offset: int, limit: int | None) -> Iterator[list[tuple[int, Record]]]:
    """Yield pages of offsets and records."""
    end = view.total_count()
    if limit is not None:
        end = min(end, offset + limit)
    pages = Pages(offset, end)
    for first, rows in pages:
        records = view.get(rows, first)
        if not records:
            return
        pages.took(len(records), _bytes_of(records))
        yield list(enumerate(records, first))


def _fitting(
    view: BucketView, offset: int, limit: int | None, where: Where
) -> Iterator[list[tuple[int, Record]]]:
    """Yield those of them that fit, `limit` in total."""
    remaining = limit
    pages = Pages(offset, view.total_count())
    if offset >= pages.end:
        where.offsets(view.get_arrow(0, 0), 0)  # what is wrong with it is said of no record too
    for first, rows in pages:
        page = view.get_arrow(rows, first)
        if page.num_rows == 0 or remaining == 0:
            return
        pages.took(page.num_rows, page.nbytes)
        found = where.offsets(page, first)[:remaining]
        if found:
            records = view.get(found[-1] - found[0] + 1, found[0])
            yield [(each, records[each - found[0]]) for each in found]
            remaining = None if remaining is None else remaining - len(found)


def _bytes_of(records: list[Record]) -> int:
    """Roughly; only a sample is looked at."""
    sample = records[:: max(len(records) // 16, 1)]
    return sum(len(str(each)) for each in sample) * len(records) // len(sample)


def tail(path: Path, *, follow: bool, number: int, as_json: bool) -> None:
    """Print the last records of every bucket, and with `follow` those that come."""
    buckets = find(path)
    several = len(buckets) > 1
    ends = []
    for bucket in buckets:
        with _opened(bucket) as view:
            end = view.total_count()
            ends.append(end)
            first = max(end - number, 0)
            _print_last(bucket if several else None, _all(view, first, end - first), as_json)
    if follow:
        with closing(_arrivals(buckets, ends)) as arrivals:
            for bucket, first, records in arrivals:
                _print_arrived(bucket if several else None, first, records, as_json)


def _opened(bucket: BucketFolder) -> BucketView:
    from persisting import open_view

    return open_view(bucket.folder)


def _print_last(
    bucket: BucketFolder | None, found: Iterable[list[tuple[int, Record]]], as_json: bool
) -> None:
    if output.is_for_people(as_json):
        _show(found, title=None if bucket is None else bucket.folder)
        return
    for page in found:
        output.print_lines(_line(offset, record, bucket) for offset, record in page)


def _print_arrived(
    bucket: BucketFolder | None, first: int, records: list[Record], as_json: bool
) -> None:
    if not output.is_for_people(as_json):
        output.print_lines(_line(i, record, bucket) for i, record in enumerate(records, first))
        return
    where = "" if bucket is None else f"{bucket.folder} "
    for i, record in enumerate(records, first):
        _show_line(i, record, where)


def _line(offset: int, record: Record, bucket: BucketFolder | None = None) -> dict[str, Any]:
    """One line of JSON: no field of a record can have the names in front."""
    line: dict[str, Any] = {"_offset": offset}
    if bucket is not None:
        line = {"_bucket": bucket.folder, **line}
    line.update((name, to_json(value)) for name, value in record.items())
    return line


def _arrivals(
    buckets: list[BucketFolder], ends: list[int]
) -> Generator[tuple[BucketFolder, int, list[Record]], None, None]:
    """Yield what comes, for ever: bucket, first offset, records.

    A thread follows each bucket; this one is free to be interrupted.
    """
    came: queue.Queue[tuple[BucketFolder, int, list[Record]] | BaseException] = queue.Queue(64)
    over = threading.Event()

    def deliver(each: tuple[BucketFolder, int, list[Record]] | BaseException) -> None:
        while not over.is_set():
            try:
                came.put(each, timeout=_LOOK)
                return
            except queue.Full:
                pass

    def listen(bucket: BucketFolder, end: int) -> None:
        try:
            with _opened(bucket) as view:
                while not over.is_set():
                    for records in view.follow(end, timeout=_LOOK):
                        deliver((bucket, end, records))
                        end += len(records)
        except BaseException as error:  # noqa: BLE001 - raised where it can be told
            deliver(error)

    threads = [
        threading.Thread(target=listen, args=each) for each in zip(buckets, ends, strict=True)
    ]
    try:
        for thread in threads:
            thread.start()
        while True:
            arrival = came.get()
            if isinstance(arrival, BaseException):
                raise arrival
            yield arrival
    finally:
        over.set()
        for thread in threads:
            if thread.ident is not None:
                thread.join()


def _show(found: Iterable[list[tuple[int, Record]]], *, title: str | None = None) -> None:
    for page in found:
        for first in range(0, len(page), _SCREEN):
            _show_table(page[first : first + _SCREEN], title)


def _show_table(numbered: list[tuple[int, Record]], title: str | None) -> None:
    names = list(dict.fromkeys(name for _, record in numbered for name in record))
    heads = [output.safe(name) for name in ("_offset", *names)]
    rows = [
        [output.safe(offset), *(output.safe(_cell(record.get(name))) for name in names)]
        for offset, record in numbered
    ]
    widths = [max(len(cell) for cell in column) for column in zip(heads, *rows, strict=True)]
    share = _share(widths, output.console().width - _GAP * len(widths))
    if title is not None:
        output.show_line(title)
    if share < min(_COLUMN, max(widths)):
        for offset, record in numbered:
            _show_line(offset, record)
        return
    made = output.table([])
    for head in heads:
        # Else a column of long values would take the others' room.
        made.add_column(head, no_wrap=True, overflow="ellipsis", max_width=share)
    made.columns[0].justify = "right"
    for row in rows:
        made.add_row(*row)
    output.show(made)


def _share(widths: list[int], room: int) -> int:
    """Return the width that columns may have at most, so that all of them fit."""
    for i, width in enumerate(sorted(widths)):
        share = room // (len(widths) - i)
        if width > share:
            return share
        room -= width
    return max(widths)


def _show_line(offset: int, record: Record, where: str = "") -> None:
    output.show_line(f"{where}{offset}  {json_text.dumps(json_text.record_to_json(record))}")


def _cell(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    plain = to_json(value)
    if isinstance(plain, dict) and len(plain) == 1:
        (name, content) = next(iter(plain.items()))
        if name == "$array":
            return json_text.dumps(content["data"])
        if name.startswith("$") and not isinstance(content, dict | list):
            return str(content)  # the column tells the type well enough
    return json_text.dumps(plain)
