"""Columns that the functions of the Lance engine add, drop and rename, with the real Lance.

Each change is one version of metadata alone, whatever types the columns have.
"""

import uuid
from decimal import Decimal

import lance
import pyarrow as pa
import pytest

from persisting import _pylance_engine as engine
from persisting._arrow import table_of as table_of_stream

OVERWRITE, APPEND = 1, 0

_BFLOAT16 = {"ARROW:extension:name": "lance.bfloat16", "ARROW:extension:metadata": ""}
_TENSOR = pa.fixed_shape_tensor(pa.float32(), [2, 2])

#: One column of each kind, and a value for it (of its storage, where it is an extension type).
COLUMNS = {
    pa.field("id", pa.int64()): 7,
    pa.field("uuid", pa.uuid()): uuid.UUID(int=5).bytes,
    pa.field("fixed tensor", _TENSOR): [1.0, 2.0, 3.0, 4.0],
    pa.field("price", pa.decimal128(20, 3)): Decimal("1.500"),
    pa.field("map", pa.map_(pa.string(), pa.int64())): [("a", 1), ("b", None)],
    pa.field("empty map", pa.map_(pa.string(), pa.null())): [("a", None)],
    pa.field("empty list", pa.list_(pa.null())): [None, None],
    pa.field("halves", pa.list_(pa.float16(), 3)): [1.0, 2.0, 3.0],
    pa.field("bfloats", pa.list_(pa.field("item", pa.binary(2), metadata=_BFLOAT16), 2)): [
        b"\x80\x3f",
        b"\x00\x40",
    ],
    pa.field(
        "tensor",
        pa.struct({"data": pa.list_(pa.float32()), "shape": pa.list_(pa.int32())}),
        metadata={"persisting:type": "tensor"},
    ): {"data": [1.0, 2.0], "shape": [2]},
    pa.field('names\'s "quotes", [0] \\ 日本語/🛫', pa.list_(pa.string())): ["x", None],
}
_OFFSET = pa.field("_offset", pa.uint64())


def column(field, values):
    if isinstance(field.type, pa.BaseExtensionType):
        storage = pa.array(values, field.type.storage_type)
        return pa.ExtensionArray.from_storage(field.type, storage)
    return pa.array(values, field.type)


def table_of(columns, first=0):
    """Two rows: nulls, then the columns' values."""
    arrays = [column(field, [None, value]) for field, value in columns.items()]
    offsets = pa.array([first, first + 1], _OFFSET.type)
    return pa.Table.from_arrays([offsets, *arrays], schema=pa.schema([_OFFSET, *columns]))


def write(path, base, table):
    mode = OVERWRITE if base is None else APPEND
    stream = table.to_reader().__arrow_c_stream__()
    written, _ = engine.write_fragments(str(path), base, mode, stream)
    return engine.commit(str(path), base.version if base else 0, mode, written, {})


def scan(dataset, offset=0, limit=1000):
    capsule = engine.scan(dataset, offset, limit, None)
    return table_of_stream(capsule)


def check(dataset, table):
    """Of exactly this schema, metadata included, and these rows; the last one read alone, too."""
    assert dataset.schema.equals(table.schema, check_metadata=True)
    assert scan(dataset).combine_chunks().equals(table.combine_chunks())
    last = table.num_rows - 1
    assert scan(dataset, last, 1).to_pylist() == table.slice(last).to_pylist()


def add(dataset, fields):
    return engine.add_columns(dataset, pa.schema(fields).__arrow_c_schema__())


def nulls(table, field):
    return table.append_column(field, column(field, [None] * table.num_rows))


@pytest.fixture
def dataset(tmp_path):
    """Two rows in all columns."""
    return write(tmp_path / "data.lance", None, table_of(COLUMNS))


