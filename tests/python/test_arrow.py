"""Arrow data in and out: tables, data frames and streams of any library."""

import asyncio
import datetime as dt
import sys
import uuid
from decimal import Decimal

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from evolution_table import SAMPLES
from helpers import check_pylance, exactly, ids, killed, opened, types_of, values
from persisting.queue import (
    LanceBackend,
    MemoryBackend,
    PersistingBackend,
    SchemaError,
    read_queue,
    write_queue,
)

BACKENDS = pytest.mark.parametrize("backend", [MemoryBackend, LanceBackend, PersistingBackend])
NOON = dt.datetime(2024, 1, 2, 12, 0, 0)
UUID = uuid.UUID(int=7)


@pytest.fixture
def folder(memory_folder):
    """Where a bucket goes."""
    return memory_folder / "bucket_0"


def tensors(count):
    """A column of 2 x 3 tensors."""
    numbers = np.arange(6 * count, dtype=np.float32).reshape(count, 2, 3)
    return pa.FixedShapeTensorArray.from_numpy_ndarray(numbers)


#: Columns that come back as they are.
PLAIN = {
    "bool": pa.array([True, None, False]),
    **{
        str(kind): pa.array([1, None, 0], kind)
        for kind in [
            *(pa.int8(), pa.int16(), pa.int32(), pa.int64()),
            *(pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64()),
            *(pa.float16(), pa.float32(), pa.float64()),
        ]
    },
    "largest": pa.array([2**64 - 1, 0, None], pa.uint64()),
    "string": pa.array(["é", None, ""]),
    "binary": pa.array([b"\0", None, b""]),
    "utc": pa.array([NOON, None, NOON], pa.timestamp("us", "UTC")),
    "wall": pa.array([NOON, None, NOON], pa.timestamp("us")),
    "date": pa.array([NOON.date(), None, NOON.date()]),
    "decimal": pa.array([Decimal("1.25"), None, Decimal(0)], pa.decimal128(38, 2)),
    "uuid": pa.array([UUID.bytes, None, UUID.bytes], pa.uuid()),
    "list": pa.array([[1, None], None, []], pa.list_(pa.int64())),
    "nested": pa.array([[{"a": [["x"]], "b": None}], None, []]),
    "struct": pa.array([{"a": 1, "b": {"c": "x"}}, None, {"a": None, "b": None}]),
    "map": pa.array([[("a", 1), ("b", None)], None, []], pa.map_(pa.string(), pa.int32())),
    "vector": pa.array([[1, 2], None, [3, 4]], pa.list_(pa.float32(), 2)),
    "bool vector": pa.array([[True, False], None, [True, True]], pa.list_(pa.bool_(), 2)),
    "tensor": tensors(3),
    "null": pa.nulls(3),
}

