"""Reading stored buckets beside the process that has them open."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from persisting import _core
from persisting._check import MOST, Record, seconds, whole_number
from persisting._errors import StorageError
from persisting._folders import DEAD_LETTERS, bucket_folders

if TYPE_CHECKING:
    import pyarrow as pa

#: Most records in one list of `BucketView.follow`.
_PAGE = 1000
#: Longest wait in the core, seconds: between two of them an interrupt (Ctrl-C) is seen.
_WAIT = 0.5


@dataclass(frozen=True, order=True)
class BucketFolder:
    """A bucket that lies in a folder, open or not."""

    topic: str
    bucket_id: int
    folder: str


def find_buckets(path: str | os.PathLike[str]) -> list[BucketFolder]:
    """Return the buckets at or below ``path``, sorted by topic and number.

    ``path`` is a bucket's folder, a topic's, or one above. A bucket's dead letters are none of
    their own. A bucket that does not know its topic has the name of the folder above it. The list
    is empty where there are no buckets; ValueError where ``path`` is no folder.
    """
    folders = [str(each) for each in bucket_folders(path) if each.name != DEAD_LETTERS]
    return sorted(
        BucketFolder(*_core.name_of_bucket(str(Path(folder).absolute())), folder)
        for folder in folders
    )


def open_view(folder: str | os.PathLike[str]) -> BucketView:
    """Open the bucket in ``folder`` for reading alone, whether or not a process has it open.

    Takes no lock and changes nothing. See docs/reading-beside-a-writer.md for what a view shows.

    Raises:
        ValueError: the folder is no bucket.
        StorageError, WALError: it is damaged; the message names file and byte.
    """
    return BucketView(folder)


class BucketView:
    """A bucket as it is now: each call shows what was put before it began. Thread-safe.

    Made by :func:`open_view`. All methods but `close` raise StorageError or WALError where the
    bucket is damaged, and StorageError once the view is closed.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        if not Path(folder).is_dir():
            raise ValueError(f"{os.fspath(folder)} is no folder")
        self._folder = os.fspath(folder)
        # The names of the folders above count, and a relative path ends with the working directory.
        self._native = _core.NativeView(str(Path(folder).absolute()))

    @property
    def folder(self) -> str:
        """The folder as it was given."""
        return self._folder

    @property
    def topic(self) -> str:
        """The topic that the bucket is a part of; the name of the folder above if it has none."""
        return self._native.topic

    @property
    def bucket_id(self) -> int:
        """The bucket's number in its topic."""
        return self._native.bucket_id

    def total_count(self) -> int:
        """Return the number of records."""
        return self._native.total_count()

    def get(self, limit: int | None = None, offset: int = 0) -> list[Record]:
        """Return up to ``limit`` records (None: all) from ``offset`` on."""
        return self._native.get(*_range(limit, offset))

    def get_arrow(self, limit: int | None = None, offset: int = 0) -> pa.Table:
        """Return the same records as a table."""
        from persisting._arrow import table_of

        return table_of(self._native.get_arrow(*_range(limit, offset)))

    def follow(
        self, offset: int | None = None, *, timeout: float | None = None
    ) -> Iterator[list[Record]]:
        """Yield lists of records from ``offset`` on, and new ones as they come.

        None begins with the next record that is put after this call. Ends where no new record came
        for ``timeout`` seconds (None: never), and with StorageError where records that it gave, and
        that were never acknowledged, are gone.
        """
        begin = self.total_count() if offset is None else whole_number("offset", offset)
        return self._follow(begin, seconds("timeout", timeout))

    def _follow(self, offset: int, timeout: float | None) -> Iterator[list[Record]]:
        given = 0  # behind the last record
        deadline = _deadline(timeout)
        while True:
            left = _WAIT if deadline is None else deadline - time.monotonic()
            count = self._native.wait_beyond(offset, max(0.0, min(left, _WAIT)))
            if count < given:
                raise StorageError(
                    f"{self.folder}: the records from offset {count} to {given} are gone; they"
                    f" were never acknowledged. Follow from offset {count} on"
                )
            if count > offset:
                while records := self.get(_PAGE, offset):
                    offset += len(records)
                    given = offset
                    yield records
                deadline = _deadline(timeout)
            elif deadline is not None and time.monotonic() >= deadline:
                return

    def schema(self) -> list[dict[str, Any]]:
        """Return the fields as the backends' `schema` does."""
        return self._native.schema()

    def schema_history(self) -> list[dict[str, Any]]:
        """Return how the fields came to be, as the backends' `schema_history` does."""
        return self._native.schema_history()

    def dead_letters(self, limit: int | None = None, offset: int = 0) -> list[Record]:
        """Return records that the policy "dead_letter" kept aside, as the backends do."""
        return self._native.dead_letters(*_range(limit, offset))

    def stats(self) -> dict[str, Any]:
        """Return figures of the bucket.

        `total_count` (records), `persisted_count` (of these, in the table), `buffer_count` and
        `buffer_bytes` (in the log alone), `wal_size` (bytes), `wal_segments`, `table_version`,
        `versions` (that are kept), `fragments` and `table_bytes` (of that version's data files),
        `dead_letters`, `holder` (the id of the process that has the bucket open, or None),
        `bucket_id`, `topic`, `storage_path`.
        """
        return self._native.stats() | {"storage_path": self.folder}

    def close(self) -> None:
        """Let go of everything, and end those who wait."""
        self._native.close()

    def __enter__(self) -> BucketView:
        """Return the view itself."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Close the view."""
        self.close()

    def __repr__(self) -> str:
        """Name the bucket."""
        return f"BucketView({self.folder!r})"


def _range(limit: int | None, offset: int) -> tuple[int, int]:
    most = MOST if limit is None else whole_number("limit", limit)
    return most, whole_number("offset", offset)


def _deadline(timeout: float | None) -> float | None:
    return None if timeout is None else time.monotonic() + timeout
