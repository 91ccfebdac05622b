"""The option `schema=`: names and types in whatever form, as the core reads them."""

import datetime
import decimal
import uuid
from collections.abc import Hashable, Mapping
from typing import Any

import pyarrow as pa
from pyarrow import types

from persisting._arrow import storable
from persisting._values import NUMBER_TYPES

_PYTHON_TYPES = {
    bool: "bool",
    int: "int64",
    float: "double",
    str: "string",
    bytes: "bytes",
    datetime.date: "date",
    uuid.UUID: "uuid",
}
_UNCLEAR_TYPES = {
    datetime.datetime: "'timestamp with zone' or 'timestamp without zone'",
    decimal.Decimal: "'decimal<2>', with the digits right of the point",
    list: "a list of one type, as [str]",
    dict: "a dict of names and types, 'map<string, T>' or 'json'",
}
_ARROW_NAMES = {
    pa.bool_(): "bool",
    pa.float16(): "float16",
    pa.float32(): "float32",
    pa.float64(): "double",
    pa.string(): "string",
    pa.binary(): "bytes",
    pa.date32(): "date",
    pa.timestamp("us", "UTC"): "timestamp with zone",
    pa.timestamp("us"): "timestamp without zone",
}


def declaration(schema: Any) -> dict[str, Any]:
    """Return the declared schema as a dict of names and types in words.

    Raises:
        TypeError: it is neither a dict nor an Arrow schema, or a type is none.
    """
    if hasattr(schema, "__arrow_c_schema__"):
        arrow = pa.schema(schema)
        return {field.name: _declared(field.type, field.name) for field in arrow}
    if not isinstance(schema, Mapping):
        raise TypeError(
            "option 'schema' must be a dict of names and types or an Arrow schema,"
            f" not {type(schema).__name__}"
        )
    return {name: _declared(kind, str(name)) for name, kind in schema.items()}


def _declared(kind: Any, name: str) -> Any:
    if isinstance(kind, str):
        return kind
    if isinstance(kind, pa.DataType):
        try:
            return _of_arrow(storable(kind, name), name)
        except TypeError as error:
            raise TypeError(f"schema: {error}") from None
    if isinstance(kind, Mapping):
        return {key: _declared(value, f"{name}.{key}") for key, value in kind.items()}
    if isinstance(kind, list) and len(kind) == 1:
        return [_declared(kind[0], f"{name}[]")]
    if not isinstance(kind, Hashable):
        raise _no_type(kind, name)
    if kind in _PYTHON_TYPES:
        return _PYTHON_TYPES[kind]
    if kind in _UNCLEAR_TYPES:
        raise TypeError(
            f"schema: field {name!r}: {kind.__name__} says too little; use {_UNCLEAR_TYPES[kind]}"
        )
    numpy_name = _numpy_name(kind)
    if numpy_name is not None:
        return numpy_name
    raise _no_type(kind, name)


def _no_type(kind: Any, name: str) -> TypeError:
    return TypeError(
        f"schema: field {name!r}: {kind!r} ({type(kind).__name__}) is no type; use a name as"
        " 'int64', a Python, numpy or Arrow type, a list of one type, or a dict of names and types"
    )


def _numpy_name(kind: Any) -> str | None:
    import numpy as np

    if isinstance(kind, np.dtype) or (isinstance(kind, type) and issubclass(kind, np.generic)):
        name = np.dtype(kind).name
        return name if name in NUMBER_TYPES else None
    return None


def _of_arrow(kind: pa.DataType, name: str) -> Any:  # noqa: PLR0911 - a table
    if isinstance(kind, pa.BaseExtensionType):
        if kind.extension_name == "arrow.uuid":
            return "uuid"
        if kind.extension_name == "lance.bfloat16":
            return "bfloat16"
        return (
            f"tensor<{_text(_of_arrow(kind.value_type, name))}, {', '.join(map(str, kind.shape))}>"
        )
    if types.is_decimal(kind):
        return f"decimal<{kind.scale}>"
    if types.is_fixed_size_list(kind):
        return f"vector<{_text(_of_arrow(kind.value_type, name))}, {kind.list_size}>"
    if types.is_list(kind):
        return [_of_arrow(kind.value_type, f"{name}[]")]
    if types.is_struct(kind):
        return {field.name: _of_arrow(field.type, f"{name}.{field.name}") for field in kind}
    if types.is_map(kind):
        return f"map<string, {_text(_of_arrow(kind.item_type, name))}>"
    if types.is_null(kind):
        raise TypeError(f"field {name!r} is declared null, which is no type to hold values")
    return _ARROW_NAMES.get(kind, str(kind))


def _text(declared: Any) -> str:
    """Return a declared type in one line; 'double' inside arrays is numpy's float64."""
    if isinstance(declared, str):
        return "float64" if declared == "double" else declared
    if isinstance(declared, list):
        return f"list<{_text(declared[0])}>"
    return "struct<" + ", ".join(f"{name}: {_text(kind)}" for name, kind in declared.items()) + ">"
