"""Values of records as JSON, and back, without a loss.

What JSON has is itself: null, booleans, text, integers of any size, finite floats. Everything else
is an object of one member whose name begins with ``$`` and tells the type; docs/cli.md has the
table. A record's own object that looks like one is put into ``{"$object": …}``.
"""

from __future__ import annotations

import base64
import datetime as dt
import json
import math
import re
import struct
import sys
from collections.abc import Callable
from decimal import Decimal
from typing import Any
from uuid import UUID

# DEL and the C1 controls, which json leaves alone and terminals obey.
_CONTROLS = re.compile("[\x7f-\x9f]")

_CANONICAL_NAN = struct.pack("<d", math.nan)


def dumps(value: object, *, ascii_only: bool | None = None) -> str:
    """Return one line of JSON, control characters escaped.

    Args:
        value: what JSON has, see `to_json`.
        ascii_only: escape all but ASCII; None: where stdout's encoding is not one of Unicode.
    """
    if ascii_only is None:
        ascii_only = not (sys.stdout.encoding or "").lower().startswith("utf")
    text = json.dumps(value, ensure_ascii=ascii_only, allow_nan=False)
    return _CONTROLS.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def record_to_json(record: dict[str, Any]) -> dict[str, Any]:
    """Return what stands for a record; its own members are never taken for a type."""
    return {name: to_json(value) for name, value in record.items()}


def record_from_json(record: dict[str, Any]) -> dict[str, Any]:
    """Return the record that `record_to_json` was given; ValueError as `from_json`."""
    return {name: from_json(value) for name, value in record.items()}


def to_json(value: Any) -> Any:  # noqa: PLR0911 - a table
    """Return what stands for a value in JSON."""
    if value is None or value is True or value is False:
        return value
    kind = type(value)
    if kind is str or kind is int:
        return value
    if kind is float:
        return value if math.isfinite(value) else {"$float": _odd_float(value)}
    if kind is dict:
        plain = {name: to_json(each) for name, each in value.items()}
        looks_typed = len(plain) == 1 and next(iter(plain)).startswith("$")
        return {"$object": plain} if looks_typed else plain
    if kind is list:
        return [to_json(each) for each in value]
    if isinstance(value, (bytes, bytearray, memoryview)):
        return {"$bytes": base64.b64encode(value).decode()}
    if isinstance(value, dt.datetime):
        return {"$datetime": value.isoformat()}
    if isinstance(value, dt.date):
        return {"$date": value.isoformat()}
    if isinstance(value, Decimal):
        return {"$decimal": str(value)}
    if isinstance(value, UUID):
        return {"$uuid": str(value)}
    return _numpy_to_json(value)


def from_json(value: Any) -> Any:
    """Return the value that `to_json` was given; ValueError where a typed object is none."""
    if isinstance(value, list):
        return [from_json(each) for each in value]
    if not isinstance(value, dict):
        return value
    if len(value) == 1:
        (name,) = value
        if name.startswith("$"):
            return _typed(name, value[name])
    return {name: from_json(each) for name, each in value.items()}


def _numpy_to_json(value: Any) -> Any:
    import numpy as np

    if isinstance(value, np.ndarray):
        return {
            "$array": {
                "type": value.dtype.name,
                "shape": list(value.shape),
                "data": _numbers(value),
            }
        }
    if isinstance(value, np.generic):
        numbers = _numbers(np.asarray(value))
        return {f"${value.dtype.name}": numbers[0] if len(numbers) == 1 else numbers}
    raise TypeError(f"a {type(value).__name__} has no form in JSON")


def _numbers(array: Any) -> list[Any]:
    """All numbers of an array in a row; a complex one as two."""
    import numpy as np

    flat = np.ascontiguousarray(array).reshape(-1)
    if flat.dtype.kind == "c":
        flat = flat.view(f"f{flat.dtype.itemsize // 2}")
    if flat.dtype.kind in "iub":
        return list(flat.tolist())
    wide = flat.astype(np.float64)  # holds every value of the smaller types exactly
    if np.isfinite(wide).all():
        return list(wide.tolist())
    plain_nan = np.full(1, np.nan, np.float64).astype(flat.dtype).tobytes()
    return [
        each if math.isfinite(each) else _odd_number(each, flat[i : i + 1].tobytes(), plain_nan)
        for i, each in enumerate(wide.tolist())
    ]


def _odd_float(value: float) -> str:
    return _odd_number(value, struct.pack("<d", value), _CANONICAL_NAN)


def _odd_number(value: float, data: bytes, plain_nan: bytes) -> str:
    if value in {math.inf, -math.inf}:
        return "inf" if value > 0 else "-inf"
    return "nan" if data == plain_nan else f"nan:{data[::-1].hex()}"


def _number_of(value: Any, dtype: Any) -> bytes:
    import numpy as np

    if isinstance(value, str) and value.startswith("nan:"):
        data = bytes.fromhex(value[4:])[::-1]
        if len(data) != dtype.itemsize:
            raise ValueError(f"{value!r} is no {dtype.name}")
        return data
    return np.array([float(value)], np.float64).astype(dtype).tobytes()


def _array(name: str, shape: list[int], data: list[Any]) -> Any:
    import numpy as np

    dtype = _dtype(name)
    part = np.dtype(f"f{dtype.itemsize // 2}") if dtype.kind == "c" else dtype
    if part.kind in "iub":
        return np.array(data, part).reshape(shape)
    return np.frombuffer(bytearray(b"".join(_number_of(n, part) for n in data)), dtype).reshape(
        shape
    )


def _dtype(name: str) -> Any:
    import ml_dtypes
    import numpy as np

    from persisting._values import NUMBER_TYPES

    if name not in NUMBER_TYPES or not name:
        raise ValueError(f"{name!r} is no number type; there are {', '.join(NUMBER_TYPES[1:])}")
    return np.dtype(ml_dtypes.bfloat16 if name == "bfloat16" else name)


def _float(text: Any) -> float:
    import numpy as np

    return float(np.frombuffer(_number_of(text, np.dtype(np.float64)), np.float64)[0])


_TYPED: dict[str, Callable[[Any], Any]] = {
    "$bytes": lambda text: base64.b64decode(text, validate=True),
    "$datetime": dt.datetime.fromisoformat,
    "$date": dt.date.fromisoformat,
    "$decimal": Decimal,
    "$uuid": UUID,
    "$float": _float,
    "$array": lambda parts: _array(parts["type"], parts["shape"], parts["data"]),
    "$object": lambda members: {name: from_json(each) for name, each in members.items()},
}


def _typed(name: str, content: Any) -> Any:
    try:
        if name in _TYPED:
            return _TYPED[name](content)
        numbers = content if isinstance(content, list) else [content]
        return _array(name[1:], [1], numbers)[0]
    except (ArithmeticError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"{json.dumps({name: content})[:100]} is no typed value ({error}); a record's own"
            ' object of one member with such a name stands in {"$object": …}'
        ) from error
