"""The options `schema`, `defaults`, `on_conflict` and `refuse`."""

import asyncio
import datetime as dt
import uuid
from decimal import Decimal

import ml_dtypes
import numpy as np
import pyarrow as pa
import pytest

from evolution_table import SAMPLES
from helpers import (
    check_pylance,
    exactly,
    history,
    killed,
    opened,
    table_rows,
    types_of,
    values,
    without_system_columns,
)
from persisting.queue import (
    LanceBackend,
    MemoryBackend,
    PersistingBackend,
    SchemaError,
    decode_record,
    write_queue,
)

BACKENDS = pytest.mark.parametrize("backend", [MemoryBackend, LanceBackend, PersistingBackend])
DURABLE = pytest.mark.parametrize("backend", [LanceBackend, PersistingBackend])
F32 = np.float32


@pytest.fixture
def folder(memory_folder):
    """Where a bucket goes."""
    return memory_folder / "bucket_0"


def defaults_of(bucket):
    return {field["name"]: field["default"] for field in bucket.schema()}


# Defaults.


@DURABLE
@pytest.mark.parametrize("kind", SAMPLES)
def test_a_default_of_any_type(folder, backend, kind):
    value = SAMPLES[kind]
    with opened(folder, backend) as bucket:
        bucket.put_batch([{"id": 0}, {"id": 1}])
        bucket.flush()
        bucket.put({"id": 2})
    with opened(folder, backend, defaults={"f": value}) as bucket:
        assert exactly(values(bucket)) == exactly([value] * 3)
        assert exactly(bucket.schema()[1]) == exactly({"name": "f", "type": kind, "default": value})
        bucket.put({"id": 3})
        bucket.put({"id": 4, "f": None})
        expected = exactly([*[value] * 4, None])
        assert exactly(values(bucket)) == expected
        bucket.flush()
        assert exactly(values(bucket)) == expected
        check_pylance(folder, bucket)
    with opened(folder, backend) as bucket:  # it is kept
        assert exactly(values(bucket)) == expected
        bucket.put({"id": 5})
        assert exactly(values(bucket)[5]) == exactly(value)


@DURABLE
def test_a_default_of_a_known_field_concerns_later_records(folder, backend):
    with opened(folder, backend) as bucket:
        bucket.put_batch([{"a": 1}, {"b": 1, "undecided": None}])
        bucket.flush()
        bucket.put({"b": 2})
    with opened(folder, backend, defaults={"a": 7, "undecided": "x"}) as bucket:
        bucket.put({"b": 3})
        bucket.flush()
        assert values(bucket, "a") == [1, None, None, 7]
        assert values(bucket, "undecided") == [None, None, None, "x"]
        check_pylance(folder, bucket)


@DURABLE
def test_a_default_is_changed_and_taken_away(folder, backend):
    for defaults in ({"a": 1}, {"a": 2}, {}, {"a": None}, {"a": 3, "other": None}):
        with opened(folder, backend, defaults=defaults) as bucket:
            bucket.put({"id": 0})
            if defaults == {"a": 2}:
                bucket.flush()
    with opened(folder, backend) as bucket:
        assert values(bucket, "a") == [1, 2, 2, None, 3]
        assert [change for change in history(bucket) if change[1] == "default"] == [
            (0, "default", "a", None, "1"),
            (1, "default", "a", "1", "2"),
            (3, "default", "a", "2", None),
            (4, "default", "a", None, "3"),
        ]
        check_pylance(folder, bucket)


@BACKENDS
def test_a_default_is_kept_in_the_fields_type(folder, backend):
    with opened(folder, backend, defaults={"a": 5, "s": {"x": 1}, "t": 1.5}) as bucket:
        bucket.put({})
        bucket.put({"a": 0.5, "s": {"y": "z"}})
        bucket.put({})
        for _ in range(2):
            assert exactly(values(bucket, "a")) == exactly([5.0, 0.5, 5.0])
            assert values(bucket, "s") == [
                {"x": 1, "y": None},
                {"x": None, "y": "z"},
                {"x": 1, "y": None},
            ]
            bucket.flush()
        assert exactly(defaults_of(bucket)) == exactly(
            {"a": 5.0, "s": {"x": 1, "y": None}, "t": 1.5}
        )