#: Columns that come back as another type of the same values, and that type.
CONVERTED = {
    "large_string": (pa.array(["é", None], pa.large_string()), pa.string()),
    "string_view": (pa.array(["é", None], pa.string_view()), pa.string()),
    "large_binary": (pa.array([b"x", None], pa.large_binary()), pa.binary()),
    "binary_view": (pa.array([b"x", None], pa.binary_view()), pa.binary()),
    "fixed_size_binary": (pa.array([b"abcd", None], pa.binary(4)), pa.binary()),
    "dictionary": (pa.array(["a", "b", None, "a"]).dictionary_encode(), pa.string()),
    "dictionary of ints": (pa.array([5, None, 5]).dictionary_encode(), pa.int64()),
    "dictionary of views": (
        pa.DictionaryArray.from_arrays([1, 0, None], pa.array(["a", "b"], pa.string_view())),
        pa.string(),
    ),
    "run_end": (
        pa.RunEndEncodedArray.from_arrays(pa.array([2, 3], pa.int32()), pa.array(["a", None])),
        pa.string(),
    ),
    "seconds": (pa.array([NOON, None], pa.timestamp("s")), pa.timestamp("us")),
    "milliseconds in Berlin": (
        pa.array([NOON, None], pa.timestamp("ms", "Europe/Berlin")),
        pa.timestamp("us", "UTC"),
    ),
    "nanoseconds": (pa.array([NOON, None], pa.timestamp("ns", "UTC")), pa.timestamp("us", "UTC")),
    "date64": (pa.array([NOON.date(), None], pa.date64()), pa.date32()),
    "decimal32": (pa.array([Decimal("1.5"), None], pa.decimal32(5, 2)), pa.decimal128(38, 2)),
    "decimal256": (pa.array([Decimal("1.5"), None], pa.decimal256(50, 3)), pa.decimal128(38, 3)),
    "hundreds": (pa.array([Decimal(100), None], pa.decimal128(5, -2)), pa.decimal128(38, 0)),
    "large_list": (
        pa.array([["a"], None], pa.large_list(pa.large_string())),
        pa.list_(pa.string()),
    ),
    "list_view": (
        pa.array([[1, 2], None, [], [3]], pa.list_view(pa.int64())),
        pa.list_(pa.int64()),
    ),
    "sliced large_list_view": (
        pa.array([[9], ["a", None], None, ["b"]][1:], pa.large_list_view(pa.string())).slice(1),
        pa.list_(pa.string()),
    ),
    "vector of text": (pa.array([["a", "b"]], pa.list_(pa.string(), 2)), pa.list_(pa.string())),
    "list of times": (
        pa.array([[NOON], None], pa.list_(pa.timestamp("ns"))),
        pa.list_(pa.timestamp("us")),
    ),
    "struct of a dictionary": (
        pa.StructArray.from_arrays([pa.array(["a", None]).dictionary_encode()], names=["x"]),
        pa.struct([("x", pa.string())]),
    ),
    "map of large text": (
        pa.array([[("a", "x")], None], pa.map_(pa.large_string(), pa.large_string())),
        pa.map_(pa.string(), pa.string()),
    ),
    "json": (pa.array(['{"a": 1}', None], pa.json_()), pa.string()),
    "an extension of int32": (
        pa.ExtensionArray.from_storage(
            pa.opaque(pa.int32(), "a", "b"), pa.array([1, None], pa.int32())
        ),
        pa.int32(),
    ),
    "tensor with names": (
        pa.ExtensionArray.from_storage(
            pa.fixed_shape_tensor(pa.int8(), [2, 1], dim_names=["x", "y"]),
            pa.array([[1, 2], None], pa.list_(pa.int8(), 2)),
        ),
        pa.fixed_shape_tensor(pa.int8(), [2, 1]),
    ),
}

REFUSED = {
    "time32": (pa.array([1], pa.time32("s")), TypeError, r"column 'f' is time32\[s\], which no"),
    "time64": (pa.array([1], pa.time64("us")), TypeError, r"column 'f' is time64\[us\]"),
    "duration": (pa.array([1], pa.duration("s")), TypeError, r"column 'f' is duration\[s\]"),
    "interval": (pa.array([pa.MonthDayNano([1, 2, 3])]), TypeError, "column 'f' is month_day_nano"),
    "union": (
        pa.UnionArray.from_sparse(pa.array([0], pa.int8()), [pa.array([1])]),
        TypeError,
        "column 'f' is sparse_union",
    ),
    "map of ints": (
        pa.array([[(1, 1)]], pa.map_(pa.int32(), pa.int32())),
        TypeError,
        "column 'f' is map<int32, int32>",
    ),
    "a map's key twice": (
        pa.array([[("a", 1), ("a", 2)]], pa.map_(pa.string(), pa.int32())),
        ValueError,
        "'f'",
    ),
    "inside a list": (pa.array([[1]], pa.list_(pa.time32("s"))), TypeError, r"'f\[\]' is time32"),
    "inside a struct": (
        pa.StructArray.from_arrays([pa.array([1], pa.duration("s"))], names=["x"]),
        TypeError,
        r"column 'f\.x' is duration",
    ),
    "nanoseconds with a fraction": (
        pa.array([1], pa.timestamp("ns")),
        ValueError,
        r"column 'f' \(timestamp\[ns\]\) cannot be stored as timestamp\[us\]: .*; cast or round",
    ),
    "45 digits": (
        pa.array([Decimal("1" * 45)], pa.decimal256(50, 3)),
        ValueError,
        "column 'f' .decimal256.* does not fit in precision 38",
    ),
    "a null in a vector": (
        pa.array([[1, None]], pa.list_(pa.int8(), 2)),
        ValueError,
        "column 'f' holds an array with a null inside; cast it to a list",
    ),
    "tensor in another order": (
        pa.ExtensionArray.from_storage(
            pa.fixed_shape_tensor(pa.int8(), [2, 1], permutation=[1, 0]),
            pa.array([[1, 2]], pa.list_(pa.int8(), 2)),
        ),
        TypeError,
        "column 'f' is .*; transpose it",
    ),
}


