"""All buckets below a folder, looked at again and again by a thread of its own.

Threads: any may ask; answers come from the last look, except for the records of one bucket.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from persisting import find_buckets
from persisting.dashboard._bucket import WatchedBucket

_log = logging.getLogger(__name__)

#: Seconds between two looks while somebody asks, and while nobody does.
WATCHED, UNWATCHED = 1.0, 5.0
#: Seconds after the last question until nobody is taken to be looking.
PATIENCE = 15.0


class Monitor:
    """Watches the buckets below `path`.

    Raises:
        ValueError: `path` is no folder.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path).absolute()
        if not self.path.is_dir():
            raise ValueError(f"{path} is no folder; give that of a bucket, of a topic or above")
        self._buckets: dict[str, WatchedBucket] = {}
        self._error: str | None = None
        self._looked_at: float | None = None
        self._asked_at = time.monotonic()
        self._asked = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="persisting-dashboard", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stopping.set()
        self._asked.set()
        self._thread.join()
        for bucket in self._buckets.values():
            bucket.close()

    def overview(self) -> dict[str, Any]:
        """Return a row for each bucket, in the order of their topics and numbers."""
        self._note_question()
        buckets = sorted(self._buckets.values(), key=lambda bucket: bucket.folder)
        return {
            "path": str(self.path),
            "error": self._error,
            "age": None if self._looked_at is None else time.monotonic() - self._looked_at,
            "buckets": [bucket.row() for bucket in buckets],
        }

    def detail(self, key: str) -> dict[str, Any] | None:
        """Return everything about one bucket; None where there is none of that key."""
        self._note_question()
        bucket = self._buckets.get(key)
        return None if bucket is None else bucket.detail()

    def _note_question(self) -> None:
        self._asked_at = time.monotonic()
        self._asked.set()

    def _run(self) -> None:
        while not self._stopping.is_set():
            began = time.monotonic()
            self._look()
            took = time.monotonic() - began
            self._wait(began, took)

    def _wait(self, began: float, took: float) -> None:
        # Never busy for more than half of the time, however many buckets there are.
        if self._stopping.wait(max(WATCHED - took, took)):
            return
        while time.monotonic() - self._asked_at > PATIENCE and not self._stopping.is_set():
            self._asked.clear()
            rest = began + UNWATCHED - time.monotonic()
            if rest <= 0 or self._asked.wait(rest):
                return

    def _look(self) -> None:
        try:
            folders = find_buckets(self.path)
            self._error = None
        except (ValueError, OSError) as error:  # the folder itself is gone, or not ours to read
            folders = []
            self._error = str(error) if self.path.is_dir() else f"{self.path} is no folder any more"
        keep = {}
        for folder in folders:
            key = os.path.relpath(folder.folder, self.path)
            known = self._buckets.get(key)
            if known is None or known.folder != folder:  # one being made knows its topic later
                known = WatchedBucket(key, folder)
            keep[key] = known
        before, self._buckets = self._buckets, keep
        for key, bucket in before.items():
            if keep.get(key) is not bucket:
                bucket.close()
        for bucket in keep.values():
            if self._stopping.is_set():
                return
            bucket.look()
        self._looked_at = time.monotonic()
