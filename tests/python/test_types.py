"""Every type of value comes back bit for bit: at once, flushed, reopened, killed, with pylance.

The types are the rows of type_table.py, which docs/types.md shows.
"""

import datetime as dt
import json
import re
import subprocess
import sys
import uuid
from decimal import Decimal

import lance
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from ml_dtypes import float8_e4m3fn

import type_table
from helpers import PROGRAMS
from persisting.queue import (
    LanceBackend,
    MemoryBackend,
    PersistingBackend,
    SchemaError,
    read_queue,
    write_queue,
)
from type_table import BFLOAT16, ROWS, UTC, OnlyDlpack, exact

BACKENDS = {"memory": MemoryBackend, "lance": LanceBackend, "persisting": PersistingBackend}
LENGTH = max(len(row.values) for row in ROWS) + 1
BY_ROW = pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)


def forms(row, values):
    """What stands in the record's fields for a value, None beside it; by name."""
    for i in range(LENGTH):
        has = i < len(values)
        yield {
            row.name: values[i] if has else None,
            f"{row.name}_in_list": [values[i], None] if has else None,
            f"{row.name}_in_dict": {"inner": values[i] if has else None, "beside": None},
        }


def all_records(which):
    """Records with a field for every row and place; `which` gives the values of a row."""
    records = [{} for _ in range(LENGTH)]
    for row in ROWS:
        for record, fields in zip(records, forms(row, which(row)), strict=True):
            record.update(fields)
    return records


def put_all(backend, folder):
    schema = {"*": "any"}
    for row in ROWS:
        if row.declared is not None:
            schema[row.name] = row.declared
            schema[f"{row.name}_in_list"] = [row.declared]
            schema[f"{row.name}_in_dict"] = {"inner": row.declared, "beside": "int64"}
    options = {} if backend is MemoryBackend else {"flush_interval": 3600}
    bucket = backend(0, folder, schema=schema, **options).sync()
    bucket.put_batch(all_records(lambda row: row.values))
    return bucket


@pytest.fixture(scope="module")
def readings(tmp_path_factory):
    """The records as they were read, by backend and stage; and the tables' folders."""
    found = {}
    for kind, backend in BACKENDS.items():
        folder = tmp_path_factory.mktemp(kind) / "bucket_0"
        with put_all(backend, folder if kind != "memory" else None) as bucket:
            found[kind, "at once"] = bucket.get()
            found[kind, "arrow"] = bucket.get_arrow()
            found[kind, "schema"] = {field["name"]: field["type"] for field in bucket.schema()}
            bucket.flush()
            found[kind, "flushed"] = bucket.get()
        if kind == "memory":
            continue
        with backend(0, folder).sync() as bucket:
            found[kind, "reopened"] = bucket.get()
        found[kind, "dataset"] = lance.dataset(str(folder / "data.lance"))
        folder = tmp_path_factory.mktemp(f"{kind}_killed") / "bucket_0"
        program = [sys.executable, PROGRAMS / "put_types.py", kind, folder]
        subprocess.run(program, check=True, timeout=60)
        with backend(0, folder).sync() as bucket:
            assert bucket.stats()["persisted_count"] == (LENGTH if kind == "lance" else 0)
            found[kind, "killed"] = bucket.get()
    return found


STAGES = [("memory", "at once"), ("memory", "flushed")] + [
    (kind, stage)
    for kind in ("lance", "persisting")
    for stage in ("at once", "flushed", "reopened", "killed")
]


@pytest.mark.parametrize(("kind", "stage"), STAGES)
@BY_ROW
def test_it_comes_back(readings, kind, stage, row):
    records = readings[kind, stage]
    for record, fields in zip(records, forms(row, row.expected), strict=True):
        for name, value in fields.items():
            assert exact(record[name]) == exact(value), name


@pytest.mark.parametrize("kind", BACKENDS)
@BY_ROW
def test_the_type_it_has(readings, kind, row):
    schema = readings[kind, "schema"]
    assert schema[row.name] == row.type
    assert schema[f"{row.name}_in_list"] == f"list<{row.type}>"
    assert schema[f"{row.name}_in_dict"].startswith(f"struct<inner: {row.type}, beside: ")


