"""What was measured, in a file: pages and pictures are made from it, and a part can be renewed."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from framework import Figures, Row, Spread, spread

PATH = Path(__file__).resolve().parent / "results.json"
DIGITS = 6


@dataclass
class Measured:
    """One group's rounds, and what they were taken on."""

    rounds: list[Figures] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)  # peer: why
    machine: dict[str, str] = field(default_factory=dict)
    date: str = ""

    def has(self, row: Row) -> bool:
        """Whether every round has the row's figures."""
        return bool(self.rounds) and all(
            row.ours in each and row.peer in each for each in self.rounds
        )

    def ratio(self, row: Row) -> Spread:
        """Return our figure over the peer's, of each round."""
        return spread([each[row.ours] / each[row.peer] for each in self.rounds])

    def figure(self, name: str) -> Spread:
        """Return a figure."""
        return spread([each[name] for each in self.rounds])


def load() -> dict[str, Measured]:
    """Return what is in the file, by group."""
    if not PATH.exists():
        return {}
    stored: dict[str, Any] = json.loads(PATH.read_text())
    return {name: Measured(**each) for name, each in stored.items()}


def save(results: dict[str, Measured]) -> None:
    """Write the file anew; figures are rounded to six digits."""
    stored = {name: asdict(each) for name, each in sorted(results.items())}
    for each in stored.values():
        each["rounds"] = [
            {name: float(f"{value:.{DIGITS}g}") for name, value in figures.items()}
            for figures in each["rounds"]
        ]
    PATH.write_text(json.dumps(stored, indent=1) + "\n")
