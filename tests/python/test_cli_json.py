"""Values as JSON and back: every type that a record can hold, bit for bit."""

import json
import math

import numpy as np
import pytest

from cli_helpers import left_behind, run
from persisting.cli.json_text import dumps, from_json, record_from_json, record_to_json, to_json
from type_table import BFLOAT16, NUMBERS, ROWS, array_of, exact


def there(value):
    """What the value is in JSON."""
    return json.loads(dumps(to_json(value)))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_every_type_comes_back(row):
    for value in [*row.expected, {"a": row.expected[0]}, [row.expected[-1], None]]:
        assert exact(from_json(there(value))) == exact(value)


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("shape", [(), (0,), (7,), (3, 4), (2, 0, 3)])
def test_arrays_of_every_shape(name, shape):
    array = array_of(name, *shape)
    assert exact(from_json(there(array))) == exact(array)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        (True, "true"),
        (2**53 + 1, "9007199254740993"),
        (-(2**63), "-9223372036854775808"),
        (0.1, "0.1"),
        (-0.0, "-0.0"),
        (math.nan, '{"$float": "nan"}'),
        (-math.inf, '{"$float": "-inf"}'),
        (b"\x00\xff", '{"$bytes": "AP8="}'),
        (np.float32(1.5), '{"$float32": 1.5}'),
        (np.uint64(2**64 - 1), '{"$uint64": 18446744073709551615}'),
        (BFLOAT16(0.5), '{"$bfloat16": 0.5}'),
        (np.complex64(1 + 2j), '{"$complex64": [1.0, 2.0]}'),
        (
            np.arange(4, dtype="i2").reshape(2, 2),
            '{"$array": {"type": "int16", "shape": [2, 2], "data": [0, 1, 2, 3]}}',
        ),
        ({"$a": 1}, '{"$object": {"$a": 1}}'),
        ({"$a": 1, "b": 2}, '{"$a": 1, "b": 2}'),
        ("\x1b[31m\x7f\x9b", '"\\u001b[31m\\u007f\\u009b"'),
    ],
)
def test_the_form_of(value, text):
    assert dumps(to_json(value)) == text
    assert exact(from_json(json.loads(text))) == exact(value)


def test_a_record_of_one_field_is_no_type():
    record = {"$bytes": "text", "$float": 1.5}
    for each in (record, {"$bytes": "text"}, {"$object": {"$object": 1}}):
        assert record_from_json(json.loads(dumps(record_to_json(each)))) == each


@pytest.mark.parametrize(
    "text",
    [
        '{"$bytes": "not base64!"}',
        '{"$bytes": 1}',
        '{"$datetime": "yesterday"}',
        '{"$decimal": "x"}',
        '{"$uuid": "5"}',
        '{"$float": "zero"}',
        '{"$float": "nan:00"}',
        '{"$float32": "nan:7fc0000000"}',
        '{"$int8": 1000}',
        '{"$nothing": 1}',
        '{"$array": [1]}',
        '{"$array": {"type": "float32", "shape": [2], "data": [1]}}',
        '{"$array": {"type": "object", "shape": [1], "data": [1]}}',
        '{"$array": {"type": "float32", "shape": [-1, 0], "data": []}}',
    ],
)
def test_what_is_no_value(text):
    with pytest.raises(ValueError, match="is no typed value"):
        from_json(json.loads(text))


def test_get_prints_them(tmp_path):
    records = [{row.name: row.expected[0]} for row in ROWS if row.declared is None]
    bucket = left_behind(tmp_path / "b", records[:30], records[30:])
    for printed, record in zip(run("get", bucket).lines, records, strict=True):
        printed.pop("_offset")
        found = record_from_json(printed)
        (name,) = record
        assert exact(found[name]) == exact(record[name])