@pytest.mark.parametrize("kind", BACKENDS)
@BY_ROW
def test_it_comes_as_arrow(readings, kind, row):
    check_field(readings[kind, "arrow"].schema.field(row.name), row)
    check_column(readings[kind, "arrow"], row)


@pytest.mark.parametrize("kind", ["lance", "persisting"])
@BY_ROW
def test_pylance_reads_it(readings, kind, row):
    dataset = readings[kind, "dataset"]
    check_field(dataset.schema.field(row.name), row)
    names = re.findall(
        r'name: "(\w+)", id: \d+, parent_id: -1, logical_type: LogicalType\("([^"]*)"\)',
        repr(dataset.lance_schema),
    )
    assert dict(names)[row.name] == row.lance
    check_column(dataset.to_table(), row)


def check_field(field, row):
    assert str(field.type) == row.arrow
    assert field.nullable
    metadata = (field.metadata or {}).get(b"persisting:type")
    assert metadata == (None if row.metadata is None else row.metadata.encode())


def check_column(table, row):
    """Every cell, by the bytes of its numbers."""
    for i, fields in enumerate(forms(row, row.expected)):
        for name, value in fields.items():
            assert cell(table[name][i], row) == of_arrow(value, row), name


def of_arrow(value, row):
    """What a cell should be, computed from our value."""
    if value is None:
        return None
    if row.declared == "json" and not is_place(value):
        return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    if isinstance(value, np.ndarray):
        if row.arrow.startswith("struct"):
            return {"data": value.tobytes(), "shape": list(value.shape)}
        return value.tobytes()
    if isinstance(value, np.generic):
        return value.tobytes()
    if isinstance(value, list):
        return [of_arrow(each, row) for each in value]
    if isinstance(value, dict):
        if not value and row.type == "struct<>":
            return {"__empty_struct": None}
        return {name: of_arrow(each, row) for name, each in value.items()}
    return exact(value)


def is_place(value):
    """Whether it is the list or dict that forms() put around a value."""
    return (isinstance(value, list) and len(value) == 2 and value[1] is None) or (
        isinstance(value, dict) and set(value) == {"inner", "beside"}
    )


def cell(scalar, row):
    """The same of a cell that Arrow gives."""
    if not scalar.is_valid:
        return None
    kind = scalar.type
    if isinstance(kind, pa.BaseExtensionType):
        if kind.extension_name == "arrow.uuid":
            return exact(scalar.as_py())
        return cell(scalar.value, row)
    if pa.types.is_fixed_size_list(kind):
        return numbers(scalar.values)
    if pa.types.is_map(kind):
        return {name: value if value is None else exact(value) for name, value in scalar.as_py()}
    if pa.types.is_list(kind):
        return [cell(each, row) for each in scalar]
    if pa.types.is_struct(kind):
        if kind.names == ["data", "shape"]:
            return {"data": numbers(scalar["data"].values), "shape": scalar["shape"].as_py()}
        return {name: cell(scalar[name], row) for name in kind.names}
    value = scalar.as_py()
    if pa.types.is_timestamp(kind) and value.tzinfo is not None:
        value = value.astimezone(UTC)
    if pa.types.is_fixed_size_binary(kind):
        return value
    is_number = pa.types.is_integer(kind) or pa.types.is_floating(kind)
    if is_number and kind not in (pa.int64(), pa.float64()):
        return numbers(pa.array([scalar], kind))
    if pa.types.is_float64(kind):
        return exact(numbers(pa.array([scalar])) and float(scalar.as_py()))
    if row.declared == "json":
        return value
    return exact(value)


def numbers(values):
    """The bytes of the numbers in an Arrow array."""
    assert values.null_count == 0
    if pa.types.is_fixed_size_binary(values.type):
        return b"".join(values.to_pylist())
    return np.ascontiguousarray(values.to_numpy(zero_copy_only=False)).tobytes()


@BY_ROW
def test_what_comes_back_is_its_own(readings, row):
    """Arrays may be written to, and are in C order."""
    for record in readings["persisting", "flushed"]:
        for value in (record[row.name], (record[f"{row.name}_in_list"] or [None])[0]):
            if isinstance(value, np.ndarray):
                assert value.flags.writeable
                assert value.flags.c_contiguous