def plain(value):
    """The value as Arrow's to_pylist has it."""
    if isinstance(value, (np.generic, np.ndarray)):
        return value.tolist() if value.ndim < 2 else value.ravel().tolist()
    if isinstance(value, list):
        return [plain(each) for each in value]
    if isinstance(value, dict):
        return {name: plain(each) for name, each in value.items()}
    return value


def same(record_value, arrow_value):
    """Whether get and to_pylist say the same; a map is a list of pairs there."""
    if isinstance(record_value, dict) and isinstance(arrow_value, list):
        return list(record_value.items()) == arrow_value
    return plain(record_value) == plain(arrow_value)


def check_rows(bucket, table, field="f"):
    rows = table.to_pylist()
    records = bucket.get()
    assert len(records) == len(rows)
    for record, row in zip(records, rows, strict=True):
        assert same(record[field], row[field])


@BACKENDS
@pytest.mark.parametrize("name", PLAIN)
def test_columns_that_come_back_as_they_are(folder, backend, name):
    table = pa.table({"id": [0, 1, 2], "f": PLAIN[name]})
    with opened(folder, backend) as bucket:
        bucket.put_batch(table)
        for _ in range(2):
            found = bucket.get_arrow()
            assert found.schema.types == table.schema.types
            assert found.equals(table)
            check_rows(bucket, table)
            bucket.flush()
        if backend is MemoryBackend:
            return
        check_pylance(folder, bucket)
    with opened(folder, backend) as bucket:
        assert bucket.get_arrow().equals(table)


@BACKENDS
@pytest.mark.parametrize("name", CONVERTED)
def test_columns_that_come_back_in_the_plain_type(folder, backend, name):
    column, kind = CONVERTED[name]
    table = pa.table({"f": column})
    with opened(folder, backend) as bucket:
        bucket.put_batch(table)
        for _ in range(2):
            found = bucket.get_arrow()
            assert found.schema.types == [kind]
            found.validate(full=True)
            expected = [
                each.date() if isinstance(each, dt.datetime) and kind == pa.date32() else each
                for each in column.to_pylist()
            ]
            assert found["f"].to_pylist() == expected
            check_rows(bucket, found)
            bucket.flush()


@BACKENDS
@pytest.mark.parametrize("name", REFUSED)
def test_columns_that_are_refused(folder, backend, name):
    column, kind, message = REFUSED[name]
    with opened(folder, backend) as bucket:
        bucket.put({"id": 0})
        with pytest.raises(kind, match=message):
            bucket.put_batch(pa.table({"id": [1], "f": column}))
        assert bucket.get() == [{"id": 0}]


def test_data_that_are_no_table():
    with MemoryBackend(0).sync() as bucket:
        for data in (pa.array([1]), pl.Series([1]), pa.chunked_array([[1]])):
            with pytest.raises(TypeError, match="offers Arrow data that are no table"):
                bucket.put_batch(data)
        for data in (pl.DataFrame({"a": [1]}).lazy(), "text", 3, {"a": 1}):
            with pytest.raises(TypeError, match="must be a list of dicts or Arrow data, not"):
                bucket.put_batch(data)
        with pytest.raises(ValueError, match="column 'a' is there twice"):
            bucket.put_batch(pa.Table.from_arrays([pa.array([1])] * 2, names=["a", "a"]))
        for name in ("_ts", "_offset", "a.b", ""):
            with pytest.raises(ValueError, match="name"):
                bucket.put_batch(pa.table({name: [1]}))
        assert bucket.schema() == []


TABLE = pa.table(
    {
        "id": pa.array(range(10), pa.int64()),
        "x": pa.array([i / 3 for i in range(10)]),
        "s": pa.array([str(i) if i % 3 else None for i in range(10)]),
        "l": pa.array([list(range(i)) for i in range(10)], pa.list_(pa.int64())),
    }
)

