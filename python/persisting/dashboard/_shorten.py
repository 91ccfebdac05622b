"""Values of records as short texts: a page shows what a record looks like, not all of it."""

from __future__ import annotations

import reprlib
from collections.abc import Iterable
from typing import Any

#: Longest text of one value.
LONGEST = 120
#: Most fields of a record that are shown.
MOST_FIELDS = 60


class _Short(reprlib.Repr):
    """repr() that does not walk through what it will not show."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlevel = 3
        self.maxlist = self.maxtuple = self.maxdict = 8
        self.maxstring = self.maxother = self.maxlong = LONGEST

    def repr_bytes(self, value: bytes, _level: int) -> str:
        if len(value) <= 24:
            return repr(value)
        return f"{value[:24]!r}… {len(value)} bytes"


_short = _Short()


def shorten(value: Any) -> str:
    """Return a text of one line and at most `LONGEST` characters."""
    text = " ".join(_short.repr(value).split())
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def shorten_records(records: Iterable[dict[str, Any]]) -> list[dict[str, str]]:
    """Return the first `MOST_FIELDS` fields of each record, as short texts."""
    return [
        {name: shorten(record[name]) for name in list(record)[:MOST_FIELDS]} for record in records
    ]