def test_the_page_shows_the_table():
    page = type_table.DOC.read_text(encoding="utf-8")
    assert type_table.renewed(page) == page, "run python tests/python/type_table.py"
    for name, table in type_table.tables().items():
        assert f"<!-- {name}: " in page
        assert table in page


@pytest.mark.pulsing
@pytest.mark.parametrize("backend", ["lance", "persisting"])
async def test_over_pulsing(system, tmp_path, backend):
    options = {"storage_path": tmp_path, "backend": backend, "num_buckets": 1}
    rows = [row for row in ROWS if row.declared is None]
    length = max(len(row.values) for row in rows)
    records = [{"id": i} for i in range(length)]
    expected = [{"id": i} for i in range(length)]
    for row in rows:
        if row.name in {"array_like", "bytes_like"}:
            continue  # Pulsing pickles what it sends: an object has to be of a kind that it can
        for i in range(length):
            has = i < len(row.values)
            records[i][row.name] = row.values[i] if has else None
            expected[i][row.name] = row.expected[i] if has else None
    writer = await write_queue(system, "t", **options)
    await writer.put(records)
    reader = await read_queue(system, "t", **options)
    before = await reader.get(100)
    await writer.flush()
    after = await (await read_queue(system, "t", **options)).get(100)
    for found in (before, after):
        assert [exact(record) for record in found] == [exact(record) for record in expected]


# Vectors, which Lance searches.


@pytest.mark.parametrize("kind", ["float16", "float32", "float64"])
def test_vector_search(tmp_path, kind):
    chance = np.random.default_rng(1)
    vectors = chance.standard_normal((200, 8)).astype(kind)
    with PersistingBackend(0, tmp_path / "bucket_0").sync() as bucket:
        bucket.put_batch([{"id": i, "vector": vector} for i, vector in enumerate(vectors)])
    dataset = lance.dataset(str(tmp_path / "bucket_0" / "data.lance"))
    query = vectors[17]
    found = dataset.to_table(nearest={"column": "vector", "q": query, "k": 5})["id"].to_pylist()
    distances = ((vectors.astype("float64") - query.astype("float64")) ** 2).sum(axis=1)
    assert found[0] == 17
    assert set(found) == set(np.argsort(distances, kind="stable")[:5].tolist())


# What cannot be stored.


class Custom:
    def __repr__(self):
        return "<custom>"


class GivesNoArray:
    def __array__(self, dtype=None, copy=None):
        raise RuntimeError("not on this device")


