"""Values of other packages, on their way into a record and back: Decimal, UUID, Enum, numpy, torch.

The core's encoder calls `plan` for every value that is of none of the types it knows itself; its
decoder calls the `make_…` functions. numpy and ml_dtypes are imported with the first value that
needs them.
"""

import enum
import sys
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

#: What `plan` returns first: how the core is to store the value.
VALUE, NUMBER, ARRAY, DECIMAL, UUID_BYTES = range(5)

#: Names of the number types by their code, `persisting/number_type.h`.
NUMBER_TYPES = (
    "",
    "int8",
    "int16",
    "int32",
    "int64",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
    "float16",
    "bfloat16",
    "float32",
    "float64",
    "complex64",
    "complex128",
    "bool",
)
_CODES = {name: code for code, name in enumerate(NUMBER_TYPES) if name}
_BFLOAT16 = _CODES["bfloat16"]
_MAX_DIGITS = 38
_MOST = 2**31 - 1  # of bytes and of an extent: what a column of the table can say

_dtypes: list[Any] = []


def plan(value: object) -> tuple[Any, ...] | None:
    """Return how to store the value, or None where it cannot be stored.

    (VALUE, other): store the other instead. (NUMBER, type, bytes), (ARRAY, type, shape,
    bytes-like), (DECIMAL, coefficient as 16 bytes, scale), (UUID_BYTES, bytes).

    Raises:
        ValueError, TypeError: it is of a known type, but this one cannot be stored. The message
            goes on after "field 'x' ".
    """
    if isinstance(value, enum.Enum):
        return VALUE, value.value
    if isinstance(value, datetime):
        return VALUE, _plain_datetime(value)
    if isinstance(value, Decimal):
        return _plan_decimal(value)
    if isinstance(value, UUID):
        return UUID_BYTES, value.bytes
    numpy = sys.modules.get("numpy")
    if numpy is not None and isinstance(value, numpy.generic):
        return _plan_scalar(value)
    array = _as_array(value)
    return None if array is None else _plan_array(array)


def make_number(code: int, data: bytes) -> Any:
    """Return the numpy scalar of these bytes."""
    return _array_of(code, data)[0]


def make_array(code: int, shape: tuple[int, ...], data: bytearray) -> Any:
    """Return the numpy array over these bytes, writable."""
    return _array_of(code, data).reshape(shape)


def make_decimal(coefficient: bytes, scale: int) -> Decimal:
    """Return coefficient * 10^-scale, with as many decimals as scale says."""
    return Decimal(f"{int.from_bytes(coefficient, 'little', signed=True)}E-{scale}")


def make_uuid(data: bytes) -> UUID:
    """Return the UUID of these bytes."""
    return UUID(bytes=data)


def _plain_datetime(value: Any) -> datetime | None:
    """Return what a subclass of datetime says, say one of pandas."""
    if value != value:  # noqa: PLR0124 - pandas.NaT
        return None
    if getattr(value, "nanosecond", 0):
        raise ValueError(f"holds {value}, whose fraction of a microsecond would be lost; round it")
    return datetime(
        value.year,
        value.month,
        value.day,
        value.hour,
        value.minute,
        value.second,
        value.microsecond,
        value.tzinfo,
        fold=value.fold,
    )


def _plan_decimal(value: Decimal) -> tuple[Any, ...]:
    if not value.is_finite():
        raise ValueError(f"holds Decimal {value}, which no decimal column has; store float or None")
    sign, all_digits, exponent = value.as_tuple()
    assert isinstance(exponent, int)  # noqa: S101 - the others are not finite
    digits = "".join(map(str, all_digits)).lstrip("0")
    scale = -exponent
    if scale > _MAX_DIGITS:  # zeros at the end say nothing but how many there are
        spare = min(scale - _MAX_DIGITS, len(digits) - len(digits.rstrip("0")))
        digits = digits[: len(digits) - spare]
        scale = scale - spare if digits else _MAX_DIGITS
    elif scale < 0:
        # A coefficient of millions of digits is not made, only to be refused.
        digits += "0" * min(-scale, _MAX_DIGITS + 1) if digits else ""
        scale = 0
    if scale > _MAX_DIGITS or len(digits) > _MAX_DIGITS:
        raise ValueError(
            f"holds Decimal {value}, which needs more than the {_MAX_DIGITS} digits that a decimal"
            " column has; round it, or store str"
        )
    coefficient = int(digits or "0")
    signed = -coefficient if sign else coefficient
    return DECIMAL, signed.to_bytes(16, "little", signed=True), scale