SOURCES = {
    "table": lambda: TABLE,
    "record batch": lambda: TABLE.to_batches()[0],
    "reader": TABLE.to_reader,
    "struct array": lambda: TABLE.to_struct_array().combine_chunks(),
    "chunked": lambda: pa.concat_tables([TABLE.slice(0, 3), TABLE.slice(3, 0), TABLE.slice(3)]),
    "sliced": lambda: pa.concat_tables([TABLE, TABLE]).combine_chunks().slice(10, 10),
    "polars": lambda: pl.from_arrow(TABLE),
    "pandas": TABLE.to_pandas,
    "duckdb": lambda: duckdb.sql("select * from TABLE_OF_TEST"),
    "capsule": lambda: Capsule(TABLE),
}


class Capsule:
    """Nothing but the interface."""

    def __init__(self, table):
        self.__arrow_c_stream__ = table.__arrow_c_stream__


@BACKENDS
@pytest.mark.parametrize("source", SOURCES)
def test_sources(folder, backend, source):
    duckdb.register("TABLE_OF_TEST", TABLE)
    with opened(folder, backend) as bucket:
        bucket.put_batch(SOURCES[source]())
        bucket.put_batch(SOURCES[source]())
        twice = pa.concat_tables([TABLE, TABLE])
        for _ in range(2):
            assert bucket.get_arrow().equals(twice)
            assert bucket.get() == twice.to_pylist()
            assert bucket.get_arrow(5, 8).equals(twice.slice(8, 5))
            assert bucket.get(5, 8) == twice.slice(8, 5).to_pylist()
            bucket.flush()
        assert pl.from_arrow(bucket.get_arrow()).equals(pl.from_arrow(twice))
        duckdb.register("FOUND", bucket.get_arrow())
        assert duckdb.sql("select sum(id) from FOUND").fetchall() == [(90,)]


def test_nanoarrow(folder):
    nanoarrow = pytest.importorskip("nanoarrow")
    with opened(folder) as bucket:
        bucket.put_batch(nanoarrow.ArrayStream(TABLE))
        bucket.put_batch(nanoarrow.Array(TABLE.to_batches()[0]))
        assert bucket.get_arrow().equals(pa.concat_tables([TABLE, TABLE]))


def test_a_data_frame_of_polars_types(folder):
    frame = pl.DataFrame(
        {
            "category": pl.Series(["a", "b", "a"], dtype=pl.Categorical),
            "enum": pl.Series(["x", None, "x"], dtype=pl.Enum(["x", "y"])),
            "date": [NOON.date(), None, NOON.date()],
            "time": [NOON, None, NOON],
            "list": [[1], None, []],
            "struct": [{"a": 1}, {"a": None}, {"a": 3}],
            "array": pl.Series([[1.0, 2.0]] * 3, dtype=pl.Array(pl.Float32, 2)),
            "decimal": [Decimal("1.5"), None, Decimal("2.5")],
        }
    )
    with opened(folder) as bucket:
        bucket.put_batch(frame)
        bucket.flush()
        found = pl.from_arrow(bucket.get_arrow())
        expected = frame.with_columns(
            pl.col("category", "enum").cast(pl.String), pl.col("decimal").cast(pl.Decimal(38, 1))
        )
        assert found.equals(expected)
        with pytest.raises(TypeError, match="column 'time' is time64"):
            bucket.put_batch(pl.DataFrame({"time": [dt.time(1)]}))


def test_a_data_frame_of_pandas_types(folder):
    frame = pd.DataFrame(
        {
            "int": [1, 2],
            "float": [0.5, None],
            "text": ["x", None],
            "time": pd.to_datetime(["2024-01-02", None]),
            "category": pd.Categorical(["a", "b"]),
        }
    )
    with opened(folder) as bucket:
        bucket.put_batch(frame)
        bucket.put_batch(frame.set_index("text"))  # an index is a column
        assert values(bucket, "int") == [1, 2, 1, 2]
        assert values(bucket, "float") == [0.5, None] * 2
        assert values(bucket, "text") == ["x", None] * 2
        assert values(bucket, "time") == [dt.datetime(2024, 1, 2), None] * 2
        assert values(bucket, "category") == ["a", "b"] * 2


@BACKENDS
def test_no_rows(folder, backend):
    with opened(folder, backend) as bucket:
        bucket.put_batch(TABLE.slice(0, 0))
        bucket.put_batch(pa.table({}))
        bucket.put_batch(TABLE.schema.empty_table().to_reader())
        assert bucket.total_count() == 0
        assert bucket.schema() == []
        assert bucket.get_arrow().num_rows == 0
        bucket.put_batch(TABLE)
        assert bucket.get_arrow(0).equals(TABLE.slice(0, 0))
        assert bucket.get_arrow(5, 100).num_rows == 0
        with pytest.raises(ValueError, match="offset"):
            bucket.get_arrow(1, -1)


