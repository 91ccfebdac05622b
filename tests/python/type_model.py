"""How a schema grows and what a reader sees, once more in Python: the model of a property test.

Only what records bring themselves: declared types have tests of their own.
"""

import datetime as dt
from decimal import Decimal
from uuid import UUID

import ml_dtypes
import numpy as np

BFLOAT16 = np.dtype(ml_dtypes.bfloat16)
#: Number types, smallest first: name, bits of the integers it has, whether signed.
NUMBERS = {
    "int8": (7, True),
    "uint8": (8, False),
    "int16": (15, True),
    "uint16": (16, False),
    "int32": (31, True),
    "uint32": (32, False),
    "int64": (63, True),
    "uint64": (64, False),
    "float16": (11, True),
    "bfloat16": (8, True),
    "float32": (24, True),
    "float64": (53, True),
    "complex64": (24, True),
    "complex128": (53, True),
}
EXACT = 2**53
DIGITS = 38
SCALARS = {
    bool: "bool",
    str: "string",
    bytes: "bytes",
    dt.date: "date",
    UUID: "uuid",
}


class ConflictError(Exception):
    """A value does not fit."""


def dtype(name):
    return BFLOAT16 if name == "bfloat16" else np.dtype(name)


def is_integer(name):
    return "int" in name


def is_complex(name):
    return name.startswith("complex")


def holds(wide, narrow):
    """Whether one number type has every value of another."""
    if wide == narrow:
        return True
    if "bool" in (wide, narrow):
        return False
    (to, to_signed), (of, of_signed) = NUMBERS[wide], NUMBERS[narrow]
    if is_integer(narrow):
        return to >= of and (to_signed or not of_signed)
    if is_integer(wide) or (is_complex(narrow) and not is_complex(wide)):
        return False
    if is_complex(wide):
        return to >= of
    return to > of and wide != "float16"


def smallest(left, right):
    """The smallest number type that holds two others; None: there is none."""
    for name in [*NUMBERS, "bool"]:
        if holds(name, left) and holds(name, right):
            return name
    return None


class Type:
    """A type that grows."""

    def __init__(self, kind="undecided", **more):
        self.kind = kind  # "number", "tensor", "decimal", "list", "struct", or the type's name
        self.number = more.get("number")
        self.is_inexact = more.get("is_inexact", False)  # holds an integer beyond 2^53
        self.shape = more.get("shape")
        self.scale = more.get("scale")
        self.whole = more.get("whole")
        self.digits = None  # of an integer
        self.element = Type() if kind == "list" else None
        self.members = {}

    def __str__(self):
        if self.kind == "number":
            return "double" if self.number == "float64" else self.number
        if self.kind == "tensor":
            parts = [self.number, *map(str, self.shape)] if self.shape else [self.number, "scalar"]
            return f"{'vector' if len(self.shape) == 1 else 'tensor'}<{', '.join(parts)}>"
        if self.kind == "decimal":
            return f"decimal<{self.scale}>"
        if self.kind == "list":
            return f"list<{self.element}>"
        if self.kind == "struct":
            return f"struct<{', '.join(f'{n}: {t}' for n, t in self.members.items())}>"
        return self.kind

    def grow(self, value):
        """Hold the value too, or raise ConflictError (and be of no use any more)."""
        value = plain(value)
        if value is None:
            return
        given = type_of(value)
        if not self._fits(value, given):
            self._widen(given)
        if self.kind == "list":
            for each in value:
                self.element.grow(each)
        elif self.kind == "struct":
            self.grow_members(value)

    def grow_members(self, value):
        for name, each in value.items():
            self.members.setdefault(name, Type()).grow(each)

    def _fits(self, value, given):
        if self.kind == "decimal" and given.digits is not None:
            return given.digits <= self.whole
        if self.kind != given.kind:
            return False
        if self.kind == "number":
            return self._number_fits(value, given)
        return False  # _widen does no more than is needed

    def _number_fits(self, value, given):
        if self.number == given.number and not is_integer(self.number):
            return True
        if not is_integer(given.number):
            return holds(self.number, given.number)
        value = int(value)
        bits, is_signed = NUMBERS[self.number]
        if is_integer(self.number):
            if not holds(self.number, given.number) and bits < 63:
                return False
            least = -(2**bits) if is_signed else 0
            has_it = least <= value < 2**bits
            self.is_inexact |= has_it and abs(value) > EXACT
            return has_it
        return abs(value) <= 2**bits

    def _widen(self, given):
        if self.kind == "undecided":
            self.__dict__.update(given.__dict__)
        elif self.kind == "number" and given.kind == "number":
            self._widen_number(given)
        elif self.kind == "decimal" and given.kind in ("decimal", "number"):
            if given.kind == "number":
                if given.digits is None:
                    raise ConflictError
                given = Type("decimal", scale=0, whole=given.digits)
            scale, whole = max(self.scale, given.scale), max(self.whole, given.whole)
            if scale + whole > DIGITS:
                raise ConflictError
            self.scale, self.whole = scale, whole
        elif self.kind == "number" and is_integer(self.number) and given.kind == "decimal":
            whole = max(20 if self.is_inexact else 16, given.whole)  # digits of 2^64, of 2^53
            if given.scale + whole > DIGITS:
                raise ConflictError
            self.__dict__.update(Type("decimal", scale=given.scale, whole=whole).__dict__)
        elif self.kind != given.kind:
            raise ConflictError
        elif self.kind == "tensor":
            wide = smallest(self.number, given.number)
            if self.shape != given.shape or wide is None:
                raise ConflictError
            self.number = wide

    def _widen_number(self, given):
        wide = smallest(self.number, given.number)
        is_inexact = self.is_inexact or given.is_inexact
        if wide is None and not is_inexact and is_integer(self.number) != is_integer(given.number):
            has_complex = is_complex(self.number) or is_complex(given.number)
            wide = "complex128" if has_complex else "float64"
        if wide is None:
            raise ConflictError
        self.number = wide
        self.is_inexact = is_inexact and is_integer(wide)

    def seen(self, value):
        """What a reader gets for a value that was put."""
        value = plain(value)
        if value is None:
            return None
        if self.kind == "number":
            return plain(as_number(np.asarray(value), type_of(value).number, self.number)[()])
        if self.kind == "tensor":
            return as_number(value, value.dtype.name, self.number)
        if self.kind == "decimal":
            coefficient, scale = parts_of(value)
            return decimal_of(coefficient * 10 ** (self.scale - scale), self.scale)
        if self.kind == "list":
            return [self.element.seen(each) for each in value]
        if self.kind == "struct":
            return {name: kind.seen(value.get(name)) for name, kind in self.members.items()}
        if isinstance(value, dt.datetime) and value.tzinfo is not None:
            return value.astimezone(dt.UTC)
        return value


