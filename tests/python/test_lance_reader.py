"""The official Lance reader opens every table and finds every value."""

import datetime as dt
import math

import lance
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from helpers import check_table, same_records, table_rows
from persisting.queue import LanceBackend, PersistingBackend, write_queue

UTC = dt.UTC
DURABLE = pytest.mark.parametrize("backend", [LanceBackend, PersistingBackend])

VALUES = {
    "integer": [0, -1, 2**63 - 1, -(2**63), None],
    "real": [0.0, -0.0, 1.5, math.inf, -math.inf, math.nan, 5e-324, 1.7976931348623157e308],
    "flag": [True, False, None],
    "text": ["", "plain", "日本語 🛫", "line\nbreak", "\x00", "x" * 10_000],
    "bytes": [b"", b"\x00\xff", None],
    "instant": [
        dt.datetime(2013, 1, 1, 5, 17, tzinfo=UTC),
        dt.datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
        None,
    ],
    "wall": [dt.datetime(2013, 1, 1, 5, 17, 0, 1), None],
    "day": [dt.date(2013, 1, 1), dt.date(1970, 1, 1), None],
    "integers": [[], [1, 2, 3], [None], None],
    "texts": [["a", None, ""], [], None],
    "nested": [{"a": 1, "b": [{"c": "x"}]}, {"a": None, "b": []}, None],
    "vector": [[0.25, -1.5, 3.0]] * 3,
}


def records_of_every_type():
    length = max(map(len, VALUES.values()))
    return [
        {"id": i} | {name: values[i % len(values)] for name, values in VALUES.items()}
        for i in range(length)
    ]


@DURABLE
async def test_values_of_every_type(storage, backend):
    records = records_of_every_type()
    folder = storage / "bucket_0"
    async with backend(0, folder) as bucket:
        await bucket.put_batch(records)
        assert same_records(await bucket.get(), records)
        await bucket.flush()
        assert same_records(await bucket.get(), records)
    assert check_table(folder, records) == len(records)


@DURABLE
async def test_tables_that_grow_by_fields_and_flushes(storage, backend):
    folder = storage / "bucket_0"
    records = []
    async with backend(0, folder) as bucket:
        for turn in range(6):
            more = [{"id": len(records) + i, f"field{turn}": i * 1.5} for i in range(50)]
            await bucket.put_batch(more)
            records += more
            await bucket.flush()
    assert check_table(folder, records) == len(records)


@DURABLE
async def test_the_table_of_an_open_bucket(storage, backend):
    folder = storage / "bucket_0"
    async with backend(0, folder) as bucket:
        await bucket.put_batch([{"id": i} for i in range(10)])
        await bucket.flush()
        await bucket.put({"id": 10})
        assert check_table(folder, await bucket.get()) >= 10


async def test_the_system_columns(storage):
    before = dt.datetime.now(UTC)
    async with PersistingBackend(0, storage / "bucket_0") as bucket:
        await bucket.put_batch([{"id": i} for i in range(3)])
        assert all(record.keys() == {"id"} for record in await bucket.get())
    after = dt.datetime.now(UTC)
    rows = table_rows(storage / "bucket_0")
    assert [row["_offset"] for row in rows] == [0, 1, 2]
    slack = dt.timedelta(seconds=1)
    assert all(before - slack <= row["_ts"] <= after + slack for row in rows)
    found = lance.dataset(str(storage / "bucket_0" / "data.lance")).to_table(filter="_offset = 1")
    assert found.to_pylist()[0]["id"] == 1


async def test_a_queues_tables(storage):
    records = [{"id": i, "real": i / 3, "text": str(i)} for i in range(1000)]
    async with await write_queue(None, "t", storage_path=storage) as writer:
        for start in range(0, 1000, 100):
            await writer.put(records[start : start + 100])
    rows = [row for bucket_id in range(4) for row in table_rows(storage / f"bucket_{bucket_id}")]
    rows.sort(key=lambda row: row["id"])
    assert [{name: row[name] for name in records[0]} for row in rows] == records


scalars = {
    "integer": st.integers(-(2**63), 2**63 - 1),
    "real": st.floats(),
    "flag": st.booleans(),
    "text": st.text(),
    "bytes": st.binary(),
    "list": st.lists(st.integers(-(2**31), 2**31), max_size=4),
}


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    batches=st.lists(
        st.lists(
            st.fixed_dictionaries(
                {}, optional={name: st.none() | values for name, values in scalars.items()}
            ),
            min_size=1,
            max_size=6,
        ),
        min_size=1,
        max_size=4,
    )
)
def test_any_records(tmp_path_factory, batches):
    folder = tmp_path_factory.mktemp("any") / "bucket_0"
    records = []
    with PersistingBackend(0, folder).sync() as bucket:
        for batch in batches:
            bucket.put_batch(batch)
            records += batch
            if len(batch) % 2:
                bucket.flush()
        assert same_records(bucket.get(), records)
    if any(records):
        assert check_table(folder, records) == len(records)
