"""What two looks at a counter or a histogram say about the time between them.

Elsewhere: the families themselves, as `persisting._core.read_metrics` gives them.
"""

from __future__ import annotations

from typing import Any

from persisting._histogram import Buckets, observed_since, quantile

#: A family by its name without the prefix `persisting_`; the value of its one sample: a number, or
#: of a histogram a dict of "buckets", "sum" and "count".
Metrics = dict[str, Any]


def flat(families: list[dict[str, Any]]) -> Metrics:
    """Return the families of one bucket by their short names."""
    found: Metrics = {}
    for family in families:
        for sample in family["samples"]:
            name = family["name"].removeprefix("persisting_")
            found[name] = sample if family["kind"] == "histogram" else sample["value"]
    return found


def table(families: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return a line for each family: its value, or of a histogram what it came to so far."""
    lines = []
    for family in families:
        for sample in family["samples"]:
            line = {"name": family["name"], "help": family["help"], "kind": family["kind"]}
            if family["kind"] == "histogram":
                count = sample["count"]
                line["count"] = count
                line["mean"] = sample["sum"] / count if count else None
                line["p50"] = quantile(sample["buckets"], 0.5)
                line["p99"] = quantile(sample["buckets"], 0.99)
            else:
                line["value"] = sample["value"]
            lines.append(line)
    return lines


def increase(now: float, before: float | None) -> float | None:
    """Return by how much a counter rose; None where there is no earlier value or it began anew."""
    return None if before is None or now < before else now - before


def buckets_since(now: Metrics, before: Metrics | None, name: str) -> Buckets:
    """Return what a histogram counted since `before`; empty where it is not there."""
    return observed_since(
        now.get(name, {}).get("buckets", ()), (before or {}).get(name, {}).get("buckets", ())
    )


def mean_since(now: Metrics, before: Metrics, name: str) -> float | None:
    """Return the mean of what a histogram counted since `before`; None where that is nothing."""
    later, earlier = now.get(name), before.get(name)
    if later is None:
        return None
    if earlier is None or later["count"] < earlier["count"]:  # the writer began anew
        earlier = {"count": 0, "sum": 0.0}
    count = later["count"] - earlier["count"]
    return (later["sum"] - earlier["sum"]) / count if count else None
