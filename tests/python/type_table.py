"""What each type of value becomes in a table, and what comes back.

test_types.py checks it, docs/types.md shows it.
`python tests/python/type_table.py` renews the tables of docs/types.md.
"""

import array
import datetime as dt
import enum
import re
import struct
import sys
import uuid
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pyarrow as pa

DOC = Path(__file__).parents[2] / "docs" / "types.md"
BFLOAT16 = ml_dtypes.bfloat16
UTC = dt.UTC

NUMBERS = [
    *("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
    *("float16", "bfloat16", "float32", "float64", "complex64", "complex128"),
]


class Color(enum.Enum):
    """An enum of text."""

    RED = "red"


class Size(enum.IntEnum):
    """An enum that is an int."""

    LARGE = 3


class OnlyDlpack:
    """An array that numpy gets by DLPack alone."""

    def __init__(self, array):
        self._array = array

    def __dlpack__(self, **options):
        return self._array.__dlpack__(**options)

    def __dlpack_device__(self):
        return self._array.__dlpack_device__()


@dataclass(frozen=True)
class Row:
    """Values that share a column. `section` says which table of the page shows it."""

    name: str
    section: str
    python: str  # the values, in words
    values: list[Any]
    type: str  # as `schema()` says it
    arrow: str  # type of the table's column; also what `get_arrow` gives
    lance: str  # the type as Lance names it
    back: list[Any] | None = None  # what comes back; None: the values themselves
    remark: str = ""  # what comes back, in words, where it is not the same
    metadata: str | None = None  # the column's persisting:type
    declared: Any = None  # what option `schema` says of the column

    @property
    def expected(self):
        """What comes back."""
        return self.values if self.back is None else self.back


def dtype(name):
    """numpy's type of a number's name."""
    return np.dtype(BFLOAT16 if name == "bfloat16" else name)


def special_bytes(name):
    """The bytes of six numbers of a type: extremes, -0.0, infinity and NaN with a payload."""
    kind = dtype(name)
    if name == "bool":
        return bytes([1, 0, 1, 1, 0, 0])
    if kind.kind in "iu":
        info = np.iinfo(kind)
        return np.array([info.min, info.max, 0, 1, 2, 3], kind).tobytes()
    if kind.kind == "c":
        part = special_bytes("float32" if name == "complex64" else "float64")
        return part + part[::-1]
    nan = {
        "float16": struct.pack("<H", 0xFE2B),
        "bfloat16": struct.pack("<H", 0xFFC5),
        "float32": struct.pack("<I", 0xFFC12345),
        "float64": struct.pack("<Q", 0xFFF8123456789ABC),
    }[name]
    return np.array([-0.0, np.inf, -np.inf, 1.5, 0.0], kind).tobytes() + nan


def array_of(name, *shape):
    """An array of a type and shape, special values first."""
    count = int(np.prod(shape))
    data = special_bytes(name)
    flat = np.frombuffer(data * (count * dtype(name).itemsize // len(data) + 1), dtype(name))
    return flat[:count].reshape(shape).copy()


_ELEMENTS = {  # of lists, as pyarrow prints them; and Lance's name of the number
    "float16": ("halffloat", "halffloat"),
    "bfloat16": ("fixed_size_binary[2]", "fixed_size_binary:2"),
    "float32": ("float", "float"),
    "float64": ("double", "double"),
    "complex64": ("float", "float"),
    "complex128": ("double", "double"),
}


def _element(name):
    return _ELEMENTS.get(name, (name, name))


def _scalar_row(name):
    arrow, lance = _element(name)
    values = list(np.frombuffer(special_bytes(name), dtype(name)))
    is_complex = name.startswith("complex")
    plain = {"bool": bool, "int64": int, "float64": float}.get(name)
    return Row(
        f"scalar_{name}",
        "scalar",
        f"`numpy.{name}`",
        values,
        "double" if name == "float64" else name,
        f"fixed_size_list<item: {arrow}>[2]" if is_complex else arrow,
        f"fixed_size_list:{lance}:2" if is_complex else lance,
        back=[value.item() for value in values] if plain else None,
        remark=f"`{plain.__name__}`" if plain else f"`numpy.{name}`",
        metadata=name if is_complex else None,
    )


def _array_row(name, *shape):
    arrow, lance = _element(name)
    lance = "lance.bfloat16" if name == "bfloat16" else lance
    count = int(np.prod(shape))
    extents = ", ".join(map(str, shape))
    kind = f"vector<{name}, {extents}>" if len(shape) == 1 else f"tensor<{name}, {extents}>"
    is_complex = name.startswith("complex")
    size = 2 * count if is_complex else count
    plain = f"fixed_size_list<item: {arrow}>[{size}]"
    has_extension = len(shape) > 1 and not is_complex and name not in {"bool", "bfloat16"}
    short = ",".join(map(str, shape))
    extension = f"extension<arrow.fixed_shape_tensor[value_type={arrow}, shape=[{short}]]>"
    return Row(
        f"array_{len(shape)}d_{name}",
        f"{len(shape)}d",
        f"array of {name}",
        [array_of(name, *shape), np.zeros(shape, dtype(name))],
        kind,
        extension if has_extension else plain,
        f"fixed_size_list:{lance}:{size}",
        metadata=kind if not has_extension and (len(shape) > 1 or is_complex) else None,
    )


def _odd_array_row(name, label, python, value):
    arrow, _ = _element(name)
    extents = ", ".join(map(str, value.shape)) or "scalar"
    prefix = "vector" if value.ndim == 1 else "tensor"
    kind = f"{prefix}<{name}, {extents}>"
    return Row(
        f"array_{label}_{name}",
        "odd",
        python,
        [value],
        kind,
        f"struct<data: list<item: {arrow}>, shape: list<item: int32>>",
        "struct",
        metadata=kind,
        remark="the same",
    )


def _value(name, python, values, kind, arrow, lance, **more):
    return Row(name, "values", python, values, kind, arrow, lance, **more)


def _declared(name, kind, python, values, arrow, lance, **more):
    return Row(name, "declared", python, values, kind, arrow, lance, declared=kind, **more)


_MOMENT = dt.datetime(2013, 1, 1, 5, 17, 0, 1)
_MATRIX = np.arange(6, dtype=np.float32).reshape(2, 3)
_READ_ONLY = np.arange(3, dtype=np.float32)
_READ_ONLY.setflags(write=False)
_DECIMALS = [Decimal("1.5"), Decimal("-0.25"), Decimal("1E+3"), Decimal("9" * 36)]
_IDS = [uuid.UUID(int=5), uuid.UUID(int=2**128 - 1)]
_UTC_TYPE = "timestamp[us, tz=UTC]"
_JSON = [{"a": [1, 2.5, None, "x"]}, [], "text", 7, True]


ROWS = [
    _value("bool", "`bool`", [True, False], "bool", "bool", "bool"),
    _value("int", "`int`", [0, -1, 2**63 - 1, -(2**63)], "int64", "int64", "int64"),
    _value(
        "float",
        "`float`",
        [0.0, -0.0, 5e-324, float("inf"), struct.unpack("<d", b"\xab\xcd\0\0\0\0\xf8\xff")[0]],
        "double",
        "double",
        "double",
        remark="the same, every bit of a NaN too",
    ),
    _value("str", "`str`", ["", "日本語 🛫", "a\x00b", "x" * 10_000], "string", "string", "string"),
    _value("bytes", "`bytes`", [b"", b"\x00\xff"], "bytes", "binary", "binary"),
    _value(
        "bytes_like",
        "`bytearray`, `memoryview`",
        [bytearray(b"ab"), memoryview(b"abc"), memoryview(array.array("h", [1]))],
        "bytes",
        "binary",
        "binary",
        back=[b"ab", b"abc", b"\x01\x00"],
        remark="`bytes`; an array's memoryview as the array's bytes",
    ),
    _value(
        "aware",
        "`datetime` with a zone",
        [
            _MOMENT.replace(tzinfo=UTC),
            _MOMENT.replace(tzinfo=dt.timezone(dt.timedelta(hours=2))),
            dt.datetime.min.replace(tzinfo=UTC),
            dt.datetime.max.replace(tzinfo=UTC),
        ],
        "timestamp with zone",
        _UTC_TYPE,
        "timestamp:us:UTC",
        back=[
            _MOMENT.replace(tzinfo=UTC),
            _MOMENT.replace(hour=3, tzinfo=UTC),
            dt.datetime.min.replace(tzinfo=UTC),
            dt.datetime.max.replace(tzinfo=UTC),
        ],
        remark="the same instant in UTC",
    ),
    _value(
        "naive",
        "`datetime` without",
        [_MOMENT, dt.datetime.min, dt.datetime.max],
        "timestamp without zone",
        "timestamp[us]",
        "timestamp:us:-",
    ),
    _value("date", "`date`", [dt.date.min, dt.date.max], "date", "date32[day]", "date32:day"),
    _value(
        "datetime64",
        "`numpy.datetime64`",
        [
            np.datetime64("2013-01-01T05:17:00.000001"),
            np.datetime64("2013-01"),
            np.datetime64("NaT"),
        ],
        "timestamp without zone",
        "timestamp[us]",
        "timestamp:us:-",
        back=[_MOMENT, dt.datetime(2013, 1, 1), None],
        remark="`datetime` without a zone; NaT as None",
    ),
    _value(
        "datetime64_day",
        "`numpy.datetime64` of days",
        [np.datetime64("2013-01-01")],
        "date",
        "date32[day]",
        "date32:day",
        back=[dt.date(2013, 1, 1)],
        remark="`date`",
    ),
    _value(
        "decimal",
        "`Decimal`",
        _DECIMALS,
        "decimal<2>",
        "decimal128(38, 2)",
        "decimal:128:38:2",
        back=[Decimal("1.50"), Decimal("-0.25"), Decimal("1000.00"), Decimal("9" * 36 + ".00")],
        remark="`Decimal` with the column's decimals: as many as any value of it had",
    ),
    _value("uuid", "`UUID`", _IDS, "uuid", "extension<arrow.uuid>", "fixed_size_binary:16"),
    _value(
        "enum",
        "`Enum`",
        [Color.RED],
        "string",
        "string",
        "string",
        back=["red"],
        remark="its value",
    ),
    _value(
        "int_enum",
        "`IntEnum`",
        [Size.LARGE],
        "int64",
        "int64",
        "int64",
        back=[3],
        remark="its value",
    ),
    _value(
        "list",
        "`list`, `tuple`",
        [[1, None, 3], [], (4,)],
        "list<int64>",
        "list<item: int64>",
        "list",
        back=[[1, None, 3], [], [4]],
        remark="`list`",
    ),
    _value(
        "dict",
        "`dict`",
        [{"a": 1, "b": {"c": "x"}}, {"a": 2, "b": None}],
        "struct<a: int64, b: struct<c: string>>",
        "struct<a: int64, b: struct<c: string>>",
        "struct",
        remark="`dict` with every member that any of the column had; missing ones None",
    ),
    _value(
        "empty_dict",
        "`{}`",
        [{}],
        "struct<>",
        "struct<__empty_struct: null>",
        "struct",
    ),
    _value(
        "empty_list",
        "`[]`, `[None]`",
        [[], [None, None]],
        "list<undecided>",
        "list<item: null>",
        "list",
        remark="the same; the first value inside decides",
    ),
    _value(
        "scalar_list",
        "`list` of numpy scalars",
        [[np.float32(1.5), None], [np.float32(-0.0)]],
        "list<float32>",
        "list<item: float>",
        "list",
        remark="`list` of the same",
    ),
    _value(
        "array_list",
        "`list` of arrays",
        [[_MATRIX[0], None], []],
        "list<vector<float32, 3>>",
        "list<item: fixed_size_list<item: float>[3]>",
        "list",
        remark="`list` of arrays",
    ),
    _value(
        "array_like",
        "what has `__array__` or `__dlpack__`: torch tensors, Arrow arrays, …",
        [pa.array([0, 1, 2], pa.float32()), OnlyDlpack(pa.array([3, 4, 5], pa.float32()))],
        "vector<float32, 3>",
        "fixed_size_list<item: float>[3]",
        "fixed_size_list:float:3",
        back=[np.array([0, 1, 2], np.float32), np.array([3, 4, 5], np.float32)],
        remark="numpy array of the same numbers",
    ),
    _value(
        "any_order",
        "arrays strided, transposed, byte-swapped, read-only",
        [
            np.arange(12, dtype=np.float32)[::4],
            np.arange(3, dtype=">f4"),
            _READ_ONLY,
            np.array([[0], [1], [2]], np.float32, order="F")[:, 0],
        ],
        "vector<float32, 3>",
        "fixed_size_list<item: float>[3]",
        "fixed_size_list:float:3",
        back=[np.array(v, np.float32) for v in ([0, 4, 8], [0, 1, 2], [0, 1, 2], [0, 1, 2])],
        remark="array in C order and native bytes, writable, its own memory",
    ),
    _value(
        "fortran",
        "arrays in Fortran's order",
        [np.asfortranarray(_MATRIX), np.arange(6, dtype=np.float32).reshape(3, 2).T],
        "tensor<float32, 2, 3>",
        "extension<arrow.fixed_shape_tensor[value_type=float, shape=[2,3]]>",
        "fixed_size_list:float:6",
        back=[_MATRIX, np.array([[0, 2, 4], [1, 3, 5]], np.float32)],
        remark="array in C order",
    ),
    *[_scalar_row(name) for name in NUMBERS],
    *[_array_row(name, 4) for name in NUMBERS],
    *[_array_row(name, 2, 3) for name in NUMBERS],
    *[_array_row(name, 1, 2, 1, 3) for name in NUMBERS],
    *[
        _odd_array_row(name, "0d", "array of shape `()`", array_of(name))
        for name in ("float32", "int64")
    ],
    *[
        _odd_array_row(
            name, "empty", "array without elements, shape `(0, 3)`", np.zeros((0, 3), name)
        )
        for name in ("float64", "bool")
    ],
    _odd_array_row(
        "int16", "empty_inside", "… and shape `(2, 0, 3)`", np.zeros((2, 0, 3), np.int16)
    ),
    _odd_array_row("complex64", "empty_last", "… and shape `(1, 2, 0)`", np.zeros((1, 2, 0), "c8")),
    _odd_array_row("int8", "empty_1d", "array of shape `(0,)`", np.zeros(0, np.int8)),
    _declared(
        "any_shape",
        "tensor<float32>",
        "arrays of any shape",
        [_MATRIX, np.zeros(0, np.float32), np.arange(3, dtype=np.float32), array_of("float32")],
        "struct<data: list<item: float>, shape: list<item: int32>>",
        "struct",
        metadata="tensor<float32>",
        remark="array of the same shape",
    ),
    _declared(
        "declared_vector",
        "vector<float32, 3>",
        "lists of numbers, arrays",
        [[1, 2.5, -3], np.arange(3.0)],
        "fixed_size_list<item: float>[3]",
        "fixed_size_list:float:3",
        back=[np.array([1, 2.5, -3], np.float32), np.arange(3, dtype=np.float32)],
        remark="array; rounded to float32",
    ),
    _declared(
        "declared_decimal",
        "decimal<4>",
        "`Decimal`, `int`",
        [Decimal("1.5"), 2],
        "decimal128(38, 4)",
        "decimal:128:38:4",
        back=[Decimal("1.5000"), Decimal("2.0000")],
        remark="`Decimal` with four decimals",
    ),
    _declared(
        "map",
        "map<string, int64>",
        "`dict` of any names",
        [{"a": 1, "b": None}, {}, {"z.*": 2}],
        "map<string, int64>",
        "map",
        remark="`dict` with just the names it had",
    ),
    _declared(
        "json",
        "json",
        "whatever JSON can say",
        _JSON,
        "string",
        "string",
        metadata="json",
        remark="the same; int, float and the order of members are kept",
    ),
]


def exact(value):
    """A form of a value that is equal only where every bit, and the type, is."""
    if isinstance(value, np.ndarray):
        return (
            "array",
            type(value),
            value.dtype,
            value.dtype.isnative,
            value.shape,
            value.tobytes(),
        )
    if isinstance(value, np.generic):
        return ("scalar", value.dtype, value.tobytes())
    if isinstance(value, float):
        return (type(value), struct.pack("<d", value))
    if isinstance(value, dict):
        return ("dict", [(name, exact(each)) for name, each in value.items()])
    if isinstance(value, list):
        return ("list", [exact(each) for each in value])
    if isinstance(value, dt.datetime):
        return ("datetime", value.replace(tzinfo=None), value.tzinfo)
    if isinstance(value, Decimal):
        return ("decimal", value.as_tuple())
    return (type(value), value)


def tables():
    """The tables of the page by name, as Markdown."""
    return {
        "values": _table(
            ["Python value", "type", "Arrow column", "Lance's name", "reads back as"],
            (
                [
                    row.python,
                    _code(row.type),
                    _code(row.arrow),
                    _code(row.lance),
                    row.remark or "the same",
                ]
                for row in ROWS
                if row.section == "values"
            ),
        ),
        "numbers": _table(
            [
                "number",
                "scalar's column",
                "reads back as",
                "array of four",
                "array of shape (2, 3)",
            ],
            _number_lines(),
        ),
        "odd": _table(
            ["Python value", "type", "Arrow column", "reads back as"],
            (
                [row.python, _code(row.type), _code(row.arrow), row.remark]
                for row in ROWS
                if row.section == "odd"
            ),
        ),
        "declared": _table(
            ["declared as", "takes", "Arrow column", "Lance's name", "reads back as"],
            (
                [_code(row.type), row.python, _code(row.arrow), _code(row.lance), row.remark]
                for row in ROWS
                if row.section == "declared"
            ),
        ),
    }


def _number_lines():
    by_name = {row.name: row for row in ROWS}
    for name in NUMBERS:
        scalar = by_name[f"scalar_{name}"]
        yield [
            _code(name),
            _column(scalar),
            scalar.remark,
            _column(by_name[f"array_1d_{name}"]),
            _column(by_name[f"array_2d_{name}"]),
        ]


def _column(row):
    short = re.sub(r"extension<arrow\.(\w+)\[.*\]>", r"arrow.\1", row.arrow)
    short = short.replace("fixed_size_list<item: ", "list<").replace(
        "fixed_size_binary[2]", "lance.bfloat16"
    )
    return _code(short) + ("" if row.metadata is None else " *")


def _code(text):
    return f"`{text}`"


def _table(head, lines):
    rows = [head, ["---"] * len(head), *lines]
    return "\n".join(
        "|" + "|".join(f" {cell} " for cell in row).replace(" --- ", "---") + "|" for row in rows
    )


def renewed(page):
    """The page with its tables as they follow from the rows."""
    for name, table in tables().items():
        page = re.sub(
            rf"(<!-- {name}: [^\n]*-->\n).*?(<!-- end -->)",
            lambda found, table=table: f"{found[1]}{table}\n{found[2]}",
            page,
            flags=re.DOTALL,
        )
    return page


if __name__ == "__main__":
    DOC.write_text(renewed(DOC.read_text(encoding="utf-8")), encoding="utf-8")
    sys.stdout.write(f"renewed {DOC}\n")
