"""What a benchmark is: groups of rows, measured in interleaved rounds.

A group measures itself and its peers once a round, in a process of its own, and returns figures
by name. Its rows say which figure is set against which, what is to be reached, and what an
acknowledged record withstands meanwhile. Everything on the page is made from these, in page.py.
"""

import enum
import random
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Record = dict[str, Any]
Figures = dict[str, float]

SEED = 20_240_917

#: What an acknowledged record withstands.
NOTHING = "nothing"
KILL = "kill -9"
POWER = "power cut"
READ = "-"  # nothing is put


class MissingPeerError(Exception):
    """A peer that is not installed here; the message says what is missing."""


class Unit(enum.Enum):
    """Of a figure; how it is written."""

    RATE = "records/s"
    BYTE_RATE = "bytes/s"
    SECONDS = "s"
    BYTES = "bytes"
    COUNT = ""
    SHARE = "of one core"


@dataclass(frozen=True)
class Target:
    """What is to be reached: by the ratio to the peer, or by the figure itself."""

    bound: float
    at_most: bool = False
    absolute: bool = False

    def is_reached(self, ratio: float | None, value: float) -> bool:
        measured = value if self.absolute else ratio
        assert measured is not None, "a target of a ratio needs a peer"
        return measured <= self.bound if self.at_most else measured >= self.bound


def at_least(ratio: float) -> Target:
    """Return the target that our figure is at least that many times the peer's."""
    return Target(ratio)


def at_most(ratio: float) -> Target:
    """Return the target that our figure is at most that many times the peer's."""
    return Target(ratio, at_most=True)


def no_more_than(value: float) -> Target:
    """Return the target that our figure itself is at most that: seconds, bytes, a count."""
    return Target(value, at_most=True, absolute=True)


def no_less_than(value: float) -> Target:
    """Return the target that our figure itself is at least that."""
    return Target(value, absolute=True)


@dataclass(frozen=True)
class Row:
    """One figure of ours against one of a peer."""

    work: str
    survives: str
    ours: str  # names of figures
    peer: str
    peer_text: str
    unit: Unit = Unit.RATE
    target: Target | None = None

    @property
    def key(self) -> str:
        """Names the row in notes.toml."""
        return f"{self.ours}/{self.peer}"


@dataclass(frozen=True)
class Chart:
    """A picture of a group: our rows' ratios as bars, or figures numbered from 0 on as lines."""

    file: str
    title: str
    keys: tuple[str, ...] = ()  # bars of these rows
    line: str = ""  # a line through the figures "<line>/0", "<line>/1", …
    axis: str = ""  # what they are numbered by


@dataclass
class Round:
    """One round of one group: where it measures, how much of it, and what it found."""

    folder: Path
    smoke: bool
    number: int
    flatness_records: int
    figures: Figures = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    _folders: int = 0

    def count(self, full: int, smoke: int) -> int:
        """Return how many to do."""
        return smoke if self.smoke else full

    def new_folder(self) -> Path:
        """Return a new folder."""
        self._folders += 1
        folder = self.folder / f"{self._folders}"
        folder.mkdir()
        return folder

    def random(self) -> random.Random:
        """Return this round's source of random choices."""
        return random.Random(SEED + self.number)

    @contextmanager
    def peer(self, name: str) -> Iterator[None]:
        """Leave out what a peer that is not installed would measure, and say so on the page."""
        try:
            yield
        except MissingPeerError as reason:
            self.skipped[name] = str(reason)


@dataclass(frozen=True)
class Group:
    """Figures that are measured together, and a section of the page."""

    name: str
    title: str
    text: str  # how it is measured
    rows: Sequence[Row]
    measure: Callable[[Round], None]
    charts: Sequence[Chart] = ()


def rate(count: int, work: Callable[[], object]) -> float:
    """Return how many a second."""
    return count / seconds(work)


def seconds(work: Callable[[], object]) -> float:
    """Return how long it takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def quantile(values: Sequence[float], share: float) -> float:
    """Return the value below which that share of them lies."""
    ordered = sorted(values)
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)]


@dataclass(frozen=True)
class Spread:
    """The median of the rounds, the lowest and the highest."""

    median: float
    low: float
    high: float


def spread(values: Sequence[float]) -> Spread:
    """Return what the rounds came to."""
    return Spread(statistics.median(values), min(values), max(values))
