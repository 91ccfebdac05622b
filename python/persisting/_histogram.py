"""Histograms as the core hands them over: upper bounds, the last infinite, counts up to each."""

import math
from collections.abc import Sequence

Buckets = Sequence[tuple[float, int]]


def observed_since(later: Buckets, earlier: Buckets) -> Buckets:
    """Return what was counted in between; all of `later` where the writer began anew."""
    if [bound for bound, _ in later] != [bound for bound, _ in earlier]:
        return later
    counts = [count - old for (_, count), (_, old) in zip(later, earlier, strict=True)]
    if any(count < 0 for count in counts):
        return later
    return [(bound, count) for (bound, _), count in zip(later, counts, strict=True)]


def quantile(buckets: Buckets, q: float) -> float | None:
    """Return the `q`-quantile of a histogram, interpolated within its bucket as Prometheus does.

    None where nothing was observed. What lies beyond the last finite bound counts as that bound.
    """
    count = buckets[-1][1] if buckets else 0
    if count <= 0:
        return None
    rank = q * count
    lower, below = 0.0, 0
    for bound, reached in buckets:
        if reached >= rank and reached > below:
            if math.isinf(bound):
                return lower
            return lower + (bound - lower) * (rank - below) / (reached - below)
        lower, below = bound, reached
    return lower
