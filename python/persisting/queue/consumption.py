"""Consumption of a bucket by tasks: which records are ready, and which a task has had already.

The semantics are those of Pulsing 0.1.2's memory backend and its bucket actor together: a record is
ready for a set of fields if it was put with all of them; a task gets each ready record once.

Guarantee: none across restarts. This state lives in memory: after one, every stored record counts
           as ready with every field, and as consumed by nobody.
Memory:    one entry a run of records with the same fields; a watermark a task, and one entry a
           record consumed above it.
Threads:   Consumption is thread-safe; the other classes are thread-compatible.
"""

import threading
from collections.abc import Awaitable, Callable, Iterable, Sequence
from itertools import chain, islice
from typing import Any

from persisting._check import Record, whole_number
from persisting._core import FieldRuns


class ConsumedOffsets:
    """Offsets that one task has consumed: all below `low`, and some above."""

    def __init__(self) -> None:
        self.low = 0
        self._above: set[int] = set()

    def __contains__(self, offset: int) -> bool:
        return offset < self.low or offset in self._above

    def add(self, offsets: Iterable[int]) -> None:
        """Mark offsets as consumed; again is harmless."""
        self._above.update(offset for offset in offsets if offset >= self.low)
        while self.low in self._above:
            self._above.remove(self.low)
            self.low += 1


class Consumption:
    """Ready and consumed records of one bucket."""

    def __init__(self, fields: FieldRuns) -> None:
        self._lock = threading.Lock()
        self._fields = fields
        self._consumed: dict[str, ConsumedOffsets] = {}

    @property
    def end(self) -> int:
        """The offset up to which it is known with which fields the records were put."""
        return self._fields.end

    def note(self, first: int, record: Record) -> None:
        """Remember the fields of the record put at offset `first`."""
        with self._lock:
            self._fields.note(first, record)

    def note_batch(self, first: int, records: Sequence[Record], shape: int = 0) -> None:
        """Remember the fields of the records put from offset `first` on.

        `shape`, but 0, stands for the names that all of them have.
        """
        with self._lock:
            self._fields.note_batch(first, records, shape)

    def note_rows(self, first: int, names: Sequence[str], count: int) -> None:
        """Remember the fields of rows put from offset `first` on."""
        with self._lock:
            self._fields.note_rows(first, list(names), count)

    def take(
        self,
        fields: Sequence[str],
        batch_size: int,
        task_name: str,
        bound: int,
        /,
        *,
        sampler: Any = None,
        **sampling_kwargs: Any,
    ) -> dict[str, Any]:
        """Choose among the ready records below offset `bound`, and mark what was chosen.

        A sampler's `sample(ready, batch_size, **sampling_kwargs)` returns the chosen offsets and
        those to be marked; without one the first `batch_size` are chosen, and marked.
        """
        batch_size = whole_number("batch_size", batch_size)
        with self._lock:
            consumed = self._consumed.setdefault(task_name, ConsumedOffsets())
            ranges = self._fields.ready(list(fields), consumed.low, bound)
            offsets = chain.from_iterable(range(start, stop) for start, stop in ranges)
            ready = (offset for offset in offsets if offset not in consumed)
            if sampler is None:
                sampled = marked = list(islice(ready, batch_size))
            else:
                sampled, marked = sampler.sample(list(ready), batch_size, **sampling_kwargs)
            consumed.add(marked)
        partition_id = sampling_kwargs.get("partition_id", "default")
        return {
            "samples": [_sample(partition_id, offset, fields) for offset in sampled],
            "global_indexes": sampled,
        }

    def mark(self, task_name: str, global_indexes: Iterable[int]) -> None:
        """Mark records as consumed by a task."""
        offsets = [whole_number("global index", index) for index in global_indexes]
        with self._lock:
            self._consumed.setdefault(task_name, ConsumedOffsets()).add(offsets)

    def reset(self, task_name: str) -> None:
        """Forget what a task has consumed."""
        with self._lock:
            self._consumed.pop(task_name, None)


def _sample(partition_id: Any, offset: int, fields: Sequence[str]) -> dict[str, Any]:
    return {
        "partition_id": partition_id,
        "global_index": offset,
        "fields": {
            field: {"name": field, "dtype": None, "shape": None, "production_status": "ready"}
            for field in fields
        },
    }


def indexes_of(batch_meta: Any) -> list[int]:
    """Return the offsets that an answer of `get_meta`, as a dict or an object, points at."""
    if not isinstance(batch_meta, dict):
        return list(getattr(batch_meta, "global_indexes", []))
    indexes = batch_meta.get("global_indexes")
    if not indexes:
        indexes = [sample.get("global_index", -1) for sample in batch_meta.get("samples", [])]
    return list(indexes)


async def rows_at(
    indexes: Iterable[int], total: int, get: Callable[[int, int], Awaitable[list[Record]]]
) -> list[Record]:
    """Read the records at `indexes`, in that order, by `get(limit, offset)`.

    Indexes outside [0, total) are left out.
    """
    rows: list[Record] = []
    first = count = 0
    for index in indexes:
        if not 0 <= index < total:
            continue
        if count and index == first + count:
            count += 1
            continue
        if count:
            rows += await get(count, first)
        first, count = index, 1
    if count:
        rows += await get(count, first)
    return rows


def cut(rows: list[Record], fields: Sequence[str] | None) -> list[Record]:
    """Return the records with `fields` only; None or none: as they are."""
    if not fields:
        return rows
    wanted = frozenset(fields)
    return [{name: value for name, value in row.items() if name in wanted} for row in rows]
