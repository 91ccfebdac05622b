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
from array import array
from bisect import bisect_right
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import Any

from persisting.queue._check import Record, whole_number

_EVERY_FIELD = 0


class FieldRuns:
    """Which fields the records of a bucket were put with, as runs of offsets.

    Invariant: the starts grow strictly, the first is 0; a run ends where the next starts, the last
    at `end`. Offsets that nobody noted have every field.
    """

    def __init__(self, recovered: int) -> None:
        self.end = recovered
        self._starts = array("Q", [0])
        self._kinds = array("L", [_EVERY_FIELD])
        self._fields: list[frozenset[str] | None] = [None]
        self._kind_of: dict[frozenset[str], int] = {}
        self._last_names: tuple[str, ...] | None = None

    def note(self, first: int, record: Record) -> None:
        """Remember the fields of the record put at offset `first`."""
        names = tuple(record)
        if first == self.end and names == self._last_names:
            self.end = first + 1  # the run of the last record goes on
        else:
            self._note_run(first, names, 1)

    def note_batch(self, first: int, records: Sequence[Record]) -> None:
        """Remember the fields of the records put from offset `first` on."""
        count = 0
        names: tuple[str, ...] = ()
        for shape in map(tuple, records):
            if shape != names and count:
                self._note_run(first, names, count)
                first += count
                count = 0
            names = shape
            count += 1
        if count:
            self._note_run(first, names, count)

    def ready(self, fields: Iterable[str], low: int, bound: int) -> Iterator[range]:
        """Yield the offsets of [low, bound), in order, whose records have all `fields`."""
        wanted = frozenset(fields)
        if any(field.startswith("_") for field in wanted):
            return
        for run in range(bisect_right(self._starts, low) - 1, len(self._starts)):
            start = max(low, self._starts[run])
            last = run + 1 == len(self._starts)
            stop = min(bound, self.end if last else self._starts[run + 1])
            known = self._fields[self._kinds[run]]
            if start < stop and (known is None or wanted <= known):
                yield range(start, stop)
        if max(low, self.end) < bound:
            yield range(max(low, self.end), bound)

    def _note_run(self, first: int, names: tuple[str, ...], count: int) -> None:
        kind = self._kind(names)
        stop = first + count
        if first < self.end:
            self._overwrite(first, stop, kind)  # a put that another one overtook
            self._last_names = None
            return
        if first > self.end:
            self._append(self.end, _EVERY_FIELD)  # put by somebody else
        self._append(first, kind)
        self.end = stop
        self._last_names = names

    def _kind(self, names: tuple[str, ...]) -> int:
        fields = frozenset(str(name) for name in names if not str(name).startswith("_"))
        kind = self._kind_of.get(fields)
        if kind is None:
            kind = self._kind_of[fields] = len(self._fields)
            self._fields.append(fields)
        return kind

    def _append(self, start: int, kind: int) -> None:
        if self._starts[-1] == start:  # the last run is empty
            self._kinds[-1] = kind
        elif self._kinds[-1] != kind:
            self._starts.append(start)
            self._kinds.append(kind)

    def _overwrite(self, first: int, stop: int, kind: int) -> None:
        for offset in range(first, min(stop, self.end)):
            run = bisect_right(self._starts, offset) - 1
            before = self._kinds[run]
            if before != kind:
                self._split(offset)
                if offset + 1 < self.end:
                    self._split(offset + 1)
                self._kinds[bisect_right(self._starts, offset) - 1] = kind
        if stop > self.end:
            self._append(self.end, kind)
            self.end = stop

    def _split(self, offset: int) -> None:
        run = bisect_right(self._starts, offset) - 1
        if self._starts[run] != offset:
            self._starts.insert(run + 1, offset)
            self._kinds.insert(run + 1, self._kinds[run])


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

    def __init__(self, recovered: int) -> None:
        self._lock = threading.Lock()
        self._fields = FieldRuns(recovered)
        self._consumed: dict[str, ConsumedOffsets] = {}

    @property
    def end(self) -> int:
        """The offset up to which it is known with which fields the records were put."""
        return self._fields.end

    def note(self, first: int, record: Record) -> None:
        """Remember the fields of the record put at offset `first`."""
        with self._lock:
            self._fields.note(first, record)

    def note_batch(self, first: int, records: Sequence[Record]) -> None:
        """Remember the fields of the records put from offset `first` on."""
        with self._lock:
            self._fields.note_batch(first, records)

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
            ranges = self._fields.ready(fields, consumed.low, bound)
            ready = (offset for offset in chain.from_iterable(ranges) if offset not in consumed)
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
