"""The Lance engine gives the same rows in order whether it takes them by number or scans."""

import gc
import weakref

import lance
import pyarrow as pa
import pytest

from persisting import _pylance_engine as engine
from persisting._arrow import table_of
from test_lance_columns import COLUMNS, column

FRAGMENT = 7
ROWS = 3 * FRAGMENT - 2


@pytest.fixture(name="dataset")
def make_dataset(tmp_path):
    """Every type of column, nulls and values, in three fragments."""
    fields = {pa.field("number", pa.uint64()): None} | COLUMNS
    arrays = [
        column(field, range(ROWS) if value is None else [(None, value)[i % 2] for i in range(ROWS)])
        for field, value in fields.items()
    ]
    table = pa.Table.from_arrays(arrays, schema=pa.schema(list(fields)))
    for first in range(0, ROWS, FRAGMENT):
        mode = "append" if first else "create"
        lance.write_dataset(table.slice(first, FRAGMENT), tmp_path / "rows", mode=mode)
    return lance.dataset(tmp_path / "rows")


def scan(dataset, offset, limit, columns=None):
    return table_of(engine.scan(dataset, offset, limit, columns))


def test_every_range_is_the_same_both_ways(dataset, monkeypatch):
    ranges = [(first, count) for first in range(ROWS + 2) for count in range(1, ROWS + 3 - first)]
    taken = [scan(dataset, *each) for each in ranges]
    monkeypatch.setattr(engine, "_MOST_TAKEN", 0)
    for (first, count), rows in zip(ranges, taken, strict=True):
        scanned = scan(dataset, first, count)
        assert rows.schema.equals(scanned.schema, check_metadata=True)
        assert rows == scanned
        assert rows["number"].to_pylist() == list(range(first, min(first + count, ROWS)))


def test_chosen_columns(dataset):
    rows = scan(dataset, 3, 2, ["price", "number"])
    assert rows.column_names == ["price", "number"]
    assert rows["number"].to_pylist() == [3, 4]


def test_rows_that_another_program_deleted(dataset):
    dataset.delete("number = 1 OR number = 9")
    left = [number for number in range(ROWS) if number not in {1, 9}]
    for first in range(len(left)):
        for count in (1, 2, FRAGMENT):
            numbers = scan(dataset, first, count)["number"].to_pylist()
            assert numbers == left[first : first + count]


def test_a_dataset_that_was_read_is_let_go(dataset):
    other = lance.dataset(dataset.uri)
    scan(other, 0, 1)
    gone = weakref.ref(other)
    del other
    gc.collect()
    assert gone() is None