@BACKENDS
def test_rows_and_records_mixed(folder, backend):
    with opened(folder, backend) as bucket:
        bucket.put_batch([{"id": 0, "x": 1}, {"id": 1}])
        bucket.put_batch(pa.table({"x": [0.5, None], "y": ["a", "b"]}))  # other order, wider
        bucket.put({"id": 4, "y": None})
        bucket.put_batch(pa.table({"id": pa.array([5], pa.int8()), "z": pa.array([1], pa.uint8())}))
        expected = [
            {"id": 0, "x": 1.0, "y": None, "z": None},
            {"id": 1, "x": None, "y": None, "z": None},
            {"id": None, "x": 0.5, "y": "a", "z": None},
            {"id": None, "x": None, "y": "b", "z": None},
            {"id": 4, "x": None, "y": None, "z": None},
            {"id": 5, "x": None, "y": None, "z": np.uint8(1)},
        ]
        for _ in range(2):
            assert exactly(bucket.get()) == exactly(expected)
            assert bucket.get_arrow().to_pylist() == expected
            assert bucket.get_arrow(3, 1).to_pylist() == expected[1:4]
            bucket.flush()
        with pytest.raises(SchemaError, match="'y'"):
            bucket.put_batch(pa.table({"y": [1]}))
        assert bucket.total_count() == 6


@pytest.mark.parametrize("kind", SAMPLES)
def test_records_of_any_type_as_a_table(folder, kind):
    value = SAMPLES[kind]
    with opened(folder) as bucket:
        bucket.put_batch([{"f": value}, {"f": None}])
        table = bucket.get_arrow()
        bucket.put_batch(table)  # what comes out goes in again
        assert types_of(bucket) == {"f": kind}
        assert exactly(values(bucket)) == exactly([value, None, value, None])
        bucket.flush()
        assert exactly(values(bucket)) == exactly([value, None, value, None])
        assert bucket.get_arrow().equals(pa.concat_tables([table, table]))


@BACKENDS
def test_arrow_rows_and_options(folder, backend):
    options = {"schema": {"v": "vector<float32, 2>", "n": "int16"}, "defaults": {"n": 7}}
    with opened(folder, backend, **options) as bucket:
        bucket.put_batch(pa.table({"v": pa.array([[0.1, 1]], pa.list_(pa.float64()))}))
        bucket.put_batch(pa.table({"n": [3, None]}))
        for _ in range(2):
            assert exactly(bucket.get()) == exactly(
                [
                    {"v": np.array([0.1, 1], np.float32), "n": np.int16(7)},
                    {"v": None, "n": np.int16(3)},
                    {"v": None, "n": None},
                ]
            )
            assert bucket.get_arrow()["n"].to_pylist() == [7, 3, None]
            bucket.flush()
        with pytest.raises(SchemaError, match="'new' is not in the declared schema"):
            bucket.put_batch(pa.table({"new": [1]}))
        with pytest.raises(SchemaError, match="'n' is int64, but the bucket holds int16"):
            bucket.put_batch(pa.table({"n": [2**20]}))


@BACKENDS
def test_the_source_may_change_after_the_put(folder, backend):
    numbers = np.arange(1000, dtype=np.int64)
    table = pa.table({"f": pa.array(numbers)})
    assert table["f"].chunk(0).buffers()[1].address == numbers.ctypes.data  # the same memory
    with opened(folder, backend) as bucket:
        bucket.put_batch(table)
        numbers[:] = -1
        assert table["f"][5].as_py() == -1
        assert values(bucket) == list(range(1000))
        assert bucket.get_arrow()["f"].to_pylist() == list(range(1000))
        bucket.flush()
        assert values(bucket) == list(range(1000))


def test_a_table_outlives_its_bucket(folder):
    with opened(folder) as bucket:
        bucket.put_batch(TABLE)
        bucket.put({"id": 10})
        from_the_tail = bucket.get_arrow(10)
        bucket.flush()
        from_the_table = bucket.get_arrow(10)
    del bucket
    assert from_the_tail.equals(TABLE)
    assert from_the_table.equals(TABLE)


