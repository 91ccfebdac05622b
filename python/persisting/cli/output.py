"""What goes to stdout: tables on a terminal, else a JSON object a line."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from persisting.cli import json_text

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.table import Table


#: In a cell for which there is no value.
NOT_KNOWN = "\N{EN DASH}"


def is_for_people(as_json: bool) -> bool:
    """Whether to print tables: stdout is a terminal, and JSON was not asked for."""
    return not as_json and sys.stdout.isatty()


def print_line(document: object) -> None:
    """Print one JSON document in one line, at once."""
    sys.stdout.write(json_text.dumps(document) + "\n")
    sys.stdout.flush()


def print_lines(documents: Iterable[object]) -> None:
    """Print JSON documents, one a line."""
    for document in documents:
        sys.stdout.write(json_text.dumps(document) + "\n")
    sys.stdout.flush()


def console(*, stderr: bool = False) -> Console:
    """Return what tables are printed on; rich honours NO_COLOR and TERM."""
    from rich.console import Console

    # rich takes NO_COLOR for no colours only; people mean plain text by it.
    plain = bool(os.environ.get("NO_COLOR"))
    return Console(
        stderr=stderr,
        highlight=False,
        markup=False,
        emoji=False,
        color_system=None if plain else "auto",
    )


def show(renderable: RenderableType) -> None:
    """Print a table or the like."""
    console().print(renderable)


def show_line(text: str) -> None:
    """Print a line, which the terminal may wrap as it likes."""
    console().print(safe(text), soft_wrap=True)


def table(columns: Sequence[str], *, right: Iterable[str] = ()) -> Table:
    """Return an empty table; the columns named in `right` hold numbers."""
    from rich import box
    from rich.table import Table

    made = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    numbers = set(right)
    for name in columns:
        made.add_column(
            name,
            justify="right" if name in numbers else "left",
            no_wrap=name in numbers,
            overflow="ellipsis" if name in numbers else "fold",
        )
    return made


def show_pairs(pairs: Iterable[tuple[str, object]]) -> None:
    """Print names and values below each other."""
    made = table(["", ""])
    made.show_header = False
    for name, value in pairs:
        made.add_row(safe(name), safe(value))
    show(made)


def safe(value: object) -> Any:
    """Return a cell that holds a text as it is: no markup, no control characters."""
    from rich.text import Text

    text = NOT_KNOWN if value is None else str(value)
    return Text("".join(c if c.isprintable() else repr(c)[1:-1] for c in text))


def count(number: float | None) -> str:
    """Return 12,345; a dash for what is not known."""
    return NOT_KNOWN if number is None else f"{number:,.0f}"


def rate(number: float | None) -> str:
    """Return how many a second."""
    if number is None:
        return NOT_KNOWN
    return f"{number:,.0f}" if number >= 100 or number == 0 else f"{number:.3g}"


def size(number: float | None) -> str:
    """Return 1.5 MiB; a dash for what is not known."""
    if number is None:
        return NOT_KNOWN
    value = float(number)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(value) < 1024:
            return f"{value:.0f} {unit}" if unit == "B" or value >= 100 else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:,.1f} TiB"


def duration(seconds: float | None) -> str:
    """Return 1.5 ms; a dash for what is not known."""
    if seconds is None:
        return NOT_KNOWN
    for unit, least in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= least:
            return f"{seconds / least:.3g} {unit}" if seconds < 1000 else f"{seconds:,.0f} s"
    return f"{seconds * 1e9:.0f} ns" if seconds else "0"