@BACKENDS
def test_a_default_of_a_declared_field(folder, backend):
    schema = {"v": "vector<float32, 2>", "n": "int8", "d": "decimal<2>"}
    defaults = {"v": [0.1, 1], "n": 5, "d": Decimal("1.5")}
    with opened(folder, backend, schema=schema, defaults=defaults) as bucket:
        bucket.put({})
        expected = {"v": np.array([0.1, 1], F32), "n": np.int8(5), "d": Decimal("1.50")}
        assert exactly(bucket.get()) == exactly([expected])
        assert exactly(defaults_of(bucket)) == exactly(expected)


@BACKENDS
@pytest.mark.parametrize(
    ("defaults", "kind", "message"),
    [
        ({"n": 300}, SchemaError, "defaults: field 'n' is int64, but the bucket holds int8"),
        ({"n": "x"}, SchemaError, "defaults: field 'n' is string, but the bucket holds int8"),
        ({"_ts": 1}, ValueError, "defaults: field name '_ts' is reserved"),
        ({"x": object()}, TypeError, "'defaults.x' has type object"),
        ({3: 1}, TypeError, "3 in field 'defaults' is int"),
        ([1], TypeError, "'defaults' must be dict, not list"),
    ],
)
def test_wrong_defaults(folder, backend, defaults, kind, message):
    with pytest.raises(kind, match=message):
        opened(folder, backend, schema={"n": "int8"}, defaults=defaults)


# Declared schemas.

DECLARED = {
    "b": bool,
    "i": int,
    "f": float,
    "s": str,
    "y": bytes,
    "day": dt.date,
    "u": uuid.UUID,
    "utc": "timestamp with zone",
    "wall": "timestamp without zone",
    "i8": np.int8,
    "f32": "float32",
    "f16": np.dtype("float16"),
    "bf": "bfloat16",
    "c": np.complex64,
    "u64": pa.uint64(),
    "l": [str],
    "ll": [["float32"]],
    "st": {"x": float, "y": [{"z": int}]},
    "m": "map<string, int64>",
    "j": "json",
    "d": "decimal<2>",
    "v": "vector<float32, 3>",
    "t": "tensor<int16, 2, 2>",
    "any": "tensor<float64>",
    "text": "list<struct<a: int8, b: map<string, date>>>",
}
TYPES = [
    *("bool", "int64", "double", "string", "bytes", "date", "uuid"),
    *("timestamp with zone", "timestamp without zone", "int8", "float32", "float16", "bfloat16"),
    *("complex64", "uint64", "list<string>", "list<list<float32>>"),
    "struct<x: double, y: list<struct<z: int64>>>",
    *("map<string, int64>", "json", "decimal<2>", "vector<float32, 3>", "tensor<int16, 2, 2>"),
    *("tensor<float64>", "list<struct<a: int8, b: map<string, date>>>"),
]
FULL = {
    "b": True,
    "i": 2**60,
    "f": 1,
    "s": "é",
    "y": b"\0",
    "day": dt.date(2024, 1, 2),
    "u": uuid.UUID(int=3),
    "utc": dt.datetime(2024, 1, 2, tzinfo=dt.UTC),
    "wall": dt.datetime(2024, 1, 2),
    "i8": 5,
    "f32": 0.1,
    "f16": 0.1,
    "bf": 0.1,
    "c": 0.5,
    "u64": 2**53,
    "l": ["a", None],
    "ll": [[0.1], []],
    "st": {"x": 1, "y": [{"z": 1}, {}]},
    "m": {"k": 1, "other": None},
    "j": {"a": [1, "x", None, {"b": True}]},
    "d": Decimal("1.5"),
    "v": [0.1, 1, 2**24],
    "t": [[1, 2], [3, 4]],
    "any": [[0.5], [1]],
    "text": [{"a": 1, "b": {"x": dt.date(2024, 1, 2)}}],
}
READS = FULL | {
    "f": 1.0,
    "i8": np.int8(5),
    "f32": F32(0.1),
    "f16": np.float16(0.1),
    "bf": ml_dtypes.bfloat16(0.1),
    "c": np.complex64(0.5),
    "u64": np.uint64(2**53),
    "ll": [[F32(0.1)], []],
    "st": {"x": 1.0, "y": [{"z": 1}, {"z": None}]},
    "d": Decimal("1.50"),
    "v": np.array([0.1, 1, 2**24], F32),
    "t": np.array([[1, 2], [3, 4]], np.int16),
    "any": np.array([[0.5], [1]]),
    "text": [{"a": np.int8(1), "b": {"x": dt.date(2024, 1, 2)}}],
}