REFUSED = {
    # value: class of the error, what its message says of the type, and what to do
    "int": (2**63, ValueError, "int beyond 64 bits", "store it as str or float"),
    "negative int": (-(2**63) - 1, ValueError, "int beyond 64 bits", "str or float"),
    "uint64 and more": (Decimal("1e39"), ValueError, "Decimal 1E[+]39", "store str"),
    "NaN": (Decimal("NaN"), ValueError, "Decimal NaN", "store float or None"),
    "infinity": (Decimal("-Infinity"), ValueError, "Decimal -Infinity", "store float or None"),
    "digits": (Decimal("1" * 39), ValueError, "38 digits", "round it, or store str"),
    "decimals": (Decimal("1E-39"), ValueError, "38 digits", "round it, or store str"),
    "exponent": (Decimal("1E+999999"), ValueError, "38 digits", "round it, or store str"),
    "complex": (1j, TypeError, "type complex", "use None, bool"),
    "timedelta": (dt.timedelta(1), TypeError, "type timedelta", "use None, bool"),
    "time": (dt.time(1), TypeError, "type time", "use None, bool"),
    "set": ({1}, TypeError, "type set", "use None, bool"),
    "class": (Custom(), TypeError, r"type \S*Custom", "use None, bool"),
    "longdouble": (np.longdouble(1), TypeError, r"numpy (float128|longdouble)", r"\.astype"),
    "longdoubles": (np.zeros(2, np.longdouble), TypeError, r"array of float128", r"\.astype"),
    "clongdouble": (np.clongdouble(1), TypeError, "numpy complex256", r"\.astype"),
    "float8": (float8_e4m3fn(1), TypeError, "numpy float8_e4m3fn", r"\.astype"),
    "objects": (np.array([None, 1]), TypeError, "array of object", r"\.tolist\(\)"),
    "texts": (np.array(["a"]), TypeError, "array of <U1", r"\.tolist\(\)"),
    "times": (np.array(["2020"], "M8[s]"), TypeError, r"datetime64\[s\]", r"\.tolist\(\)"),
    "timedeltas": (np.zeros(1, "m8[s]"), TypeError, r"timedelta64\[s\]", r"\.tolist\(\)"),
    "structs": (np.zeros(1, [("a", "i4")]), TypeError, r"\[\('a', '<i4'\)\]", r"\.tolist\(\)"),
    "struct": (np.zeros(1, [("a", "i4")])[0], TypeError, "numpy void", r"\.tolist\(\)"),
    "timedelta64": (np.timedelta64(1, "s"), TypeError, "numpy timedelta64", r"\.tolist\(\)"),
    "nanoseconds": (
        np.datetime64("2020-01-01T00:00:00.000000001"),
        ValueError,
        "datetime64 2020.*fraction of a microsecond",
        "round it",
    ),
    "year 20000": (np.datetime64("20000"), ValueError, "years 1 to 9999", "store int"),
    "pandas nanoseconds": (
        pd.Timestamp("2020-01-01 00:00:00.000000001"),
        ValueError,
        "holds 2020.*fraction of a microsecond",
        "round it",
    ),
    "before year 1": (
        dt.datetime.min.replace(tzinfo=dt.timezone(dt.timedelta(hours=14))),
        ValueError,
        "datetime that lies outside the years 1 to 9999",
        "store it without zone, or as str",
    ),
    "masked": (np.ma.array([1, 2], mask=[0, 1]), ValueError, "masked array", r"\.filled"),
    "masked constant": (np.ma.masked, ValueError, "masked array", r"\.filled"),
    "2 GiB": (
        np.broadcast_to(np.float32(1), (2**20, 2**20)),
        ValueError,
        "array of 4398046511104 bytes",
        "split it",
    ),
    "long extent": (np.zeros((0, 2**31)), ValueError, r"shape \(0, 2147483648\)", "split it"),
    "Arrow nulls": (pa.array([1, None]), ValueError, "Int64Array with nulls", r"\.to_pylist"),
    "Arrow text": (pa.array(["a"]), TypeError, "array of object", r"\.tolist\(\)"),
    "Arrow lists": (pa.array([[1], [2]]), TypeError, "array of object", r"\.tolist\(\)"),
    "Arrow scalar": (pa.scalar(1), TypeError, "type Int64Scalar", "use None, bool"),
    "Arrow table": (pa.table({"a": [1]}), TypeError, "Table, whose columns", "as records"),
    "data frame": (pd.DataFrame({"a": [1]}), TypeError, "DataFrame, whose columns", "as records"),
    "polars frame": (pl.DataFrame({"a": [1]}), TypeError, "DataFrame, whose columns", "records"),
    "polars nulls": (pl.Series([1, None]), ValueError, "Series with nulls", r"\.to_list"),
    "pandas nulls": (
        pd.Series([1, None], dtype="Int64"),
        ValueError,
        "Series with nulls",
        r"\.to_list",
    ),
    "pandas NA": (pd.NA, TypeError, "NAType", "use None, bool"),
    "no array": (GivesNoArray(), TypeError, "GivesNoArray.*not on this device", "numpy array"),
    "DLPack with nulls": (
        OnlyDlpack(pa.array([1, None])),
        TypeError,
        "OnlyDlpack that gives numpy no array",
        "numpy array",
    ),
    "strided memoryview": (memoryview(b"abcd")[::2], ValueError, "memoryview", "bytes"),
}


