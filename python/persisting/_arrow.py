"""Arrow data on their way into a backend: brought to the types that records have.

Anything with the Arrow PyCapsule interface is taken. Types that mean the same get their plain form
(large and view variants, dictionaries, other units of time); what would lose something is refused.
"""

from typing import Any

import pyarrow as pa
from pyarrow import compute, types

_NUMBERS = frozenset(
    {
        pa.bool_(),
        pa.int8(),
        pa.int16(),
        pa.int32(),
        pa.int64(),
        pa.uint8(),
        pa.uint16(),
        pa.uint32(),
        pa.uint64(),
        pa.float16(),
        pa.float32(),
        pa.float64(),
    }
)
_BFLOAT16 = "lance.bfloat16"
_FIRST_DAY = -719_162  # 0001-01-01, from 1970 on
_LAST_DAY = 2_932_896  # 9999-12-31
_KEPT_EXTENSIONS = frozenset({"arrow.uuid", _BFLOAT16})


def is_arrow(data: object) -> bool:
    """Whether the object offers record batches by the Arrow PyCapsule interface."""
    return hasattr(data, "__arrow_c_stream__") or hasattr(data, "__arrow_c_array__")


def record_batch(data: Any) -> pa.RecordBatch:
    """Return the data as one record batch of storable types.

    Raises:
        TypeError: a column has a type that no record holds, or the data are no table.
        ValueError: a value would be lost, or the data pass what one batch can hold.
    """
    table = _table(data)
    columns = []
    fields = []
    for field, column in zip(table.schema, table.columns, strict=True):
        wanted = _storable_field(field, field.name).type
        if wanted == field.type and not isinstance(wanted, pa.FixedShapeTensorType):
            columns.append(column)
            fields.append(field)
            continue
        try:
            chunks = [_converted(chunk, wanted) for chunk in column.chunks]
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise ValueError(
                f"column {field.name!r} ({field.type}) cannot be stored as {wanted}: {error};"
                " cast or round it before"
            ) from error
        columns.append(pa.chunked_array(chunks, type=wanted))
        fields.append(pa.field(field.name, wanted))
    batches = (
        pa.Table.from_arrays(columns, schema=pa.schema(fields)).combine_chunks().to_batches()
        if columns
        else []
    )
    if len(batches) > 1:
        raise ValueError("the data pass 2 GiB of text in one column; put them in parts")
    if not batches:
        return pa.RecordBatch.from_pylist([], schema=pa.schema(fields))
    for name, column in zip(batches[0].schema.names, batches[0].columns, strict=True):
        _check_times(column, name)
    return batches[0]


def _check_times(array: pa.Array, name: str) -> None:
    """Raise ValueError where a time lies outside the years that Python can read back."""
    kind = array.type
    if types.is_struct(kind):
        for field, column in zip(kind, array.flatten(), strict=True):
            _check_times(column, f"{name}.{field.name}")
    elif types.is_list(kind):
        _check_times(array.flatten(), f"{name}[]")
    elif types.is_map(kind):
        _check_times(array.items, f"{name}[]")
    elif types.is_timestamp(kind) or types.is_date(kind):
        bounds = compute.min_max(array.cast(pa.int64() if types.is_timestamp(kind) else pa.int32()))
        unit = 86_400_000_000 if types.is_timestamp(kind) else 1
        least, most = bounds["min"].as_py(), bounds["max"].as_py()
        if least is not None and (least < _FIRST_DAY * unit or most >= (_LAST_DAY + 1) * unit):
            raise ValueError(
                f"column {name!r} holds a time outside the years 1 to 9999; replace it by null,"
                " or store it as int"
            )


def table_of(stream: Any) -> pa.Table:
    """Return the table in a capsule of an Arrow stream."""
    return pa.table(StreamCapsule(stream))


class StreamCapsule:
    """Presents a capsule of the Arrow PyCapsule interface as an object that has one."""

    def __init__(self, capsule: object) -> None:
        self._capsule = capsule

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return self._capsule


def _table(data: Any) -> pa.Table:
    try:
        if hasattr(data, "__arrow_c_stream__"):
            return pa.table(data)
        return pa.Table.from_batches([pa.record_batch(data)])
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, TypeError, ValueError) as error:
        raise TypeError(
            f"{type(data).__name__} offers Arrow data that are no table: {error};"
            " give a table, a record batch or a data frame"
        ) from error


