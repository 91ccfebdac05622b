"""The records that make_bucket_v1.py puts into its bucket, and what a reader must get of them."""

import datetime as dt
import math
import random

UTC = dt.UTC

FIRST_FLUSH = 20  # records in the table's first version
FLUSHED = 40  # records in the table; the second flush has changed its schema
COUNT = 90  # the rest is in the log alone

EXTREMES = [2**63 - 1, -(2**63), 0, -1, 2**53 + 1]
REALS = [0.0, -0.0, 1.5, math.inf, -math.inf, math.nan, 5e-324, 1.7976931348623157e308]
TEXTS = ["", "plain", "日本語 🛫", "line\nbreak", "\x00", "x" * 300]
BYTES = [b"", b"\x00\xff", bytes(range(256))]
INSTANTS = [
    dt.datetime(2013, 1, 1, 5, 17, tzinfo=UTC),
    dt.datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
]
WALL_CLOCK = [dt.datetime(2013, 1, 1, 5, 17, 0, 1), dt.datetime(1, 1, 1)]
DAYS = [dt.date(2013, 1, 1), dt.date(1970, 1, 1), dt.date(9999, 12, 31)]


def record(number):
    """The record with that offset, as it was put."""
    made = random.Random(number)
    fields = {
        "id": number,
        "nothing": None,
        "integer": EXTREMES[number % len(EXTREMES)],
        "real": REALS[number % len(REALS)],
        "flag": number % 2 == 0,
        "text": TEXTS[number % len(TEXTS)],
        "raw": BYTES[number % len(BYTES)],
        "instant": INSTANTS[number % len(INSTANTS)],
        "wall": WALL_CLOCK[number % len(WALL_CLOCK)],
        "day": DAYS[number % len(DAYS)],
        "widened": number,
        "late_widened": number,
        "integers": [made.randrange(-1000, 1000) for _ in range(made.randrange(4))],
        "nested": {"a": number, "b": [{"c": "x" * (number % 3), "d": [[], [1.5, None]]}]},
        "struct": {"x": number / 4},
        "empty_list": [],
        "empty_struct": {},
    }
    if number % 7 == 3:
        fields = dict.fromkeys(fields) | {"id": number}
    if number % 5 == 2:
        del fields["text"]
    if number >= FIRST_FLUSH:  # the table is rewritten, and gets a column
        fields["widened"] = number + 0.5
        fields["added"] = f"since {number}"
        if fields["struct"] is not None:
            fields["struct"]["y"] = {"z": [number]}
    if number >= FLUSHED:  # so far only the log knows
        fields["late_widened"] = number + 0.25
        fields["only_in_log"] = {"when": INSTANTS[0], "values": [number, None]}
        fields["decided_in_log"] = None if number < FLUSHED + 10 else b"\x01"
    return fields


def records():
    """All records, as they were put."""
    return [record(number) for number in range(COUNT)]


def expected():
    """All records as they are read: integers of double fields are doubles, structs are complete."""
    return [as_read(fields, "widened", "late_widened") for fields in records()]


def in_table():
    """The records of the table as its other readers find them: an empty struct has a child there,
    and what only the log knows has not come to it.
    """
    rows = [as_read(fields, "widened") for fields in records()[:FLUSHED]]
    for row in rows:
        if row["empty_struct"] is not None:
            row["empty_struct"] = {"__empty_struct": None}
    return rows


def as_read(fields, *doubles):
    for name in doubles:
        if fields[name] is not None:
            fields[name] = float(fields[name])
    if fields["struct"] is not None:
        fields["struct"].setdefault("y", None)
    return fields