# numpy asks Arrow once more, in the older way.
@pytest.mark.filterwarnings("ignore:Exporting an unversioned DLPack:DeprecationWarning")
@pytest.mark.parametrize("backend", BACKENDS.values())
@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_stored(tmp_path, backend, case):
    value, error, what, remedy = REFUSED[case]
    with backend(0, tmp_path / "bucket_0").sync() as bucket:
        bucket.put({"id": 0})
        with pytest.raises(error, match=rf"(?s)^record: field 'deep\.x' .*{what}.*{remedy}"):
            bucket.put({"id": 1, "new": 1, "deep": {"x": value}})
        with pytest.raises(error, match=rf"(?s)^record 1: field 'deep\[0\]' .*{what}.*{remedy}"):
            bucket.put_batch([{"id": 1}, {"id": 2, "new": 1, "deep": [value]}])
        assert bucket.get() == [{"id": 0}]
        assert [field["name"] for field in bucket.schema()] == ["id"]


# Types of their own, at the edges.


def test_an_unusual_bool_array_is_made_plain():
    odd = np.array([2, 0, 255], np.uint8).view(bool)
    with MemoryBackend(0).sync() as bucket:
        bucket.put({"x": odd})
        assert bucket.get()[0]["x"].tobytes() == b"\x01\x00\x01"


@pytest.mark.filterwarnings("ignore:the matrix subclass:PendingDeprecationWarning")
def test_subclasses_become_what_they_are_made_of():
    class Stamp(dt.datetime):
        pass

    moment = dt.datetime(2024, 10, 27, 2, 30, 0, 7)
    with MemoryBackend(0).sync() as bucket:
        for value in (Stamp(*moment.timetuple()[:6], 7), pd.Timestamp(moment), moment):
            bucket.put({"x": value})
        bucket.put({"x": pd.NaT, "y": pd.Timestamp(moment, tz="Europe/Berlin")})
        bucket.put({"y": pd.Timestamp(moment, tz="UTC"), "m": np.matrix([[1, 2]])})
        found = bucket.get()
    assert [exact(record["x"]) for record in found[:3]] == [exact(moment)] * 3
    assert found[3]["x"] is None
    assert exact(found[3]["y"]) == exact(dt.datetime(2024, 10, 27, 0, 30, 0, 7, UTC))
    assert exact(found[4]["y"]) == exact(moment.replace(tzinfo=UTC))
    assert exact(found[4]["m"]) == exact(np.array([[1, 2]]))


def test_decimals_of_any_exponent():
    values = ["0E+999999", "0E-999999", "-0.00", "1.5" + "0" * 36, "1E+37", "-1E-38", "9" * 38]
    expected = ["0", "0E-38", "0.00", "1.5" + "0" * 36, "1E+37", "-1E-38", "9" * 38]
    for value, wanted in zip(values, expected, strict=True):
        with MemoryBackend(0).sync() as bucket:
            bucket.put({"x": Decimal(value)})
            [record] = bucket.get()
        assert record["x"] == Decimal(wanted)
        assert not record["x"].is_signed() or Decimal(value) < 0


def test_decimals_that_no_column_holds_together(tmp_path):
    with PersistingBackend(0, tmp_path / "bucket_0").sync() as bucket:
        bucket.put({"x": Decimal("9" * 38)})
        with pytest.raises(SchemaError, match=r"decimal<0>|decimal<1>"):
            bucket.put({"x": Decimal("0.1")})
        assert bucket.total_count() == 1


@pytest.mark.parametrize("name", type_table.NUMBERS)
def test_rows_without_an_array(tmp_path, name):
    """None between arrays, first and last, whatever the width of their elements in the table."""
    array = type_table.array_of(name, 3)
    matrix = type_table.array_of(name, 2, 2)
    records = [
        {"v": each, "m": None if i % 3 else matrix, "s": None if i % 2 else array[0]}
        for i, each in enumerate([None, array, None, None, array, array, None, array, None])
    ]
    with PersistingBackend(0, tmp_path / "bucket_0").sync() as bucket:
        bucket.put_batch(records)
        bucket.flush()
        bucket.put_batch(records)
        bucket.flush()
        found = bucket.get()
    plain = {"bool", "int64", "float64"}
    for got, put in zip(found, records * 2, strict=True):
        assert exact(got["v"]) == exact(put["v"])
        assert exact(got["m"]) == exact(put["m"])
        scalar = put["s"].item() if put["s"] is not None and name in plain else put["s"]
        assert exact(got["s"]) == exact(scalar)