def parts_of(number):
    """Coefficient and scale of a Decimal or int."""
    if not isinstance(number, Decimal):
        return int(number), 0
    sign, digits, exponent = number.as_tuple()
    coefficient = int("".join(map(str, digits))) * 10 ** max(exponent, 0)
    return -coefficient if sign else coefficient, max(-exponent, 0)


def decimal_of(coefficient, scale):
    digits = tuple(map(int, str(abs(coefficient))))
    return Decimal((int(coefficient < 0), digits, -scale))


def digits_of(integer):
    return len(str(abs(integer))) if integer else 0


def plain(value):
    """The value, numpy's int64, float64 and bool as Python's."""
    is_pythons = isinstance(value, np.generic) and value.dtype.name in ("bool", "int64", "float64")
    return value.item() if is_pythons else value


def as_number(array, of, to):
    """The numbers as another type holds them. Double, which all pass, makes NaNs quiet."""
    array = np.asarray(array, dtype(of))
    if of == to:
        return np.array(array, order="C")
    if is_integer(of) or of == "bool":
        return array.astype(dtype(to))
    if is_complex(of):
        part = np.float32 if of == "complex64" else np.float64
        parts = np.ascontiguousarray(array).reshape(-1).view(part).astype(np.float64)
        return parts.view(np.complex128).reshape(array.shape)
    wide = array.astype(np.float32).astype(np.float64) if of != "float64" else array
    if is_complex(to):
        part = np.float32 if to == "complex64" else np.float64
        made = np.zeros(array.shape, dtype(to))
        made.real = wide.astype(part)
        return made
    return wide.astype(dtype(to))


def type_of(value):
    """The type of one value, elements and members left out."""
    if isinstance(value, bool):
        return Type("bool")
    if isinstance(value, int):
        kind = Type("number", number="int64", is_inexact=abs(value) > EXACT)
        kind.digits = digits_of(value)
        return kind
    if isinstance(value, np.generic):
        name = value.dtype.name
        is_inexact = is_integer(name) and abs(int(value)) > EXACT
        kind = Type("number", number=name, is_inexact=is_inexact)
        kind.digits = digits_of(int(value)) if is_integer(name) else None
        return kind
    if isinstance(value, float):
        return Type("number", number="float64")
    if isinstance(value, np.ndarray):
        return Type("tensor", number=value.dtype.name, shape=value.shape)
    if isinstance(value, Decimal):
        coefficient, scale = parts_of(value)
        return Type("decimal", scale=scale, whole=max(digits_of(coefficient) - scale, 0))
    if isinstance(value, dt.datetime):
        return Type(f"timestamp {'with' if value.tzinfo is not None else 'without'} zone")
    if isinstance(value, list):
        return Type("list")
    if isinstance(value, dict):
        return Type("struct")
    return Type(SCALARS[type(value)])
