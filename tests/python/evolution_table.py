"""What becomes of a record that differs from those before it: every rule, with cases that show it.

The table in docs/schema-evolution.md is `markdown()`; a test compares the two. To renew it there:
`python tests/python/evolution_table.py`.
"""

import datetime as dt
import math
import uuid
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import ml_dtypes
import numpy as np

PAGE = Path(__file__).parents[2] / "docs" / "schema-evolution.md"
BEGIN = "| the record brings | what happens | the table, at the next flush |\n|---|---|---|\n"

# What the table does.
NOTHING, ADDED, REWRITTEN = "", "a column is added", "rewritten"


class _Absent:
    """Stands for a field that a record does not have."""

    def __repr__(self):
        return "absent"


ABSENT = _Absent()


@dataclass(frozen=True)
class Case:
    """Values of the field `f` of records: those before, in the table already, and of one batch.

    Either `reads` are the values of all of them afterwards, or `refused` is the reason as a regular
    expression.
    """

    before: list
    brings: list
    reads: list | None = None
    type: str | None = None
    refused: str | None = None


@dataclass(frozen=True)
class Rule:
    """A row of the documentation's table."""

    brings: str
    happens: str
    table: str
    cases: tuple


def record(number, value):
    """A record whose field `f` has the value."""
    return {"id": number} if value is ABSENT else {"id": number, "f": value}


def records(case):
    """The records before, and those of the batch."""
    made = [record(i, value) for i, value in enumerate([*case.before, *case.brings])]
    return made[: len(case.before)], made[len(case.before) :]


def takes(before, brings, reads, kind):
    return Case([before], [brings], reads, kind)


def refuses(before, brings, reason=None):
    return Case([before], [brings], refused=reason or "'f' is .* but the bucket holds")


UTC = dt.UTC
EXACT = 2**53
I8, I16, I32, I64 = np.int8, np.int16, np.int32, np.int64
U8, U16, U32, U64 = np.uint8, np.uint16, np.uint32, np.uint64
F16, BF16, F32, F64 = np.float16, ml_dtypes.bfloat16, np.float32, np.float64
C64, C128 = np.complex64, np.complex128
UUID = uuid.UUID("12345678-1234-5678-1234-567812345678")

#: A value of each type, and the type.
SAMPLES = {
    "bool": True,
    "int64": 7,
    "double": 0.5,
    "string": "é",
    "bytes": b"\x00\xff",
    "timestamp with zone": dt.datetime(2024, 1, 2, 3, 4, 5, 6, tzinfo=UTC),
    "timestamp without zone": dt.datetime(2024, 1, 2, 3, 4, 5, 6),
    "date": dt.date(2024, 1, 2),
    "uuid": UUID,
    "decimal<2>": Decimal("1.25"),
    "int8": I8(-1),
    "uint64": U64(2**64 - 1),
    "float16": F16(0.5),
    "bfloat16": BF16(0.5),
    "float32": F32(0.1),
    "complex64": C64(1 + 2j),
    "list<int64>": [1, None, 2],
    "list<string>": ["a", ""],
    "list<list<double>>": [[0.5], []],
    "struct<a: int64, b: struct<c: string>>": {"a": 1, "b": {"c": "x"}},
    "struct<>": {},
    "list<struct<a: int64>>": [{"a": 1}, {"a": None}],
    "vector<float32, 3>": np.array([1, 2, 3], F32),
    "vector<bool, 2>": np.array([True, False]),
    "vector<bfloat16, 2>": np.array([1, 2], BF16),
    "tensor<int16, 2, 2>": np.array([[1, 2], [3, 4]], I16),
    "tensor<float64, scalar>": np.array(0.5),
}

