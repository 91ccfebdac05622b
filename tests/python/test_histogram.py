"""Quantiles of histograms, and what came between two looks at one."""

import pytest

from persisting._histogram import observed_since, quantile

INF = float("inf")


@pytest.mark.parametrize(("buckets", "q", "expected"), [
    ([], 0.5, None),
    ([(1, 0), (INF, 0)], 0.5, None),
    ([(1, 10), (2, 10), (INF, 10)], 0.5, 0.5),
    ([(1, 0), (2, 10), (INF, 10)], 0.5, 1.5),
    ([(1, 5), (3, 10), (INF, 10)], 0.5, 1),
    ([(1, 50), (2, 100), (INF, 100)], 0.99, 1.98),
    ([(1, 0), (2, 0), (INF, 10)], 0.5, 2),
])  # fmt: skip
def test_quantiles(buckets, q, expected):
    assert quantile(buckets, q) == (None if expected is None else pytest.approx(expected))


def test_what_a_histogram_counted_between_two_looks():
    def counts(*reached):
        return list(zip((1, 2, INF), reached, strict=True))

    assert observed_since(counts(5, 8, 9), counts(4, 6, 6)) == counts(1, 2, 3)
    assert observed_since(counts(1, 1, 2), counts(4, 6, 6)) == counts(1, 1, 2)  # opened anew
    assert observed_since(counts(1, 1, 2), ()) == counts(1, 1, 2)
