"""What the demo shows: on a terminal with bars and colours, elsewhere as plain lines."""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from rich import box
from rich.columns import Columns
from rich.console import Console
from rich.padding import Padding
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Table

console = Console(highlight=False)

_INDENT = 3


class Steps:
    """Numbers the steps of the demo and measures them; `seconds` has the time of each, by title."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def step(self, title: str) -> Iterator[None]:
        """Print a heading, and measure the time until the end of the block."""
        console.print(f"\n[bold cyan]{len(self.seconds) + 1}[/]  [bold]{title}[/]")
        start = time.perf_counter()
        yield
        self.seconds[title] = time.perf_counter() - start


@contextmanager
def progress(verb: str, total: int) -> Iterator[Callable[[int], None]]:
    """Yield a function to call with how many of `total` are done whenever that has grown."""
    start = time.perf_counter()

    def state(done: int) -> str:
        rate = done / (time.perf_counter() - start)
        return f"{done:,} of {total:,} {verb}, {rate:,.0f}/s"

    if not console.is_terminal:
        yield _lines(total, state)
        return
    columns = (TextColumn(" " * (_INDENT - 1)), BarColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=console) as bar:
        task = bar.add_task(state(0), total=total)
        yield lambda done: bar.update(task, completed=done, description=state(done))


def _lines(total: int, state: Callable[[int], str]) -> Callable[[int], None]:
    fifths_shown = 0

    def show(done: int) -> None:
        nonlocal fifths_shown
        fifths = 5 * done // total
        if fifths > fifths_shown:
            fifths_shown = fifths
            say(state(done))

    return show


def say(text: str) -> None:
    """Print a finding of the step under way."""
    console.print(Padding(text, (0, 0, 0, _INDENT), expand=False))


def show_table(names: Iterable[str], rows: Iterable[Iterable[Any]]) -> None:
    """Print rows of cells under the names of their columns."""
    console.print(Padding(_table(names, rows), (0, 0, 0, _INDENT), expand=False))


def show_summary(counts: dict[str, int], seconds: dict[str, float]) -> None:
    """Print what was counted, and beside it how long the steps took."""
    total = {"total": sum(seconds.values())}
    tables = (
        _table(("flights", ""), counts.items()),
        _table(("step", "seconds"), (seconds | total).items()),
    )
    console.print()
    console.print(Columns(tables, padding=(0, 2)))


def _table(names: Iterable[str], rows: Iterable[Iterable[Any]]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for position, name in enumerate(names):
        table.add_column(name, justify="right" if position else "left")
    for row in rows:
        table.add_row(*map(_cell, row))
    return table


def _cell(value: Any) -> str:
    match value:
        case None:
            return "-"
        case int():
            return f"{value:,}"
        case float():
            return f"{value:,.2f}"
        case _:
            return str(value)