@BACKENDS
def test_declared_types_of_every_form(folder, backend):
    with opened(folder, backend, schema=DECLARED) as bucket:
        assert list(types_of(bucket)) == list(DECLARED)
        assert list(types_of(bucket).values()) == TYPES
        bucket.put_batch([{}, FULL])
        expected = exactly([dict.fromkeys(DECLARED), READS])
        assert exactly(bucket.get()) == expected
        bucket.flush()
        assert exactly(bucket.get()) == expected
        if backend is MemoryBackend:
            return
        check_pylance(folder, bucket)
    with opened(folder, backend) as bucket:
        assert exactly(bucket.get()) == expected
        assert list(types_of(bucket).values()) == TYPES
    with opened(folder, backend, schema=DECLARED) as bucket:  # the same once more
        assert [change[1] for change in history(bucket)] == ["declared"] * len(DECLARED)


def test_a_schema_of_arrow_types(folder):
    schema = pa.schema(
        [
            ("a", pa.int32()),
            ("b", pa.large_string()),
            ("c", pa.dictionary(pa.int8(), pa.string())),
            ("d", pa.timestamp("ns", "Europe/Berlin")),
            ("e", pa.timestamp("s")),
            ("f", pa.decimal128(10, 3)),
            ("g", pa.list_(pa.float32(), 4)),
            ("h", pa.list_(pa.struct([("x", pa.float16())]))),
            ("i", pa.map_(pa.string(), pa.float64())),
            ("j", pa.uuid()),
            ("k", pa.fixed_shape_tensor(pa.float64(), [2, 3])),
            ("l", pa.date64()),
            ("m", pa.binary(4)),
            ("n", pa.list_(pa.float64(), 2)),
        ]
    )
    with opened(folder, schema=schema) as bucket:
        assert list(types_of(bucket).values()) == [
            *("int32", "string", "string", "timestamp with zone", "timestamp without zone"),
            *("decimal<3>", "vector<float32, 4>", "list<struct<x: float16>>"),
            *("map<string, double>", "uuid", "tensor<float64, 2, 3>", "date", "bytes"),
            "vector<float64, 2>",
        ]
        declared = bucket.schema()
        given = bucket.get_arrow().schema
    with opened(folder / "other", schema=given) as bucket:  # what get_arrow gives declares the same
        assert bucket.schema() == declared


