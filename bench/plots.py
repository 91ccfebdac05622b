"""The pictures of the page, as small SVG files that are readable on light and on dark ground."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

STYLE = """<style>
text { font: 12px system-ui, sans-serif; fill: #333 }
.title { font-weight: 600; font-size: 14px }
.soft { fill: #777 }
.bar { fill: #3572b0 }
.line { fill: none; stroke: #3572b0; stroke-width: 2 }
.spread { stroke: #111; stroke-width: 1.5 }
.one, .grid { stroke: #999; stroke-width: 1 }
.grid { opacity: .4 }
.target { stroke: #c0392b; stroke-width: 2 }
@media (prefers-color-scheme: dark) {
  text { fill: #ddd } .soft { fill: #aaa } .bar { fill: #5b9bd9 } .line { stroke: #5b9bd9 }
  .spread { stroke: #fff } .target { stroke: #ff7b6b }
}
</style>"""

WIDTH = 860
LABELS = 390  # width of the labels left of the bars
VALUES = 70  # of the figures right of them
ROW = 26
TOP = 34


@dataclass(frozen=True)
class Bar:
    """A ratio: its median, lowest and highest, and what is to be reached."""

    label: str
    median: float
    low: float
    high: float
    target: float | None


def number(value: float) -> str:
    """Return three significant digits of a positive number."""
    if value >= 100 or value == round(value):
        return f"{value:,.0f}"
    if value < 0.001:
        return f"{value:.1e}"
    return f"{value:.{2 - math.floor(math.log10(value))}f}"


def document(height: float, title: str, parts: Sequence[str]) -> str:
    """Return the file."""
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:g}"'
            f' role="img" aria-label="{escape(title)}">',
            STYLE,
            f'<text class="title" x="8" y="20">{escape(title)}</text>',
            *parts,
            "</svg>",
            "",
        ]
    )


def bars(title: str, rows: Sequence[Bar]) -> str:
    """Return a picture of ratios on a logarithmic axis; targets and spreads are marked."""
    values = [value for row in rows for value in (row.low, row.high, row.target or row.median)]
    low = 10 ** math.floor(math.log10(min(*values, 1)))
    high = 10 ** math.ceil(math.log10(max(*values, 1.01)))
    span = WIDTH - LABELS - VALUES

    def x(value: float) -> float:
        return LABELS + span * math.log(value / low) / math.log(high / low)

    bottom = TOP + ROW * len(rows)
    parts = []
    for power in range(round(math.log10(low)), round(math.log10(high)) + 1):
        at = x(10**power)
        kind = "one" if power == 0 else "grid"
        parts.append(f'<line class="{kind}" x1="{at:.1f}" x2="{at:.1f}" y1="{TOP}" y2="{bottom}"/>')
        parts.append(
            f'<text class="soft" x="{at:.1f}" y="{bottom + 16}" text-anchor="middle">'
            f"{10.0**power:g} ×</text>"
        )
    for index, row in enumerate(rows):
        y = TOP + ROW * index
        left, right = sorted((x(1), x(row.median)))
        middle = y + ROW / 2
        parts += [
            f'<text x="{LABELS - 8}" y="{middle + 4:.1f}" text-anchor="end">{escape(row.label)}'
            "</text>",
            f'<rect class="bar" x="{left:.1f}" y="{y + 5}" width="{right - left:.1f}"'
            f' height="{ROW - 10}"/>',
            f'<line class="spread" x1="{x(row.low):.1f}" x2="{x(row.high):.1f}" y1="{middle:.1f}"'
            f' y2="{middle:.1f}"/>',
            f'<text x="{WIDTH - VALUES + 8}" y="{middle + 4:.1f}">{number(row.median)} ×</text>',
        ]
        if row.target is not None:
            at = x(row.target)
            parts.append(
                f'<line class="target" x1="{at:.1f}" x2="{at:.1f}" y1="{y + 2}"'
                f' y2="{y + ROW - 2}"/>'
            )
    parts.append(
        f'<text class="soft" x="8" y="{bottom + 34}">bar: median; thin line: lowest to highest'
        " round; upright mark: to be reached</text>"
    )
    return document(bottom + 44, title, parts)


def tick_step(least: float) -> float:
    """Return the least of 1, 2, 5, 10, 20, … that is not below `least`."""
    power: float = 10 ** math.floor(math.log10(least))
    return next(power * factor for factor in (1, 2, 5, 10) if power * factor >= least)


def line(title: str, values: Sequence[float], last: float) -> str:
    """Return a picture of values along an axis from 0 to `last`; the other axis begins at 0."""
    left, right, bottom = 84, WIDTH - 40, 240
    step = tick_step(max(values) / 5)
    top_value = step * math.ceil(max(values) / step)

    def y(value: float) -> float:
        return bottom - (bottom - TOP) * value / top_value

    parts = []
    for tick in range(round(top_value / step) + 1):
        at = y(step * tick)
        parts += [
            f'<line class="grid" x1="{left}" x2="{right}" y1="{at:.1f}" y2="{at:.1f}"/>',
            f'<text class="soft" x="{left - 6}" y="{at + 4:.1f}" text-anchor="end">'
            f"{step * tick:,.0f}</text>",
        ]
    for quarter in range(5):
        at = left + (right - left) * quarter / 4
        parts.append(
            f'<text class="soft" x="{at:.1f}" y="{bottom + 18}" text-anchor="middle">'
            f"{last * quarter / 4:,.0f}</text>"
        )
    # A value stands in the middle of the part of the axis that it was measured on.
    width = (right - left) / len(values)
    points = " ".join(
        f"{left + width * (i + 0.5):.1f},{y(value):.1f}" for i, value in enumerate(values)
    )
    parts.append(f'<polyline class="line" points="{points}"/>')
    return document(bottom + 30, title, parts)