def test_a_batch_is_one_frame_of_about_its_size(folder):
    table = pa.table({"f": pa.array(np.arange(100_000))})
    with opened(folder) as bucket:
        bucket.put({"f": 0})
        before = bucket.stats()["wal_size"]
        bucket.put_batch(table)
        grown = bucket.stats()["wal_size"] - before
        assert table.nbytes < grown < table.nbytes + 2000
        data = b"".join(path.read_bytes() for path in (folder / "wal").iterdir())
        frame = data[64 + before - 64 :] if before > 64 else data[before:]
        assert int.from_bytes(frame[8:9], "little") == 3  # of Arrow data, see docs/formats.md
        assert int.from_bytes(frame[12:16], "little") == 100_000


def test_rows_do_not_become_python_objects(folder):
    texts = pa.array([f"text {i}" for i in range(100_000)])
    with opened(folder) as bucket:
        bucket.put_batch(pa.table({"f": texts}))  # whatever is made once
        bucket.get_arrow()
        before = sys.getallocatedblocks()
        bucket.put_batch(pa.table({"f": texts}))
        found = bucket.get_arrow()
        assert sys.getallocatedblocks() - before < 1000
        assert found.num_rows == 200_000
        rows = found.to_pylist()
        assert sys.getallocatedblocks() - before > 400_000  # that is what they would be
        assert len(rows) == 200_000


@pytest.mark.parametrize(
    "column",
    [
        pa.array([-(10**18)]).cast(pa.timestamp("us")),
        pa.array([2**62]).cast(pa.timestamp("us", "UTC")),
        pa.array([10**8], pa.int32()).cast(pa.date32()),
        pa.array([[None], [-(10**18)]], pa.list_(pa.int64())).cast(pa.list_(pa.timestamp("us"))),
        pa.StructArray.from_arrays([pa.array([2**62]).cast(pa.timestamp("us"))], ["t"]),
    ],
    ids=["before", "after", "date", "list", "struct"],
)
def test_times_that_python_cannot_read_are_refused(column):
    with MemoryBackend(0).sync() as bucket:
        with pytest.raises(
            ValueError, match=r"column 'x.*' holds a time outside the years 1 to 9999"
        ):
            bucket.put_batch(pa.table({"x": column}))
        assert bucket.total_count() == 0


def test_rows_survive_a_kill(folder):
    program = """
from test_arrow import PLAIN
import pyarrow as pa
bucket = PersistingBackend(0, sys.argv[1], flush_interval=1e6).sync()
bucket.put({"id": -1, "first": True})
bucket.put_batch(pa.table({"id": [0, 1, 2]} | PLAIN))
bucket.put({"id": 3})
"""
    killed(program, folder)
    with opened(folder) as bucket:
        assert values(bucket, "id") == [-1, 0, 1, 2, 3]
        found = bucket.get_arrow(3, 1).drop_columns(["first"])
        assert found.equals(pa.table({"id": [0, 1, 2]} | PLAIN))
        bucket.flush()
        assert bucket.get_arrow(3, 1).drop_columns(["first"]).equals(found)
        check_pylance(folder, bucket)


async def test_in_an_event_loop(folder):
    async with PersistingBackend(0, folder) as bucket:
        await asyncio.gather(*(bucket.put_batch(TABLE) for _ in range(20)))
        await bucket.put_batch(pa.table({"other": [1]}))
        assert (
            (await bucket.get_arrow(200))
            .select(TABLE.column_names)
            .equals(pa.concat_tables([TABLE] * 20))
        )
        meta = await bucket.get_meta(["id", "x"], 1000)
        assert meta["global_indexes"] == list(range(200))
        await bucket.flush()
        assert (await bucket.get_arrow()).num_rows == 201
        with pytest.raises(TypeError, match="time32"):
            await bucket.put_batch(pa.table({"f": pa.array([1], pa.time32("s"))}))


# Queues.

KEYS = {
    "int": pa.array([*range(50), None]),
    "int8": pa.array([*range(50), None], pa.int8()),
    "float32": pa.array([*(i / 10 for i in range(50)), None], pa.float32()),
    "double": pa.array([*(i / 10 for i in range(50)), None]),
    "text": pa.array([*map(str, range(50)), None]),
    "dictionary": pa.array([*map(str, range(50)), None]).dictionary_encode(),
    "bool": pa.array([True, False, None]),
    "bytes": pa.array([b"%d" % i for i in range(50)]),
    "uuid": pa.array([uuid.UUID(int=i).bytes for i in range(50)], pa.uuid()),
    "date": pa.array([dt.date(2024, 1, 1 + i) for i in range(30)]),
    "instant": pa.array([NOON + dt.timedelta(i) for i in range(30)], pa.timestamp("ms", "UTC")),
    "decimal": pa.array([Decimal(i) / 4 for i in range(50)], pa.decimal128(10, 2)),
    "null": pa.nulls(3),
}


