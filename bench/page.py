"""Writes docs/benchmarks.md, its pictures, and the table in docs/durability.md."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import plots
from cases import GROUPS, levels
from framework import SEED, Group, Row, Target, Unit
from plots import number
from results import Measured

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "benchmarks.md"
IMAGES = ROOT / "docs" / "images"
DURABILITY = ROOT / "docs" / "durability.md"
NOTES = Path(__file__).resolve().parent / "notes.toml"
MARKED = re.compile(r"(<!-- levels -->\n).*?(<!-- end of levels -->)", re.DOTALL)

INTRODUCTION = """\
# Benchmarks

Written by `make bench`; do not edit. What is written by hand, why a target is not reached, is in
`bench/notes.toml`.

Each figure is a ratio to a peer, or to the hardware, that the same run measured on the same
machine: *ratio* is our figure over the peer's, the median of the rounds, *spread* the lowest and
the highest of them. Rounds are interleaved: each takes every section in turn, in a process of its
own, with the peers beside it. *Survives* is what an acknowledged record withstands in that row.
Records have four fields, about 67 bytes as MessagePack. Absolute figures are medians too, and
change with the machine.
"""


#: Of each unit what it is written in, the largest first: as many of ours as make one, and the name.
SCALES: dict[Unit, tuple[tuple[float, str], ...]] = {
    Unit.RATE: ((1, " records/s"),),
    Unit.BYTE_RATE: ((2**20, " MiB/s"),),
    Unit.BYTES: ((2**20, " MiB"), (2**10, " KiB")),
    Unit.SECONDS: ((1, " s"), (1e-3, " ms"), (1e-6, " µs")),
    Unit.SHARE: ((0.01, " % of a core"),),
    Unit.COUNT: ((1, ""),),
}


def written(value: float, unit: Unit) -> str:
    """Return a figure for people."""
    scales = SCALES[unit]
    one, name = next((scale for scale in scales if value >= scale[0]), scales[-1])
    return f"{number(value / one)}{name}"


def target_text(target: Target, unit: Unit) -> str:
    """Return what is to be reached."""
    bound = written(target.bound, unit) if target.absolute else f"{target.bound:g} ×"
    return f"{'≤' if target.at_most else '≥'} {bound}"


def is_reached(row: Row, measured: Measured) -> bool:
    """Whether the median reaches the row's target, or there is none."""
    if row.target is None:
        return True
    return row.target.is_reached(measured.ratio(row).median, measured.figure(row.ours).median)


def table(group: Group, measured: Measured) -> Iterator[str]:
    """Yield the lines of a group's table."""
    yield "| work | survives | peer | ratio | spread | figure | peer's figure | to reach | |"
    yield "|---|---|---|--:|--:|--:|--:|--:|---|"
    for row in group.rows:
        if not measured.has(row):
            yield f"| {row.work} | {row.survives} | {row.peer_text} | not measured | | | | | |"
            continue
        ratio = measured.ratio(row)
        reached = "" if row.target is None else "yes" if is_reached(row, measured) else "**no**"
        yield (
            f"| {row.work} | {row.survives} | {row.peer_text} | {number(ratio.median)}"
            f" | {number(ratio.low)} to {number(ratio.high)}"
            f" | {written(measured.figure(row.ours).median, row.unit)}"
            f" | {written(measured.figure(row.peer).median, row.unit)}"
            f" | {target_text(row.target, row.unit) if row.target else ''} | {reached} |"
        )


def notes_of(group: Group, measured: Measured, notes: dict[str, str]) -> Iterator[str]:
    """Yield what was written by hand about rows that fall short, and what is missing and why."""
    for row in group.rows:
        if row.key in notes and measured.has(row):
            yield f"* {row.work}, against {row.peer_text}: {notes[row.key].strip()}"
        elif measured.has(row) and not is_reached(row, measured):
            yield f"* {row.work}, against {row.peer_text}: not reached, not explained yet."
    for peer, reason in measured.skipped.items():
        yield f"* {peer} was not measured: {reason}."


