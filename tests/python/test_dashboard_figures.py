"""Figures that the dashboard makes of what buckets give: rates, quantiles, short texts."""

import pytest

from persisting.dashboard._shorten import LONGEST, MOST_FIELDS, shorten, shorten_records

INF = float("inf")


@pytest.mark.parametrize("value", [
    "x" * 10**6, b"x" * 10**6, list(range(10**5)), {"a": "x" * 999}, [[[[[1]]]]], 10**200,
    "line\nline", None, float("nan"),
])  # fmt: skip
def test_values_are_shortened_to_a_line(value):
    text = shorten(value)
    assert 0 < len(text) <= LONGEST
    assert "\n" not in text


def test_records_with_very_many_fields_are_cut():
    (record,) = shorten_records([{f"field {i}": i for i in range(1000)}])
    assert len(record) == MOST_FIELDS