@pytest.mark.parametrize("field", COLUMNS, ids=lambda field: field.name)
def test_a_column_of_any_kind_is_added_renamed_and_dropped(tmp_path, field):
    start = table_of({})
    dataset = write(tmp_path / "data.lance", None, start)
    dataset = add(dataset, [field])
    check(dataset, nulls(start, field))
    more = table_of({field: COLUMNS[field]}, first=2)
    dataset = write(dataset.uri, dataset, more)
    expected = pa.concat_tables([nulls(start, field), more])
    check(dataset, expected)

    files = engine.data_files(dataset)
    dataset = engine.rename_columns(dataset, {field.name: "the new 'name'"})
    check(dataset, expected.rename_columns(["_offset", "the new 'name'"]))
    dataset = engine.rename_columns(dataset, {"the new 'name'": field.name})
    check(dataset, expected)
    dropped = engine.drop_columns(dataset, [field.name])
    check(dropped, expected.select(["_offset"]))
    assert dropped.version == 6
    assert engine.data_files(dropped) == files
    check(dataset, expected)  # the handle stays where it was


def test_several_columns_change_in_one_version(dataset):
    expected = table_of(COLUMNS)
    changed = engine.drop_columns(dataset, ["map", "uuid"])
    expected = expected.drop_columns(["map", "uuid"])
    check(changed, expected)
    assert changed.version == dataset.version + 1
    swapped = engine.rename_columns(changed, {"price": "tensor", "tensor": "price", "id": "map"})
    renames = {"price": "tensor", "tensor": "price", "id": "map"}
    names = [renames.get(name, name) for name in expected.column_names]
    check(swapped, expected.rename_columns(names))
    assert swapped.version == changed.version + 1
    assert lance.dataset(dataset.uri).version == swapped.version


def test_rows_are_appended_after_the_columns_changed(dataset):
    dataset = engine.drop_columns(dataset, ["fixed tensor"])
    dataset = engine.rename_columns(dataset, {"uuid": "key"})
    parts = [
        table_of(COLUMNS, first).drop_columns(["fixed tensor"]).rename_columns({"uuid": "key"})
        for first in (0, 2, 4)
    ]
    for part in parts[1:]:
        dataset = write(dataset.uri, dataset, part)
    check(dataset, pa.concat_tables(parts))


def test_a_column_under_a_dropped_name_is_another_one(dataset):
    expected = table_of(COLUMNS).drop_columns(["uuid", "id"])
    dataset = engine.drop_columns(dataset, ["uuid", "id"])
    again = pa.field("uuid", pa.list_(pa.float64()), metadata={"persisting:type": "new"})
    dataset = add(dataset, [again])
    expected = nulls(expected, again)
    check(dataset, expected)

    # Another takes a name that was dropped, and keeps its own values.
    dataset = engine.rename_columns(dataset, {"price": "id"})
    expected = expected.rename_columns({"price": "id"})
    check(dataset, expected)
    more = expected.slice(0, 1).set_column(0, _OFFSET, pa.array([2], pa.uint64()))
    at = more.schema.get_field_index("uuid")
    more = more.set_column(at, again, pa.array([[0.5]], again.type))
    dataset = write(dataset.uri, dataset, more)
    check(dataset, pa.concat_tables([expected, more]))

    # After a compaction there is no trace of the old columns.
    lance.dataset(dataset.uri).optimize.compact_files()
    check(lance.dataset(dataset.uri), pa.concat_tables([expected, more]))


def test_a_file_whose_columns_are_dropped_is_not_named_any_more(dataset):
    files = engine.data_files(dataset)
    other = lance.dataset(dataset.uri)
    other.add_columns({"doubled": "id * 2"})  # with values: a file of its own
    assert len(engine.data_files(other).splitlines()) == 2
    assert engine.data_files(engine.drop_columns(other, ["doubled"])) == files


def test_names_that_do_not_fit_change_nothing(dataset):
    for change in [
        lambda: engine.drop_columns(dataset, ["id", "no such"]),
        lambda: engine.rename_columns(dataset, {"id": "new", "no such": "other"}),
        lambda: engine.rename_columns(dataset, {"id": "map"}),
    ]:
        with pytest.raises((OSError, ValueError), match=r"no such|map"):
            change()
    assert lance.dataset(dataset.uri).version == dataset.version
    check(dataset, table_of(COLUMNS))


def test_a_change_is_refused_over_another_programs_change_of_columns(dataset):
    add(dataset, [pa.field("new", pa.int64())])
    for change in [
        lambda: engine.drop_columns(dataset, ["id"]),
        lambda: engine.rename_columns(dataset, {"id": "other"}),
    ]:
        with pytest.raises(OSError, match="preempted"):
            change()
    assert lance.dataset(dataset.uri).version == dataset.version + 1