#: held, given, the smallest type that holds both, its name.
WIDER = [
    (I8, I16, I16, "int16"),
    (I16, I32, I32, "int32"),
    (I32, I64, int, "int64"),
    (I8, U8, I16, "int16"),
    (U8, I8, I16, "int16"),
    (U16, I8, I32, "int32"),
    (U32, I8, int, "int64"),
    (U8, U64, U64, "uint64"),
    (I8, int, int, "int64"),
    (F16, F32, F32, "float32"),
    (F16, BF16, F32, "float32"),
    (BF16, F32, F32, "float32"),
    (F32, F64, float, "double"),
    (F32, float, float, "double"),
    (I8, F16, F16, "float16"),
    (I8, BF16, BF16, "bfloat16"),
    (U8, BF16, BF16, "bfloat16"),
    (I16, F16, F32, "float32"),
    (I16, F32, F32, "float32"),
    (I16, BF16, F32, "float32"),
    (I32, F32, float, "double"),
    (F32, C64, C64, "complex64"),
    (I32, C64, C128, "complex128"),
    (F64, C64, C128, "complex128"),
    (C64, C128, C128, "complex128"),
]
NARROWER = [
    (I16, I8, "int16"),
    (I32, U16, "int32"),
    (I64, I8, "int64"),
    (I64, U32, "int64"),
    (U64, U8, "uint64"),
    (F32, F16, "float32"),
    (F32, BF16, "float32"),
    (F32, I16, "float32"),
    (F64, F32, "double"),
    (F64, I32, "double"),
    (C64, F32, "complex64"),
    (C128, C64, "complex128"),
    (C128, F64, "complex128"),
]
ARRAYS = [
    (I32, I64, I64),
    (I8, U8, I16),
    (F16, F32, F32),
    (F16, BF16, F32),
    (F32, F64, F64),
    (I16, F32, F32),
    (I32, F32, F64),
    (F64, C64, C128),
    (U8, BF16, BF16),
]


def python_type(kind):
    """What values of that type read as."""
    return {I64: int, F64: float}.get(kind, kind)


