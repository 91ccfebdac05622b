"""Progress on stderr, where that is a terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from persisting.cli import output

#: Called with how many rows are done, and how much of the whole (of `total`).
Advance = Callable[[int, float], None]


@contextmanager
def bar(what: str, total: float | None, *, quiet: bool) -> Iterator[Advance]:
    """Show a bar with rows, rate and the time left; `total` is in any unit, None if unknown."""
    if quiet or not sys.stderr.isatty():
        yield lambda _rows, _done: None
        return
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TextColumn("{task.fields[rows]:,} records, {task.fields[rate]}/s"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=output.console(stderr=True)) as progress:
        task = progress.add_task(what, total=total, rows=0, rate=output.NOT_KNOWN)

        def advance(rows: int, done: float) -> None:
            elapsed = progress.tasks[0].elapsed
            rate = output.rate(rows / elapsed) if elapsed else output.NOT_KNOWN
            progress.update(task, completed=done, rows=rows, rate=rate)

        yield advance


@contextmanager
def steps(what: str, unit: str, *, quiet: bool) -> Iterator[Callable[[int, int], None] | None]:
    """Show a bar of steps done and of all, which are known only later; None where none is shown."""
    if quiet or not sys.stderr.isatty():
        yield None
        return
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn(f"{{task.completed}} of {{task.total}} {unit}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=output.console(stderr=True)) as progress:
        task = progress.add_task(what, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)