def test_arrays_of_many_dimensions(tmp_path):
    arrays = [np.arange(2, dtype=np.int16).reshape((1,) * n + (2,) + (1,) * n) for n in (10, 31)]
    with PersistingBackend(0, tmp_path / "bucket_0").sync() as bucket:
        for i, array in enumerate(arrays):
            bucket.put({f"a{i}": array, f"z{i}": array[..., :0]})
        bucket.flush()
        found = bucket.get()
    for i, array in enumerate(arrays):
        assert exact(found[i][f"a{i}"]) == exact(array)
        assert exact(found[i][f"z{i}"]) == exact(array[..., :0])


def test_numbers_of_other_libraries():
    """They come as numpy arrays of the same numbers."""
    sources = [
        pl.Series([1.5, 2.5], dtype=pl.Float32),
        pd.Series([1.5, 2.5], dtype="float32"),
        pa.chunked_array([[1.5], [2.5]], pa.float32()),
        OnlyDlpack(pa.array([1.5, 2.5], pa.float32())),
        memoryview(np.array([1.5, 2.5], np.float32)).cast("B"),
    ]
    with MemoryBackend(0).sync() as bucket:
        bucket.put_batch([{"x": source} for source in sources[:4]])
        bucket.put({"bytes": sources[4]})
        found = bucket.get()
    wanted = np.array([1.5, 2.5], np.float32)
    assert [exact(record["x"]) for record in found[:4]] == [exact(wanted)] * 4
    assert found[4]["bytes"] == wanted.tobytes()


# Copies. A child's peak of resident memory tells how many there were: the data are far larger than
# what else it allocates, and the peak does not depend on when memory is given back. The backend
# keeps one copy of the batch, 100 MB; another, or a buffer that doubles, would show as much more.

_COPIES = """
import sys
from persisting.queue import MemoryBackend
import numpy as np

def peak():
    for line in open("/proc/self/status"):
        if line.startswith("VmHWM"):
            return int(line.split()[1]) * 1024

kind = sys.argv[1]
part = 10_000_000
make = {
    "bytes": lambda i: bytes([i + 1]) * part,
    "bytearray": lambda i: bytearray([i + 1]) * part,
    "memoryview": lambda i: memoryview(bytes([i + 1]) * part),
    "array": lambda i: np.full(part // 4, i + 1, np.float32),
    "matrix": lambda i: np.full((1000, part // 4000), i + 1, np.float32),
    "in a list": lambda i: [np.full(part // 8, i + 1, np.float32)] * 2,
}[kind]
bucket = MemoryBackend(0).sync()
bucket.put({"x": make(0)})  # imports, and warms up, what is needed
bucket.close()
bucket = MemoryBackend(0).sync()
batch = [{"x": make(i)} for i in range(10)]
open("/proc/self/clear_refs", "w").write("5")  # the peak begins anew
before = peak()
bucket.put_batch(batch)
print(peak() - before)
"""