def _converted(array: pa.Array, wanted: pa.DataType) -> pa.Array:  # noqa: PLR0911 - a table
    """Return the array as the type that `storable` gave for its own."""
    kind = array.type
    if isinstance(wanted, pa.BaseExtensionType):
        return pa.ExtensionArray.from_storage(wanted, array.storage)
    if kind == wanted:
        return array
    if isinstance(kind, pa.BaseExtensionType):
        return _converted(array.storage, wanted)
    if types.is_dictionary(kind):  # casting knows fewer types of dictionaries
        return _converted(array.dictionary, wanted).take(array.indices)
    if types.is_run_end_encoded(kind):
        return _converted(compute.run_end_decode(array), wanted)
    if types.is_list_view(kind) or types.is_large_list_view(kind):  # casting makes wrong offsets
        lengths = compute.fill_null(compute.list_value_length(array), 0).cast(pa.int32())
        offsets = pa.concat_arrays([pa.array([0], pa.int32()), compute.cumulative_sum(lengths)])
        values = _converted(array.flatten(), wanted.value_type)
        mask = array.is_null() if array.null_count else None
        return pa.ListArray.from_arrays(offsets, values, type=wanted, mask=mask)
    return array.cast(wanted)


def storable(kind: pa.DataType, name: str) -> pa.DataType:  # noqa: PLR0911, PLR0912 - a table
    """Return the type that stands for `kind` in a record; TypeError where there is none."""
    if isinstance(kind, pa.BaseExtensionType):
        if kind.extension_name == "arrow.fixed_shape_tensor":
            return _plain_tensor(kind, name)
        if kind.extension_name in _KEPT_EXTENSIONS:
            return kind
        return storable(kind.storage_type, name)
    if types.is_dictionary(kind) or types.is_run_end_encoded(kind):
        return storable(kind.value_type, name)
    if types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind):
        return pa.string()
    if (
        types.is_binary(kind)
        or types.is_large_binary(kind)
        or types.is_binary_view(kind)
        or types.is_fixed_size_binary(kind)
    ):
        return pa.binary()
    if types.is_timestamp(kind):
        return pa.timestamp("us", "UTC" if kind.tz is not None else None)
    if types.is_date(kind):
        return pa.date32()
    if types.is_decimal(kind):
        return pa.decimal128(38, max(kind.scale, 0))
    if types.is_fixed_size_list(kind) and kind.value_type in _NUMBERS:
        return kind
    if types.is_fixed_size_list(kind) and _is_bfloat16(kind.value_field):
        return kind
    if _is_list(kind):
        return pa.list_(_storable_field(kind.value_field, f"{name}[]"))
    if types.is_struct(kind):
        return pa.struct([_storable_field(field, f"{name}.{field.name}") for field in kind])
    if types.is_map(kind):
        storable_key = storable(kind.key_type, f"{name} (its keys)")
        if storable_key == pa.string():
            return pa.map_(storable_key, _storable_field(kind.item_field, f"{name}[]"))
    if kind in _NUMBERS or types.is_null(kind):
        return kind
    raise TypeError(
        f"column {name!r} is {kind}, which no record holds; cast it to numbers, text or another"
        " type of docs/types.md"
    )


def _plain_tensor(kind: pa.FixedShapeTensorType, name: str) -> pa.DataType:
    """Return the type of the same tensors without names or an order of their dimensions."""
    order = kind.permutation
    if order is not None and list(order) != sorted(order):
        raise TypeError(
            f"column {name!r} is {kind}, whose dimensions lie in another order in memory;"
            " transpose it to row-major order"
        )
    return pa.fixed_shape_tensor(kind.value_type, kind.shape)


def _storable_field(field: pa.Field, name: str) -> pa.Field:
    if _is_bfloat16(field):
        return field
    wanted = storable(field.type, name)
    # Tensors are equal whether or not they spell out the order of their dimensions.
    keeps = wanted == field.type and not isinstance(wanted, pa.FixedShapeTensorType)
    return field if keeps else pa.field(field.name, wanted)


def _is_bfloat16(field: pa.Field) -> bool:
    """Whether it holds bfloat16; without a registered class only its metadata say so."""
    if isinstance(field.type, pa.BaseExtensionType):
        return bool(field.type.extension_name == _BFLOAT16)
    named = (field.metadata or {}).get(b"ARROW:extension:name")
    return bool(named == _BFLOAT16.encode() and field.type == pa.binary(2))


def _is_list(kind: pa.DataType) -> bool:
    return any(
        is_it(kind)
        for is_it in (
            types.is_list,
            types.is_large_list,
            types.is_list_view,
            types.is_large_list_view,
            types.is_fixed_size_list,
        )
    )