@pytest.mark.parametrize("name", KEYS)
async def test_a_queue_distributes_rows_as_it_does_records(tmp_path, name):
    key = KEYS[name]
    table = pa.table({"n": range(len(key)), "id": key, "t": tensors(len(key))})
    async with (
        await write_queue(None, "rows", storage_path=tmp_path / "rows") as rows,
        await write_queue(None, "records", storage_path=tmp_path / "records") as records,
    ):
        with MemoryBackend(0).sync() as bucket:
            bucket.put_batch(table)
            as_records = bucket.get()
        answers = await rows.put(table)
        assert answers == await records.put(as_records)
        for bucket_id in range(4):
            assert exactly(await rows.queue.get(bucket_id)) == exactly(
                await records.queue.get(bucket_id)
            )


async def test_a_queue_puts_one_batch_a_bucket(tmp_path):
    async with await write_queue(None, "t", storage_path=tmp_path, num_buckets=3) as writer:
        table = pa.table({"id": range(300), "x": np.arange(300, dtype=np.float32)})
        assert len(await writer.put(table.to_reader(50))) == 300
        assert await writer.put(table.slice(0, 0)) == []
        assert len(await writer.put(pl.from_arrow(table))) == 300
        for segment in tmp_path.rglob("*.wal"):
            assert segment.read_bytes()[64 + 8] == 3
        async with await read_queue(None, "t", storage_path=tmp_path, num_buckets=3) as reader:
            assert sorted(ids(await reader.get(1000))) == sorted([*range(300)] * 2)


def test_a_queue_in_blocking_code(tmp_path):
    writer = asyncio.run(write_queue(None, "t", storage_path=tmp_path)).sync()
    assert len(writer.put(TABLE)) == 10
    writer.close()


async def test_what_a_queue_refuses(tmp_path):
    async with await write_queue(None, "t", storage_path=tmp_path) as writer:
        with pytest.raises(ValueError, match=r"the Arrow data lacks? the bucket column 'id' .*'a'"):
            await writer.put(pa.table({"a": [1]}))
        with pytest.raises(TypeError, match="column 'x' is time32"):
            await writer.put(pa.table({"id": [1], "x": pa.array([1], pa.time32("s"))}))
        with pytest.raises(TypeError, match="must be a dict, or a list of dicts, or Arrow data"):
            await writer.put("text")
        await writer.put(pa.table({"id": range(40), "size": range(40)}))
        with pytest.raises(SchemaError) as caught:
            await writer.put(pa.table({"id": [1, 2, 3], "size": ["a", "b", "c"]}))
        assert caught.value.kept_buckets == []
    async with await read_queue(None, "t", storage_path=tmp_path) as reader:
        with pytest.raises(ValueError, match="opened for reading"):
            await reader.queue.put(TABLE)


async def test_other_backends_get_records():
    got = []

    class Listing(MemoryBackend):
        async def put_batch(self, records):
            got.extend(records)
            await super().put_batch(records)

    async with await write_queue(None, "t", backend=Listing, num_buckets=1) as writer:
        await writer.put(pa.table({"id": [1], "x": pa.array([0.5], pa.float32())}))
    assert exactly(got) == exactly([{"id": 1, "x": np.float32(0.5)}])


@pytest.mark.pulsing
async def test_rows_over_pulsing(system, storage):
    writer = await write_queue(system, "t", storage_path=storage)
    answers = await writer.put(TABLE)
    assert [each["bucket_id"] for each in answers] == [
        writer.queue.get_bucket_id(i) for i in range(10)
    ]
    reader = await read_queue(system, "t", storage_path=storage)
    records = sorted(await reader.get(100), key=lambda record: record["id"])
    assert records == TABLE.to_pylist()
    with pytest.raises(SchemaError, match="'x'"):
        await writer.put(pa.table({"id": range(40), "x": ["text"] * 40}))