@BACKENDS
@pytest.mark.parametrize(
    ("record", "message"),
    [
        ({"v": [1, 2]}, "field 'v' is a list of other numbers or another shape"),
        ({"v": [1, 2, "x"]}, "'v' is a list of other numbers"),
        ({"v": [1, 2, None]}, "'v' is a list of other numbers"),
        ({"v": [[1, 2, 3]]}, "'v' is a list of other numbers"),
        ({"v": [2**24 + 1, 2, 3]}, "'v' is a list of other numbers"),
        ({"v": [1e300, 2, 3]}, "'v' is a list of other numbers"),
        ({"v": np.zeros(4)}, r"'v' is vector<float64, 4>, but the bucket holds vector<float32, 3>"),
        ({"v": 1}, "'v' is int64, but the bucket holds vector<float32, 3>"),
        ({"t": [[1, 2], [3]]}, "'t' is a list of other numbers"),
        ({"t": [[1, 2], [3, 2**20]]}, "'t' is a list of other numbers"),
        ({"t": [[1, 2], [3, 0.5]]}, "'t' is a list of other numbers"),
        ({"i8": 300}, "'i8' is int64, but the bucket holds int8"),
        ({"i8": 1.0}, "'i8' is double, but the bucket holds int8"),
        ({"f32": 1e300}, "'f32' is double, but the bucket holds float32"),
        ({"f32": 2**24 + 1}, "'f32' is int64, but the bucket holds float32"),
        ({"f": 2**53 + 1}, r"'f' is int64 beyond 2\^53"),
        ({"i": 0.5}, "'i' is double, but the bucket holds int64"),
        ({"u64": -1}, "'u64' is int64, but the bucket holds uint64"),
        ({"m": {"k": "x"}}, r"'m\[\]' is string, but the bucket holds int64"),
        ({"j": b"x"}, "'j' holds what JSON cannot say"),
        ({"j": [float("nan")]}, "'j' holds what JSON cannot say"),
        ({"j": {"a": dt.date(2024, 1, 1)}}, "'j' holds what JSON cannot say"),
        ({"d": Decimal("1.555")}, "'d' is decimal<3>, but the bucket holds decimal<2>"),
        ({"d": 1.5}, "'d' is double, but the bucket holds decimal<2>"),
        ({"st": {"new": 1}}, r"'st\.new' is not in the declared schema"),
        ({"l": [1]}, r"'l\[\]' is int64, but the bucket holds string"),
        ({"new": 1}, "'new' is not in the declared schema; leave it out, or open the bucket with"),
        ({"new": None}, "'new' is not in the declared schema"),
    ],
)
def test_what_a_declared_schema_refuses(folder, backend, record, message):
    with opened(folder, backend, schema=DECLARED) as bucket:
        bucket.put({"i": 1})
        known = bucket.schema(), bucket.schema_history()
        with pytest.raises(SchemaError, match=message):
            bucket.put_batch([{"i": 2}, record])
        assert values(bucket, "i") == [1]
        assert (bucket.schema(), bucket.schema_history()) == known


@BACKENDS
def test_declared_and_other_fields(folder, backend):
    with opened(folder, backend, schema={"a": float, "*": "any"}) as bucket:
        bucket.put({"a": 1, "new": 1})
        bucket.put({"new": 0.5})
        assert exactly(bucket.get()) == exactly([{"a": 1.0, "new": 1.0}, {"a": None, "new": 0.5}])
        assert types_of(bucket) == {"a": "double", "new": "double"}
        with pytest.raises(SchemaError, match="'a' is string"):
            bucket.put({"a": "x"})


def test_a_schema_declared_later(folder):
    with opened(folder) as bucket:
        bucket.put_batch([{"a": 1, "s": {"x": 1}, "n": None}, {"b": 1}])
        bucket.flush()
        bucket.put({"a": 2})
    with pytest.raises(
        SchemaError,
        match="'a' is declared string, but the bucket holds int64 there;"
        " declare a type that holds it, or drop the field first",
    ):
        opened(folder, schema={"a": str})
    with opened(folder, schema={"a": float, "n": "float32", "new": "date"}) as bucket:
        # What was there stays a known field, declared or not.
        bucket.put({"b": 2, "s": {"x": 2}, "a": 0.5, "n": 0.1})
        assert exactly(values(bucket, "a")) == exactly([1.0, None, 2.0, 0.5])
        assert exactly(values(bucket, "n")) == exactly([None, None, None, F32(0.1)])
        with pytest.raises(SchemaError, match="not in the declared schema"):
            bucket.put({"other": 1})
        check_pylance_after_flush(folder, bucket)
        assert [change for change in history(bucket) if change[1] == "declared"] == [
            (3, "declared", "a", "int64", "double"),
            (3, "declared", "n", "undecided", "float32"),
            (3, "declared", "new", None, "date"),
        ]
    with opened(folder) as bucket, pytest.raises(SchemaError, match="not in the declared schema"):
        bucket.put({"other": 1})  # the declaration is kept
    with opened(folder, schema={"*": "any"}) as bucket:  # until another one says otherwise
        bucket.put({"other": 1})


def check_pylance_after_flush(folder, bucket):
    bucket.flush()
    check_pylance(folder, bucket)


