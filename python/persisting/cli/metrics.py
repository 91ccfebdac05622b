"""Metrics of buckets, of any process: families of several buckets in one, rates, percentiles."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

from persisting._histogram import Buckets, observed_since, quantile

if TYPE_CHECKING:
    from persisting.metrics._families import Family
    from persisting.metrics._families import Sample as FamilySample

PREFIX = "persisting_"


def read_bucket(folder: str) -> list[Family] | None:
    """Return a bucket's metrics; None where no process has it open."""
    from persisting._core import read_metrics

    return cast("list[Family] | None", read_metrics(folder))


def read_families(path: Path) -> list[Family]:
    """Return the metrics of every bucket below a path that a process has open."""
    from persisting import find_buckets

    return merged(read_bucket(each.folder) or [] for each in find_buckets(str(path)))


def merged(buckets: Iterable[list[Family]]) -> list[Family]:
    """Return families of one bucket each as families of all."""
    found: dict[str, Family] = {}
    for families in buckets:
        for family in families:
            mine = found.setdefault(family["name"], {**family, "samples": []})["samples"]
            for sample in family["samples"]:
                same = next((each for each in mine if each["labels"] == sample["labels"]), None)
                if same is None:
                    mine.append({**sample})
                else:
                    _add_up(same, sample)
    return list(found.values())


def _add_up(total: FamilySample, more: FamilySample) -> None:
    """Add a sample to another with the same labels, as the core does within a process."""
    if "value" in total:
        total["value"] += more["value"]
        return
    pairs = zip(total["buckets"], more["buckets"], strict=True)
    total["buckets"] = [(bound, count + added) for (bound, count), (_, added) in pairs]
    total["sum"] += more["sum"]
    total["count"] += more["count"]


@dataclass(frozen=True)
class Sample:
    """The metrics of one bucket at one time, by name without the prefix."""

    values: dict[str, float]
    histograms: dict[str, Buckets]

    @classmethod
    def of(cls, families: list[Family]) -> Sample:
        """Return what `read_metrics` of one bucket says."""
        values: dict[str, float] = {}
        histograms: dict[str, Buckets] = {}
        for family in families:
            name = family["name"].removeprefix(PREFIX)
            for sample in family["samples"]:
                if family["kind"] == "histogram":
                    pairs = tuple((float(bound), int(n)) for bound, n in sample["buckets"])
                    histograms[name] = pairs
                else:
                    values[name] = sample["value"]
        return cls(values, histograms)

    def rate(self, name: str, before: Sample | None, seconds: float) -> float | None:
        """Return by how much a counter grew a second; None where that cannot be told."""
        if before is None or name not in self.values or name not in before.values or seconds <= 0:
            return None
        grown = self.values[name] - before.values[name]
        # Less than before: the bucket was opened anew in between, and counts from 0.
        return (grown if grown >= 0 else self.values[name]) / seconds

    def percentile(self, name: str, part: float, before: Sample | None) -> float | None:
        """Return a percentile of what a histogram counted since `before`."""
        mine = self.histograms.get(name)
        if mine is None:
            return None
        earlier = before.histograms.get(name, ()) if before else ()
        return quantile(observed_since(mine, earlier), part)