def charts(group: Group, measured: Measured) -> Iterator[str]:
    """Draw a group's pictures; yield the lines that show them."""
    rows = {row.key: row for row in group.rows}
    for chart in group.charts:
        if chart.line:
            count = sum(name.startswith(f"{chart.line}/") for name in measured.rounds[0])
            values = [measured.figure(f"{chart.line}/{i}").median for i in range(count)]
            picture = plots.line(chart.title, values, measured.figure(chart.axis).median)
        else:
            shown = [rows[key] for key in chart.keys if measured.has(rows[key])]
            picture = plots.bars(chart.title, [bar(row, measured) for row in shown])
        (IMAGES / chart.file).write_text(picture)
        yield f"![{chart.title}](images/{chart.file})"
        yield ""


def bar(row: Row, measured: Measured) -> plots.Bar:
    """Return a row's bar."""
    ratio = measured.ratio(row)
    bound = row.target.bound if row.target and not row.target.absolute else None
    # Without the marks and brackets of the table.
    peer = re.sub(r"`| \(.*\)", "", row.peer_text)
    label = f"{row.work} ({row.survives}) / {peer}"
    return plots.Bar(label, ratio.median, ratio.low, ratio.high, bound)


def machine_lines(results: dict[str, Measured]) -> Iterator[str]:
    """Yield the table of machine and versions; sections that were taken on another one say so."""
    newest = max(results.values(), key=lambda each: each.date)
    yield "| | |"
    yield "|---|---|"
    for name, value in newest.machine.items():
        yield f"| {name} | {value} |"
    yield f"| seed of random choices | {SEED} + number of the round |"
    yield f"| taken | {newest.date} |"


def section(group: Group, measured: Measured, newest: Measured, notes: dict[str, str]) -> list[str]:
    """Return the section of a group."""
    lines = [f"## {group.title}", "", group.text, "", f"{len(measured.rounds)} rounds."]
    if measured.machine != newest.machine:
        parts = (f"{name} {value}" for name, value in measured.machine.items())
        lines[-1] += f" Taken {measured.date} on: {', '.join(parts)}."
    lines += ["", *table(group, measured), ""]
    told = list(notes_of(group, measured, notes))
    if told:
        lines += [*told, ""]
    return [*lines, *charts(group, measured)]


def summary(results: dict[str, Measured]) -> str:
    """Return how many targets are reached."""
    rows = [
        is_reached(row, results[name])
        for name, group in GROUPS.items()
        for row in group.rows
        if name in results and row.target is not None and results[name].has(row)
    ]
    return f"{sum(rows)} of {len(rows)} targets are reached."


def write(results: dict[str, Measured]) -> str:
    """Write page and pictures; return the page."""
    notes = load_notes()
    newest = max(results.values(), key=lambda each: each.date)
    lines = [INTRODUCTION, summary(results), "", *machine_lines(results), ""]
    for name, group in GROUPS.items():
        if name in results and group is not levels.GROUP:
            lines += section(group, results[name], newest, notes)
    page = "\n".join(lines).rstrip() + "\n"
    PAGE.write_text(page)
    if levels.GROUP.name in results:
        write_levels(results[levels.GROUP.name])
    return page


def write_levels(measured: Measured) -> None:
    """Write the table of levels into its place."""
    text = "\n".join(
        [
            *levels.table(measured.rounds),
            "",
            f"Median of {len(measured.rounds)} interleaved rounds; ratio to `MemoryBackend` in the"
            " same round; written by `make bench`.",
            "Machine and versions: [benchmarks.md](benchmarks.md).",
            "",
        ]
    )
    page, marks = MARKED.subn(lambda match: match[1] + text + match[2], DURABILITY.read_text())
    assert marks == 1, f"{DURABILITY} has no marked place for the table"
    DURABILITY.write_text(page)


def load_notes() -> dict[str, str]:
    """Return what was written by hand, by the keys of rows."""
    with NOTES.open("rb") as file:
        notes: dict[str, str] = tomllib.load(file)
    known = {row.key for group in GROUPS.values() for row in group.rows}
    unknown = notes.keys() - known
    if unknown:
        raise SystemExit(f"bench: {NOTES} has notes on rows that do not exist: {sorted(unknown)}")
    return notes