@pytest.mark.parametrize(
    ("schema", "kind", "message"),
    [
        ({"f": "nope"}, ValueError, "schema: field 'f': 'nope' is no type; use bool, int64"),
        ({"f": ""}, ValueError, "schema: field 'f': '' is no type"),
        ({"f": "list<int64"}, ValueError, "'list<int64' is no type"),
        ({"f": "map<int64, string>"}, ValueError, "is no type; use .*map<string, type>"),
        ({"f": "vector<string, 3>"}, ValueError, "is no type; use .*vector<number, length>"),
        ({"f": "decimal<40>"}, ValueError, "is no type; use .*decimal<scale>"),
        ({"f": "decimal"}, ValueError, "is no type"),
        ({"f": "struct<a: int64, a: bool>"}, ValueError, "names 'a' twice"),
        ({"f": "vector<float64, 1000000000>"}, ValueError, "is larger than 2 GiB"),
        ({"s": {"x": ["nope"]}}, ValueError, "schema: field 's': member 'x': 'nope' is no type"),
        ({"f": 3}, TypeError, r"schema: field 'f': 3 \(int\) is no type; use a name as 'int64'"),
        ({"f": None}, TypeError, "schema: field 'f': None"),
        ({"f": object}, TypeError, "schema: field 'f': <class 'object'>"),
        ({"f": [int, int]}, TypeError, r"schema: field 'f': \[.*\(list\) is no type"),
        ({"f": []}, TypeError, r"schema: field 'f': \[\] \(list\) is no type"),
        ({"f": np.dtype("U5")}, TypeError, "schema: field 'f': dtype.* is no type"),
        ({"s": {"x": {"y": set}}}, TypeError, r"schema: field 's\.x\.y': <class 'set'>"),
        ({"f": list}, TypeError, "'f': list says too little; use a list of one type"),
        ({"f": dict}, TypeError, "'f': dict says too little; use a dict of names and types"),
        ({"f": dt.datetime}, TypeError, "'f': datetime says too little; use 'timestamp with zone'"),
        ({"f": Decimal}, TypeError, "'f': Decimal says too little; use 'decimal<2>'"),
        ({"f": pa.time32("s")}, TypeError, r"schema: column 'f' is time32\[s\], which no record"),
        ({"f": pa.null()}, TypeError, "schema: field 'f' is declared null"),
        (pa.schema([("f", pa.duration("s"))]), TypeError, r"schema: column 'f' is duration\[s\]"),
        ({"_offset": int}, ValueError, "schema: field name '_offset' is reserved"),
        ({"a.b": int}, ValueError, "schema: field name 'a.b' holds"),
        ({"": int}, ValueError, "schema: a field's name is empty"),
        ({"*": "int64"}, ValueError, "schema: '\\*' can only be 'any'"),
        ({3: int}, TypeError, "3 in field 'schema' is int"),
        ([("a", int)], TypeError, "option 'schema' must be a dict .* or an Arrow schema, not list"),
        ("int64", TypeError, "option 'schema' must be a dict .*, not str"),
    ],
)
def test_wrong_declarations(folder, schema, kind, message):
    for backend in (MemoryBackend, PersistingBackend):
        with pytest.raises(kind, match=message):
            opened(folder, backend, schema=schema)
    assert not (folder / "data.lance").exists()


def test_two_opened_with_other_schemas(folder):
    with opened(folder, schema={"a": int}):
        for options in ({}, {"schema": {"a": float}}, {"schema": {"a": int}, "defaults": {"a": 1}}):
            with pytest.raises(ValueError, match="another schema or other defaults"):
                opened(folder, **options)
        opened(folder, schema={"a": int}).close()


async def test_a_queue_with_a_schema(folder):
    options = {"schema": {"id": int, "v": "vector<float32, 2>"}, "defaults": {"v": [0, 0]}}
    async with await write_queue(
        None, "t", num_buckets=2, storage_path=folder, backend_options=options
    ) as writer:
        await writer.put([{"id": 1}, {"id": 2, "v": [1, 2]}])
        records = sorted(await writer.queue.get(), key=lambda record: record["id"])
        assert exactly(records) == exactly(
            [{"id": 1, "v": np.zeros(2, F32)}, {"id": 2, "v": np.array([1, 2], F32)}]
        )


