"""Reading a bucket in pages of bounded memory, whatever the size of its records."""

from __future__ import annotations

from collections.abc import Iterator

_FIRST = 64
_MOST = 65_536
_BYTES = 16 << 20


class Pages:
    """Ranges of offsets of about 16 MiB each; tell each page's size by `took`."""

    def __init__(self, first: int, end: int) -> None:
        self.end = end
        self._position = first
        self._rows = _FIRST

    def __iter__(self) -> Iterator[tuple[int, int]]:
        """Yield the first offset of a page and its number of rows."""
        while self._position < self.end:
            yield self._position, min(self._rows, self.end - self._position)

    def took(self, rows: int, size: int) -> None:
        """Go on behind a page of so many rows and bytes."""
        self._position += rows
        fitting = _BYTES * rows // max(size, 1)
        self._rows = max(1, min(fitting, 4 * self._rows, _MOST))