RULES = [
    Rule(
        "no value for a known field",
        "reads as the field's default, or None",
        NOTHING,
        tuple(takes(value, ABSENT, [value, None], kind) for kind, value in SAMPLES.items()),
    ),
    Rule(
        "None for a known field",
        "stored as None, also where the field has a default",
        NOTHING,
        (
            *(takes(value, None, [value, None], kind) for kind, value in SAMPLES.items()),
            takes([1, None], [None], [[1, None], [None]], "list<int64>"),
            takes({"a": 1}, {"a": None}, [{"a": 1}, {"a": None}], "struct<a: int64>"),
        ),
    ),
    Rule(
        "a new field, None",
        "the field exists, its type is undecided; reads as None",
        "nothing: it has no column yet",
        (takes(ABSENT, None, [None, None], "undecided"),),
    ),
    Rule(
        "the first value of an undecided field",
        "decides its type",
        ADDED,
        tuple(takes(None, value, [None, value], kind) for kind, value in SAMPLES.items()),
    ),
    Rule(
        "a new field with a value",
        "added; earlier records read as its default, or None",
        ADDED,
        tuple(takes(ABSENT, value, [None, value], kind) for kind, value in SAMPLES.items()),
    ),
    Rule(
        "an int where double is held",
        "stored as double if its magnitude is at most 2^53, else refused",
        NOTHING,
        (
            takes(0.5, 1, [0.5, 1.0], "double"),
            takes(0.5, EXACT, [0.5, float(EXACT)], "double"),
            takes(0.5, -EXACT, [0.5, -float(EXACT)], "double"),
            takes([0.5], [1], [[0.5], [1.0]], "list<double>"),
            takes({"a": 0.5}, {"a": 1}, [{"a": 0.5}, {"a": 1.0}], "struct<a: double>"),
            takes(0.5, I32(3), [0.5, 3.0], "double"),
            takes(0.5, U64(3), [0.5, 3.0], "double"),
            refuses(0.5, EXACT + 1, "beyond 2\\^53"),
            refuses(0.5, -EXACT - 1, "beyond 2\\^53"),
            refuses(0.5, U64(EXACT + 1), "beyond 2\\^53"),
            refuses([0.5], [1, EXACT + 1], r"'f\[\]' is int64 beyond 2\^53"),
            refuses({"a": 0.5}, {"a": EXACT + 1}, r"'f\.a' is int64 beyond 2\^53"),
        ),
    ),
    Rule(
        "a float where int64 or uint64 is held",
        "the field becomes double if every integer so far, in this batch too, is at most 2^53 in"
        " magnitude, else refused",
        REWRITTEN,
        (
            takes(1, 0.5, [1.0, 0.5], "double"),
            takes(1, 2.0, [1.0, 2.0], "double"),
            takes(EXACT, math.inf, [float(EXACT), math.inf], "double"),
            takes(1, F32(0.5), [1.0, 0.5], "double"),
            takes(U64(1), 0.5, [1.0, 0.5], "double"),
            Case([1, None], [3, 0.5], [1.0, None, 3.0, 0.5], "double"),
            takes([1], [0.5], [[1.0], [0.5]], "list<double>"),
            takes([1], [2, 0.5], [[1.0], [2.0, 0.5]], "list<double>"),
            takes({"a": 1}, {"a": 0.5}, [{"a": 1.0}, {"a": 0.5}], "struct<a: double>"),
            takes(
                [{"a": 1}], [{"a": 0.5}], [[{"a": 1.0}], [{"a": 0.5}]], "list<struct<a: double>>"
            ),
            refuses(EXACT + 1, 0.5, "holds int64 there beyond 2\\^53"),
            refuses(-EXACT - 1, 0.5, "holds int64 there beyond 2\\^53"),
            refuses(U64(EXACT + 1), 0.5, "holds uint64 there beyond 2\\^53"),
            refuses([EXACT + 1], [0.5], r"'f\[\]' is double.*beyond 2\^53"),
            Case([1], [EXACT + 1, 0.5], refused="record 1 of the batch .*beyond 2\\^53"),
        ),
    ),
    Rule(
        "a number of a type whose every value the field's type holds",
        "stored as the field's type",
        NOTHING,
        (
            *(
                takes(wide(2), narrow(3), [python_type(wide)(2), python_type(wide)(3)], name)
                for wide, narrow, name in NARROWER
            ),
            takes([I16(1)], [I8(2)], [[I16(1)], [I16(2)]], "list<int16>"),
        ),
    ),
    Rule(
        "a number of another type",
        "the field becomes the smallest type that holds all values of both",
        REWRITTEN,
        (
            *(
                takes(held(2), given(3), [python_type(wide)(2), python_type(wide)(3)], name)
                for held, given, wide, name in WIDER
            ),
            takes([F32(0.5)], [0.1], [[0.5], [0.1]], "list<double>"),
            takes({"a": I8(1)}, {"a": U8(2)}, [{"a": I16(1)}, {"a": I16(2)}], "struct<a: int16>"),
        ),
    ),
    Rule(
        "an integer where a type of 64 bits and the other sign is held",
        "stored as the field's type if that has it, else refused",
        NOTHING,
        (
            takes(U64(1), 5, [U64(1), U64(5)], "uint64"),
            takes(U64(2**64 - 1), I8(5), [U64(2**64 - 1), U64(5)], "uint64"),
            takes(1, U64(2**53), [1, 2**53], "int64"),
            takes(2**60, U64(2**63 - 1), [2**60, 2**63 - 1], "int64"),
            refuses(U64(1), -5, "'f' is int64, but the bucket holds uint64"),
            refuses(U64(1), I8(-5), "'f' is int8, but the bucket holds uint64"),
            refuses(1, U64(2**63), "'f' is uint64 beyond.*, but the bucket holds int64"),
        ),
    ),
    Rule(
        "an array of the field's shape, of a number type that the field's holds",
        "stored as the field's type",
        NOTHING,
        tuple(
            takes(
                np.array([[1, 2]], wide),
                np.array([[3, 4]], narrow),
                [np.array([[1, 2]], wide), np.array([[3, 4]], wide)],
                f"tensor<{np.dtype(wide).name}, 1, 2>",
            )
            for narrow, _, wide in ARRAYS
            if wide is not narrow
        ),
    ),
    Rule(
        "an array of the field's shape, of another number type",
        "the field becomes the smallest type that holds both; refused where there is none",
        REWRITTEN,
        (
            *(
                takes(
                    np.array([1, 2], held),
                    np.array([3, 4], given),
                    [np.array([1, 2], wide), np.array([3, 4], wide)],
                    f"vector<{np.dtype(wide).name}, 2>",
                )
                for held, given, wide in ARRAYS
            ),
            refuses(np.array([1], I64), np.array([0.5])),
            refuses(np.array([1], I64), np.array([1], U64)),
            refuses(np.array([1], I8), np.array([True])),
        ),
    ),
    Rule(
        "a new member of a struct",
        "added; earlier structs read it as None",
        REWRITTEN,
        (
            takes(
                {"a": 1},
                {"b": "x"},
                [{"a": 1, "b": None}, {"a": None, "b": "x"}],
                "struct<a: int64, b: string>",
            ),
            takes(
                {"a": {"b": 1}},
                {"a": {"c": 2}},
                [{"a": {"b": 1, "c": None}}, {"a": {"b": None, "c": 2}}],
                "struct<a: struct<b: int64, c: int64>>",
            ),
            takes(
                [{"a": 1}],
                [{"b": 2}],
                [[{"a": 1, "b": None}], [{"a": None, "b": 2}]],
                "list<struct<a: int64, b: int64>>",
            ),
            takes(
                {"a": 1},
                {"a": 1, "b": None},
                [{"a": 1, "b": None}, {"a": 1, "b": None}],
                "struct<a: int64, b: undecided>",
            ),
        ),
    ),
    Rule(
        "a struct without some members",
        "they read as None",
        NOTHING,
        (
            takes(
                {"a": 1, "b": 2},
                {"b": 3},
                [{"a": 1, "b": 2}, {"a": None, "b": 3}],
                "struct<a: int64, b: int64>",
            ),
            takes(
                {"a": 1, "b": 2},
                {"b": 3, "a": 4},
                [{"a": 1, "b": 2}, {"a": 4, "b": 3}],
                "struct<a: int64, b: int64>",
            ),
            takes({"a": 1}, {}, [{"a": 1}, {"a": None}], "struct<a: int64>"),
        ),
    ),
    Rule(
        "an empty list",
        "fits every list; in a new field the element's type stays undecided",
        NOTHING,
        (
            takes([1], [], [[1], []], "list<int64>"),
            takes([[0.5]], [[]], [[[0.5]], [[]]], "list<list<double>>"),
            takes([], [None], [[], [None]], "list<undecided>"),
        ),
    ),
    Rule(
        "the first element of such a list, the first value of such a member",
        "decides its type",
        REWRITTEN,
        (
            takes([], [1], [[], [1]], "list<int64>"),
            takes([None], ["x"], [[None], ["x"]], "list<string>"),
            takes([[]], [[0.5]], [[[]], [[0.5]]], "list<list<double>>"),
            takes({"a": None}, {"a": 1}, [{"a": None}, {"a": 1}], "struct<a: int64>"),
            takes([], [{"a": 1}], [[], [{"a": 1}]], "list<struct<a: int64>>"),
        ),
    ),
    Rule(
        "the first member of a struct that had none",
        "added",
        REWRITTEN,
        (takes({}, {"a": 1}, [{"a": None}, {"a": 1}], "struct<a: int64>"),),
    ),
    Rule(
        "a decimal where integers are held",
        "the field becomes decimal, as long as the digits are 38 at most, else refused",
        REWRITTEN,
        (
            takes(7, Decimal("0.5"), [Decimal("7.0"), Decimal("0.5")], "decimal<1>"),
            takes(I8(7), Decimal("0.5"), [Decimal("7.0"), Decimal("0.5")], "decimal<1>"),
            takes(
                [2**60],
                [Decimal("0.25")],
                [[Decimal(f"{2**60}.00")], [Decimal("0.25")]],
                "list<decimal<2>>",
            ),
        ),
    ),
    Rule(
        "a decimal with fewer digits, or an integer, where decimals are held",
        "stored with the field's digits right of the point",
        NOTHING,
        (
            takes(
                Decimal("10.25"), Decimal("1.5"), [Decimal("10.25"), Decimal("1.50")], "decimal<2>"
            ),
            takes(Decimal("10.25"), 7, [Decimal("10.25"), Decimal("7.00")], "decimal<2>"),
            takes(Decimal("10.25"), I8(7), [Decimal("10.25"), Decimal("7.00")], "decimal<2>"),
        ),
    ),
    Rule(
        "a decimal with more digits right of the point",
        "the field gets them, as long as the digits on both sides are 38 at most, else refused",
        REWRITTEN,
        (
            takes(
                Decimal("1.5"), Decimal("0.125"), [Decimal("1.500"), Decimal("0.125")], "decimal<3>"
            ),
            takes(Decimal(7), Decimal("0.5"), [Decimal("7.0"), Decimal("0.5")], "decimal<1>"),
            takes(
                [Decimal("1.5")],
                [Decimal("1.25")],
                [[Decimal("1.50")], [Decimal("1.25")]],
                "list<decimal<2>>",
            ),
            refuses(Decimal("1" * 30), Decimal("0." + "1" * 9)),
            refuses(Decimal("0." + "1" * 38), Decimal(1)),
            refuses(Decimal("0." + "1" * 38), 1),
        ),
    ),
    Rule(
        "anything else: a bool for a number, text for a number or for bytes, a scalar for a list,"
        " an array for a list, an array of another shape, a float for a decimal, a date for a time,"
        " a time with a zone for one without, …",
        "refused",
        NOTHING,
        (
            refuses(True, 1, "'f' is int64, but the bucket holds bool there"),
            refuses(1, True, "'f' is bool, but the bucket holds int64 there"),
            refuses(0.5, False, "'f' is bool, but the bucket holds double there"),
            refuses(I8(1), np.bool_(True), "'f' is bool, but the bucket holds int8 there"),
            refuses(1, "1", "'f' is string, but the bucket holds int64 there"),
            refuses("1", 1, "'f' is int64, but the bucket holds string there"),
            refuses(0.5, "0.5"),
            refuses("x", b"x", "'f' is bytes, but the bucket holds string there"),
            refuses(b"x", "x"),
            refuses("x", UUID, "'f' is uuid, but the bucket holds string there"),
            refuses(UUID, str(UUID)),
            refuses(1, [1], "'f' is a list, but the bucket holds int64 there"),
            refuses([1], 1, "'f' is int64, but the bucket holds list<int64> there"),
            refuses([1], [[1]], r"'f\[\]' is a list, but the bucket holds int64 there"),
            refuses([1], ["x"], r"'f\[\]' is string, but the bucket holds int64 there"),
            Case([1], [[1], 1], refused="record 0 of the batch"),
            Case([ABSENT], [[1, "x"]], refused=r"'f\[\]' is string"),
            refuses({"a": 1}, 1, "'f' is int64, but the bucket holds struct<a: int64> there"),
            refuses(1, {"a": 1}, "'f' is a struct, but the bucket holds int64 there"),
            refuses({"a": 1}, {"a": "x"}, r"'f\.a' is string, but the bucket holds int64 there"),
            refuses({"a": 1}, [1]),
            refuses([{"a": 1}], {"a": 1}),
            refuses({"a": [1]}, {"a": [True]}, r"'f\.a\[\]' is bool"),
            refuses(
                np.zeros(3, F32),
                np.zeros(4, F32),
                "'f' is vector<float32, 4>, but the bucket holds vector<float32, 3> there",
            ),
            refuses(np.zeros(4, F32), np.zeros((2, 2), F32)),
            refuses(np.zeros(3, F32), [0.0, 0.0, 0.0], "'f' is a list, but"),
            refuses([0.0], np.zeros(1), "'f' is vector<float64, 1>, but"),
            refuses(np.zeros(3, F32), np.zeros(3, bool)),
            refuses(Decimal("1.5"), 0.5, "'f' is double, but the bucket holds decimal<1> there"),
            refuses(0.5, Decimal("1.5")),
            refuses(1, Decimal("0." + "1" * 38), "'f' is decimal<38>, but the bucket holds int64"),
            refuses(SAMPLES["timestamp with zone"], SAMPLES["timestamp without zone"]),
            refuses(SAMPLES["timestamp without zone"], SAMPLES["timestamp with zone"]),
            refuses(SAMPLES["timestamp without zone"], SAMPLES["date"]),
            refuses(SAMPLES["date"], SAMPLES["timestamp without zone"]),
            refuses(SAMPLES["date"], 1),
        ),
    ),
]

CASES = [(rule, case) for rule in RULES for case in rule.cases]


def markdown():
    """The rows of the documentation's table."""
    rows = (f"| {rule.brings} | {rule.happens} | {rule.table} |\n" for rule in RULES)
    return "".join(rows).replace("|  |", "| |")


def in_page(page):
    """The rows that the page has."""
    rows = page.partition(BEGIN)[2]
    return rows.partition("\n\n")[0] + "\n"


if __name__ == "__main__":
    page = PAGE.read_text()
    PAGE.write_text(page.replace(BEGIN + in_page(page), BEGIN + markdown()))