# Policies.

MIXED = [{"a": 1}, {"a": "x"}, {"a": 2, "b": True}, {"a": [1], "v": np.zeros(2, F32)}, {"a": 3}]


@BACKENDS
def test_reject_is_the_default(folder, backend):
    with opened(folder, backend) as bucket:
        with pytest.raises(SchemaError, match=r"record 1 of the batch \(offset 1\): field 'a'"):
            bucket.put_batch(MIXED)
        assert bucket.get() == []
        assert bucket.stats()["rejected"] == 5
        assert bucket.dead_letters() == []


def check_letters(letters):
    assert [list(letter) for letter in letters] == [["offset", "reason", "record"]] * 2
    assert [letter["offset"] for letter in letters] == [1, 2]
    assert letters[0]["reason"].startswith("record 1 of the batch (offset 1): field 'a' is string")
    assert letters[1]["reason"].startswith("record 3 of the batch (offset 2): field 'a' is a list")
    decoded = [decode_record(letter["record"]) for letter in letters]
    assert exactly(decoded) == exactly([MIXED[1], MIXED[3]])


@BACKENDS
def test_dead_letters(folder, backend):
    with opened(folder, backend, on_conflict="dead_letter") as bucket:
        bucket.put_batch(MIXED)
        assert values(bucket, "a") == [1, 2, 3]
        check_letters(bucket.dead_letters())
        assert bucket.dead_letters(1) == bucket.dead_letters()[:1]
        assert bucket.dead_letters(5, 1) == bucket.dead_letters()[1:]
        assert bucket.dead_letters(offset=2) == bucket.dead_letters(0) == []
        assert bucket.stats()["dead_letters"] == 2
        assert bucket.stats()["total_count"] == 3
        bucket.put({"a": "y"})  # a single one, too
        assert bucket.stats()["dead_letters"] == 3
        with pytest.raises(ValueError, match="_ts"):  # no record at all: refused as ever
            bucket.put_batch([{"a": 4}, {"_ts": 1}])
        with pytest.raises(TypeError, match="picture"):
            bucket.put({"picture": object()})
        assert bucket.total_count() == 3
        with pytest.raises(ValueError, match="limit"):
            bucket.dead_letters(-1)
        bucket.flush()
        check_letters(bucket.dead_letters(2))
    if backend is MemoryBackend:
        return
    rows = table_rows(folder / "dead_letters")
    assert [row["_offset"] for row in rows] == [0, 1, 2]
    check_letters(without_system_columns(rows[:2]))
    with opened(folder, backend) as bucket:  # without the policy they are still there
        check_letters(bucket.dead_letters(2))
        assert bucket.stats()["dead_letters"] == 3
        with pytest.raises(SchemaError):
            bucket.put({"a": "x"})
        assert bucket.stats()["dead_letters"] == 3
        assert values(bucket, "a") == [1, 2, 3]


async def test_dead_letters_in_an_event_loop(folder):
    async with PersistingBackend(0, folder, on_conflict="dead_letter") as bucket:
        await asyncio.gather(*(bucket.put({"a": 1 if i % 2 else "x"}) for i in range(1, 40)))
        assert bucket.total_count() == 20
        letters = await bucket.dead_letters()
        assert len(letters) == 19
        meta = await bucket.get_meta(["a"], 100)
        assert meta["global_indexes"] == list(range(20))
        await bucket.flush()
        assert await bucket.dead_letters() == letters


def test_dead_letters_survive_a_kill(folder):
    program = """
import numpy as np
from test_schema_options import MIXED
PersistingBackend(0, sys.argv[1], on_conflict="dead_letter").sync().put_batch(MIXED)
"""
    killed(program, folder)
    with opened(folder) as bucket:
        assert values(bucket, "a") == [1, 2, 3]
        check_letters(bucket.dead_letters())
        assert bucket.stats()["dead_letters"] == 2


