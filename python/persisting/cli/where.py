"""``--where``: Lance's filter, on records wherever they are.

Each page of records becomes a Lance table in memory, so that flushed and unflushed ones go through
one and the same implementation of the expression.
"""

from __future__ import annotations

import os
import re
from typing import Any

# Lance warns on stderr of what it does not find in a new dataset.
os.environ.setdefault("LANCE_LOG", "error")

import lance
import pyarrow as pa

from persisting.cli.errors import CommandError

_OFFSET = "_offset"

# Where in Lance's sources an error was made, which tells a user nothing.
_SOURCE = re.compile(r",? *(?:/\S*/)?rust/\S+\.rs:\d+(?::\d+)?")


class Where:
    """An expression in the SQL of Lance's filters; `_offset` is the record's offset."""

    def __init__(self, expression: str) -> None:
        self._expression = expression

    def offsets(self, page: pa.Table, first: int) -> list[int]:
        """Return the offsets of the page's rows that fit; the page begins at offset `first`."""
        numbers = pa.array(range(first, first + page.num_rows), pa.uint64())
        rows = page.append_column(pa.field(_OFFSET, pa.uint64()), numbers)
        try:
            dataset = lance.write_dataset(rows, "memory://")
            found = dataset.to_table(columns=[_OFFSET], filter=self._expression)
        except (ValueError, OSError) as error:
            raise CommandError(f"--where {self._expression!r}: {_plain(error)}") from error
        return sorted(_plain_ints(found[_OFFSET]))


def _plain_ints(column: Any) -> list[int]:
    return [int(value) for value in column.to_pylist()]


def _plain(error: BaseException) -> str:
    text = _SOURCE.sub("", str(error)).replace("Invalid user input: ", "")
    hidden = r", (?:_rowid|_rowaddr|_row_\w+|_rowoffset)\b"
    return re.sub(hidden, "", text).rstrip(". ")