@pytest.mark.parametrize(
    "kind", ["bytes", "bytearray", "memoryview", "array", "matrix", "in a list"]
)
def test_large_values_are_copied_once(kind):
    done = subprocess.run(
        [sys.executable, "-c", _COPIES, kind],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert 80_000_000 < int(done.stdout) < 130_000_000


# torch, where it is installed.


def test_torch_tensors(tmp_path):
    torch = pytest.importorskip("torch")
    plain = torch.arange(6, dtype=torch.float32).reshape(2, 3)

    class OwnTensor(torch.Tensor):
        pass

    wanted = np.arange(6, dtype=np.float32).reshape(2, 3)
    tensors = {
        "plain": (plain, wanted),
        "grad": (plain.clone().requires_grad_(), wanted),
        "own": (plain.clone().as_subclass(OwnTensor).requires_grad_(), wanted),
        "parameter": (torch.nn.Parameter(plain), wanted),
        "transposed": (plain.T, wanted.T),
        "expanded": (torch.ones(1).expand(4), np.ones(4, np.float32)),
        "bfloat16": (plain.bfloat16().T, wanted.T.astype(type_table.BFLOAT16)),
        "conj": (torch.tensor([1 + 2j]).conj(), np.array([1 - 2j], np.complex64)),
        "negative": (torch.tensor([1 + 2j]).conj().imag, np.array([-2], np.float32)),
        "bool": (torch.tensor([True, False]), np.array([True, False])),
        "scalar": (torch.tensor(3), np.array(3)),
        "empty": (torch.zeros(0, 3, dtype=torch.float16), np.zeros((0, 3), np.float16)),
    }
    refused = {
        "sparse": (plain.to_sparse(), "layout torch.sparse_coo.*to_dense"),
        "meta": (plain.to("meta"), "meta tensor"),
        "float8": (plain.to(torch.float8_e4m3fn), r"float8_e4m3fn.*\.astype"),
    }
    with PersistingBackend(0, tmp_path / "bucket_0").sync() as bucket:
        bucket.put({name: tensor for name, (tensor, _) in tensors.items()})
        for name, (tensor, message) in refused.items():
            with pytest.raises(TypeError, match=f"field '{name}' .*{message}"):
                bucket.put({name: tensor})
        bucket.flush()
        [record] = bucket.get()
    for name, (_, expected) in tensors.items():
        assert exact(record[name]) == exact(np.ascontiguousarray(expected).reshape(expected.shape))


def test_the_names_of_rows_are_unique():
    assert len({row.name for row in ROWS}) == len(ROWS)


# How number types come together, as the page says it.

WIDENED = [
    (np.int8(1), np.uint8(1), "int16"),
    (np.int32(1), 1, "int64"),
    (1, np.uint64(2**53), "int64"),
    (1, np.uint64(2**63), None),
    (np.uint64(1), 2**53, "uint64"),
    (np.uint64(1), -1, None),
    (np.float16(1), BFLOAT16(1), "float32"),
    (np.float32(1), 1.5, "double"),
    (np.float16(1), 2**11, "float16"),
    (np.float16(1), 2**11 + 1, "double"),
    (np.float32(1), 2**53 + 1, None),
    (np.int8(1), np.float16(1), "float16"),
    (np.int16(1), np.float16(1), "float32"),
    (1, np.float16(1), "double"),
    (2**53, 1.5, "double"),
    (2**53 + 1, 1.5, None),
    (np.float32(1), np.complex64(1), "complex64"),
    (1.5, np.complex64(1), "complex128"),
    (True, 1, None),
    (1, True, None),
    (Decimal("1.5"), 1, "decimal<1>"),
    (1, Decimal("1.5"), "decimal<1>"),
    (np.int8(1), Decimal("1.5"), "decimal<1>"),
    (1.5, Decimal("1.5"), None),
    (np.int8([1]), np.uint8([1]), "vector<int16, 1>"),
    (np.float32([1]), np.int16([1]), "vector<float32, 1>"),
    (np.float32([1]), np.float32([1, 2]), None),
    (np.int64([1]), np.float64([1]), None),
    (np.float32([1]), [1.5], None),
]


@pytest.mark.parametrize(("first", "second", "becomes"), WIDENED, ids=repr)
def test_two_types_in_a_field(first, second, becomes):
    with MemoryBackend(0).sync() as bucket:
        bucket.put({"x": first})
        if becomes is None:
            with pytest.raises(SchemaError, match="field 'x'"):
                bucket.put({"x": second})
        else:
            bucket.put({"x": second})
            assert bucket.schema()[0]["type"] == becomes
            assert np.all(bucket.get()[1]["x"] == second)
        assert bucket.total_count() == (1 if becomes is None else 2)


# Arrow in, as the page says it.

_DAY = dt.datetime(2013, 1, 1)
ARROW_IN = {
    # what comes, what it becomes, and how it reads (None: as Arrow's own to_pylist)
    "int8": (pa.array([1, None], pa.int8()), pa.int8(), [np.int8(1), None]),
    "null": (pa.nulls(2), pa.null(), None),
    "large text": (pa.array(["a", None], pa.large_string()), pa.string(), None),
    "text view": (pa.array(["a", None], pa.string_view()), pa.string(), None),
    "large bytes": (pa.array([b"a", None], pa.large_binary()), pa.binary(), None),
    "fixed bytes": (pa.array([b"ab", None], pa.binary(2)), pa.binary(), None),
    "large list": (pa.array([[1], None], pa.large_list(pa.int64())), pa.list_(pa.int64()), None),
    "fixed list of text": (
        pa.array([["a"], None], pa.list_(pa.string(), 1)),
        pa.list_(pa.string()),
        None,
    ),
    "dictionary": (pa.array(["a", None]).dictionary_encode(), pa.string(), None),
    "seconds": (pa.array([_DAY, None], pa.timestamp("s")), pa.timestamp("us"), None),
    "date64": (pa.array([_DAY.date(), None], pa.date64()), pa.date32(), None),
    "zone": (
        pa.array([_DAY.replace(tzinfo=UTC), None], pa.timestamp("ms", "Asia/Tokyo")),
        pa.timestamp("us", "UTC"),
        [_DAY.replace(tzinfo=UTC), None],
    ),
    "decimal32": (pa.array([Decimal("1.5"), None], pa.decimal32(5, 2)), pa.decimal128(38, 2), None),
    "decimal256": (
        pa.array([Decimal("1.5"), None], pa.decimal256(50, 2)),
        pa.decimal128(38, 2),
        None,
    ),
    "vector": (
        pa.array([[1, 2], None], pa.list_(pa.float32(), 2)),
        pa.list_(pa.float32(), 2),
        [np.array([1, 2], np.float32), None],
    ),
    "uuid": (
        pa.ExtensionArray.from_storage(pa.uuid(), pa.array([b"a" * 16, None], pa.binary(16))),
        pa.uuid(),
        [uuid.UUID(bytes=b"a" * 16), None],
    ),
    "map": (
        pa.array([[("a", 1)], None], pa.map_(pa.string(), pa.int64())),
        pa.map_(pa.string(), pa.int64()),
        [{"a": 1}, None],
    ),
}


@pytest.mark.parametrize("case", ARROW_IN)
def test_what_arrow_becomes(tmp_path, case):
    given, becomes, wanted = ARROW_IN[case]
    wanted = given.to_pylist() if wanted is None else wanted
    with PersistingBackend(0, tmp_path / "bucket_0").sync() as bucket:
        bucket.put_batch(pa.table({"id": [0, 1], "x": given}))
        for _ in range(2):
            assert [exact(record["x"]) for record in bucket.get()] == [exact(v) for v in wanted]
            assert bucket.get_arrow().schema.field("x").type == becomes
            bucket.flush()


ARROW_REFUSED = {
    "time": (pa.array([dt.time(1)]), TypeError, "time64"),
    "duration": (pa.array([dt.timedelta(1)]), TypeError, "duration"),
    "map of numbers": (
        pa.array([[(1, 1)]], pa.map_(pa.int64(), pa.int64())),
        TypeError,
        "map<int64",
    ),
    "nanosecond": (pa.array([1], pa.timestamp("ns")), ValueError, "round it"),
    "half a day": (pa.array([1], pa.date64()), ValueError, "round it"),
    "digits": (
        pa.array([Decimal("9" * 50)], pa.decimal256(50, 0)),
        ValueError,
        r"decimal128\(38, 0\)",
    ),
    "null in a vector": (pa.array([[1, None]], pa.list_(pa.int8(), 2)), ValueError, "null inside"),
    "name twice": (
        pa.array([[("a", 1), ("a", 2)]], pa.map_(pa.string(), pa.int64())),
        ValueError,
        "twice",
    ),
}


@pytest.mark.parametrize("case", ARROW_REFUSED)
def test_arrow_that_cannot_be_stored(tmp_path, case):
    given, error, message = ARROW_REFUSED[case]
    with PersistingBackend(0, tmp_path / "bucket_0").sync() as bucket:
        with pytest.raises(error, match=rf"(?s)'x'.*{message}"):
            bucket.put_batch(pa.table({"id": [0], "x": given}))
        assert bucket.total_count() == 0
        assert bucket.schema() == []