def test_arrow_rows_become_dead_letters(folder):
    with opened(folder, on_conflict="dead_letter") as bucket:
        bucket.put({"a": 1})
        bucket.put_batch(pa.table({"a": ["x", "y"], "b": [1.5, None]}))
        assert [decode_record(each["record"]) for each in bucket.dead_letters()] == [
            {"a": "x", "b": 1.5},
            {"a": "y", "b": None},
        ]
        assert bucket.get() == [{"a": 1}]


@BACKENDS
def test_refuse_single_records(folder, backend):
    with opened(folder, backend, refuse="record") as bucket:
        with pytest.raises(SchemaError) as caught:
            bucket.put_batch(MIXED)
        message = str(caught.value)
        assert message.startswith("2 of 5 records were refused, the others are kept: record 1 of")
        assert "; record 3 of the batch (offset 2): field 'a' is a list" in message
        assert values(bucket, "a") == [1, 2, 3]
        assert types_of(bucket) == {"a": "int64", "b": "bool"}
        with pytest.raises(SchemaError, match=r"^record 0 of the batch"):
            bucket.put({"a": "x"})
        with pytest.raises(SchemaError, match=r"^all 7 .*; and 2 more$"):
            bucket.put_batch([{"a": "x"}] * 7)
        with pytest.raises(ValueError, match="_ts"):
            bucket.put_batch([{"a": 4}, {"_ts": 1}])
        assert bucket.stats()["rejected"] == 10
        bucket.put({"a": 4})
        bucket.flush()
        assert values(bucket, "a") == [1, 2, 3, 4]
        assert bucket.dead_letters() == []


@BACKENDS
def test_stringify(folder, backend):
    canonical = [
        (5.0, "5"),
        (-0.0, "-0"),
        (0.5, "0.5"),
        (1e300, "1e+300"),
        (2**60, "1152921504606846976"),
        (float("nan"), "NaN"),
        (-float("inf"), "-Infinity"),
        (True, "true"),
        (b"\x00\xff", "00ff"),
        (dt.datetime(2024, 1, 2, 3, 4, 5, tzinfo=dt.UTC), "2024-01-02T03:04:05+00:00"),
        (dt.datetime(2024, 1, 2, 3, 4, 5, 6), "2024-01-02T03:04:05.000006"),
        (dt.date(2024, 1, 2), "2024-01-02"),
        (uuid.UUID(int=1), str(uuid.UUID(int=1))),
        (Decimal("1.50"), "1.5"),
        (np.float32(0.5), "0.5"),
        (np.array([[1, 2], [3, 4]]), "[[1, 2], [3, 4]]"),
        ([1.0, None, "é", b"x"], '[1, null, "é", "78"]'),
        ({"b": 1, "a": [dt.date(2024, 1, 2)], "n": None}, '{"a": ["2024-01-02"], "b": 1}'),
        ("text", "text"),
        (None, None),
    ]
    with opened(folder, backend, on_conflict="stringify") as bucket:
        bucket.put_batch([{"f": 5.0}, {"f": 0.5}, {}])
        bucket.flush()
        bucket.put({"f": 7})
        bucket.put({"f": "x", "g": 1})
        expected = ["5", "0.5", None, "7", "x"]
        assert values(bucket) == expected
        bucket.put_batch([{"f": value} for value, _ in canonical])
        expected += [text for _, text in canonical]
        for _ in range(2):
            assert values(bucket) == expected
            assert types_of(bucket) == {"f": "string", "g": "int64"}
            bucket.flush()
        assert history(bucket)[-2:] == [
            (4, "text", "f", "double", "string"),
            (4, "added", "g", None, "int64"),
        ]
        if backend is MemoryBackend:
            return
        check_pylance(folder, bucket)
    with opened(folder, backend) as bucket:  # it stays text that takes anything
        bucket.put({"f": [8.0]})
        assert values(bucket)[-1] == "[8]"
        with pytest.raises(SchemaError, match="'g' is string"):
            bucket.put({"g": "x"})


@pytest.mark.parametrize("value", SAMPLES.values(), ids=SAMPLES)
def test_stringified_reads_the_same_from_log_tail_and_table(folder, value):
    other = 1 if isinstance(value, str) else "x"
    with opened(folder, on_conflict="stringify") as bucket:
        bucket.put({"f": value})
        bucket.flush()
        bucket.put({"f": other})
        bucket.put({"f": value})
        before = values(bucket)
        assert before[0] == before[2]
        assert all(isinstance(each, str) for each in before)
        bucket.flush()
        assert values(bucket) == before