def _plan_scalar(value: Any) -> tuple[Any, ...]:
    name = value.dtype.name
    if name in {"bool", "int64", "float64"}:
        return VALUE, value.item()
    if value.dtype.kind == "M":
        return VALUE, _datetime_of(value)
    if name not in _CODES:
        raise TypeError(_unstorable(f"is a numpy {name}"))
    return NUMBER, _CODES[name], value.astype(value.dtype.newbyteorder("=")).tobytes()


def _datetime_of(value: Any) -> object:
    import numpy as np

    if np.isnat(value):
        return None
    exact = value.astype("datetime64[us]")
    if exact != value:
        raise ValueError(
            f"holds datetime64 {value}, whose fraction of a microsecond would be lost; round it"
        )
    plain: object = exact.item() if np.datetime_data(value.dtype)[0] != "D" else value.item()
    if isinstance(plain, int):
        raise ValueError(
            f"holds datetime64 {value}, which lies outside the years 1 to 9999; store int"
        )
    return plain


def _as_array(value: Any) -> Any:
    """Return the value as a numpy array; None if it is no array of any kind."""
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(value, torch.Tensor):
        return _from_torch(value)
    kind = type(value)
    if not any(hasattr(kind, name) for name in ("__array__", "__dlpack__", "__array_interface__")):
        return None
    import numpy as np

    if isinstance(value, np.ma.MaskedArray) and np.ma.is_masked(value):
        raise ValueError(
            "is a masked array, whose mask would be lost; store .filled(…) or .tolist()"
        )
    if isinstance(value, np.ndarray):
        return value
    if hasattr(kind, "__dataframe__") or hasattr(kind, "columns"):
        raise TypeError(
            f"is a {kind.__name__}, whose columns would be lost; put its rows as records, or store"
            " a dict of its columns"
        )
    if _has_nulls(value, np.dtype):
        raise ValueError(
            f"is a {kind.__name__} with nulls, which an array cannot have; fill them, or store a"
            " list (.to_pylist(), .to_list())"
        )
    try:
        if hasattr(kind, "__array__"):
            return np.asarray(value)
        return np.from_dlpack(value)
    except (BufferError, RuntimeError, TypeError, ValueError) as error:
        raise TypeError(
            f"is a {kind.__name__} that gives numpy no array: {error}; store a numpy array or a"
            " list of Python values"
        ) from error


def _has_nulls(value: Any, numpy_dtype: type) -> bool:
    """Whether it holds something (of Arrow, polars, pandas) that numpy would make a NaN of."""
    nulls = getattr(value, "null_count", 0)
    if nulls() if callable(nulls) else nulls:
        return True
    return not isinstance(value.dtype, numpy_dtype) if getattr(value, "hasnans", False) else False


def _from_torch(tensor: Any) -> Any:
    torch = sys.modules["torch"]
    if tensor.layout is not torch.strided:
        raise TypeError(f"is a tensor of layout {tensor.layout}; store .to_dense() or its parts")
    try:
        plain = tensor.detach().cpu().resolve_conj().resolve_neg()
        if plain.dtype is not torch.bfloat16:
            return plain.numpy()
        # numpy knows bfloat16 by ml_dtypes alone, and torch does not know that.
        return plain.contiguous().view(torch.int16).numpy().view(_dtype(_BFLOAT16))
    except (RuntimeError, TypeError) as error:
        raise TypeError(_unstorable(f"is a tensor of {tensor.dtype} ({error})")) from error


def _plan_array(array: Any) -> tuple[Any, ...]:
    import numpy as np

    name = array.dtype.name
    if name not in _CODES:
        raise TypeError(_unstorable(f"is an array of {array.dtype}"))
    if array.nbytes > _MOST or max(array.shape, default=0) > _MOST:
        raise ValueError(
            f"is an array of {array.nbytes} bytes and shape {array.shape}; an array may have 2 GiB,"
            " and 2^31 - 1 along each dimension: split it"
        )
    if not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="))
    data = np.asarray(array, order="C").reshape(-1).view(np.uint8)
    if name == "bool" and data.size and data.max() > 1:  # a view of other bytes
        data = np.not_equal(data, 0).view(np.uint8)
    return ARRAY, _CODES[name], array.shape, data


def _unstorable(what: str) -> str:
    return (
        f"{what}, which cannot be stored; use bool, integers, float16 to float64, bfloat16 or"
        " complex64/128 (.astype), or a list of Python values (.tolist())"
    )


def _dtype(code: int) -> Any:
    if not _dtypes:
        import ml_dtypes
        import numpy as np

        _dtypes.extend(
            np.dtype(ml_dtypes.bfloat16 if code == _BFLOAT16 else name or "V")
            for code, name in enumerate(NUMBER_TYPES)
        )
    return _dtypes[code]


def _array_of(code: int, data: bytes | bytearray) -> Any:
    import numpy as np

    return np.frombuffer(data, dtype=_dtype(code))