@BACKENDS
def test_stringify_inside_structs_and_lists(folder, backend):
    with opened(folder, backend, on_conflict="stringify") as bucket:
        bucket.put({"s": {"a": 1, "b": [1]}})
        bucket.put({"s": {"a": "x", "b": [True]}})
        for _ in range(2):  # the field as a whole
            assert values(bucket, "s") == ['{"a": 1, "b": [1]}', '{"a": "x", "b": [true]}']
            bucket.flush()
        bucket.put({"s": 1})
        assert values(bucket, "s")[2] == "1"


def test_text_of_text_does_not_depend_on_flushes(folder):
    read = []
    for flushes in (False, True):
        with opened(folder / str(flushes), on_conflict="stringify") as bucket:
            bucket.put_batch([{"f": [1]}, {"f": ["x"]}])
            if flushes:
                bucket.flush()
            bucket.put({"f": True})
            read.append(values(bucket))
    assert read[0] == read[1]


def test_a_declared_uint64_takes_any_int():
    with MemoryBackend(0, schema={"f": "uint64"}).sync() as bucket:
        bucket.put({"f": 2**60})
        assert values(bucket) == [2**60]


@BACKENDS
def test_policies_and_declared_schemas(folder, backend):
    declared = {"a": int, "s": {"x": int}}
    with opened(folder / "1", backend, schema=declared, on_conflict="dead_letter") as bucket:
        bucket.put_batch([{"a": 1}, {"a": 2, "new": 5.0}, {"s": {"y": 1}}, {"a": "x"}])
        assert values(bucket, "a") == [1]
        assert [decode_record(each["record"]) for each in bucket.dead_letters()] == [
            {"a": 2, "new": 5.0},
            {"s": {"y": 1}},
            {"a": "x"},
        ]
    with opened(folder / "2", backend, schema=declared, refuse="record") as bucket:
        with pytest.raises(SchemaError, match="2 of 3 records were refused"):
            bucket.put_batch([{"a": 1}, {"a": 2, "new": 5.0}, {"a": "x"}])
        assert values(bucket, "a") == [1]
    with opened(folder / "3", backend, schema=declared, on_conflict="stringify") as bucket:
        bucket.put({"a": 2, "new": 5.0})  # a field that was not declared is text
        with pytest.raises(SchemaError, match="'a' is string"):  # one that was keeps its type
            bucket.put({"a": "x"})
        assert bucket.get() == [{"a": 2, "s": None, "new": "5"}]


def test_both_kinds_of_policy(folder):
    options = {"on_conflict": "stringify", "refuse": "record", "schema": {"a": int, "*": "any"}}
    with opened(folder, **options) as bucket:
        with pytest.raises(SchemaError, match="1 of 3 records"):
            bucket.put_batch([{"a": 1, "f": 1}, {"a": "x", "f": 1}, {"a": 2, "f": "x"}])
        assert bucket.get() == [{"a": 1, "f": "1"}, {"a": 2, "f": "x"}]


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        ({"on_conflict": "ignore"}, ValueError, "must be 'reject', 'dead_letter' or 'stringify'"),
        ({"on_conflict": 3}, TypeError, "'on_conflict' must be str, not int"),
        ({"refuse": "all"}, ValueError, "must be 'batch' or 'record'"),
        ({"refuse": True}, TypeError, "'refuse' must be str, not bool"),
    ],
)
def test_wrong_policies(folder, options, kind, message):
    with pytest.raises(kind, match=message):
        opened(folder, **options)


def test_get_meta_under_policies_that_keep_a_part(folder):
    async def main():
        async with PersistingBackend(0, folder, refuse="record") as bucket:
            with pytest.raises(SchemaError):
                await bucket.put_batch(MIXED)
            await bucket.put({"c": 1})
            meta = await bucket.get_meta(["a"], 10)
            assert meta["global_indexes"] == [0, 1, 2, 3]  # every record counts as ready

    asyncio.run(main())
