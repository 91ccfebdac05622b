"""The Lance engine on top of pylance: what `persisting/lance_engine.h` asks of one.

The core calls these functions from its own threads, with the GIL held; pylance lets go of it for
the work itself. Nothing is decided here: which version to build on, and what is synced when, is the
core's to say.
"""

from __future__ import annotations

import json
import os
from bisect import bisect_right
from collections.abc import Iterable
from itertools import accumulate
from typing import Any
from weakref import WeakKeyDictionary

# Lance warns on stderr that a new dataset "will be created", which is what we ask for.
os.environ.setdefault("LANCE_LOG", "error")

import lance
import pyarrow as pa
from lance.fragment import write_fragments as lance_write_fragments
from lance.optimize import Compaction, RewriteResult

from persisting._arrow import StreamCapsule

_APPEND = 0

# So many rows Lance takes by their numbers for less than a scan costs to plan.
_MOST_TAKEN = 4096

_layouts: WeakKeyDictionary[lance.LanceDataset, _Layout] = WeakKeyDictionary()


class _Schema:
    """What StreamCapsule is for a stream, for a schema."""

    def __init__(self, capsule: object) -> None:
        self._capsule = capsule

    def __arrow_c_schema__(self) -> object:
        return self._capsule


def open_dataset(path: str, version: int) -> lance.LanceDataset:
    """Open exactly ``version``."""
    return lance.dataset(path, version=version)


def describe(dataset: lance.LanceDataset) -> tuple[int, int, object]:
    """Version, number of rows, and the schema as a capsule."""
    return dataset.version, dataset.count_rows(), dataset.schema.__arrow_c_schema__()


def data_files(dataset: lance.LanceDataset) -> str:
    """List every data file, as the C ABI wants it."""
    return _file_list(fragment.metadata for fragment in dataset.get_fragments())


def scan(dataset: lance.LanceDataset, offset: int, limit: int, columns: list[str] | None) -> object:
    """Rows in order, as a stream's capsule."""
    if 0 < limit <= _MOST_TAKEN:
        layout = _layouts.get(dataset)
        if layout is None:
            layout = _layouts[dataset] = _Layout(dataset)
        place = layout.find(offset, limit)
        fragment = None if place is None else dataset.get_fragment(place[0])
        if place is not None and fragment is not None:
            rows = fragment.take(list(range(place[1], place[1] + limit)), columns=columns)
            return rows.__arrow_c_stream__()
    scanner = dataset.scanner(columns=columns, offset=offset, limit=limit, scan_in_order=True)
    return scanner.to_reader().__arrow_c_stream__()


class _Layout:
    """Which rows of a dataset's version lie in which fragment."""

    def __init__(self, dataset: lance.LanceDataset) -> None:
        fragments = dataset.get_fragments()
        self._numbers = [fragment.fragment_id for fragment in fragments]
        self._ends = list(accumulate(fragment.physical_rows for fragment in fragments))
        # Only without deleted rows, which other programs may leave, is a row's place its number.
        self._is_plain = not any(fragment.num_deletions for fragment in fragments)

    def find(self, offset: int, limit: int) -> tuple[int, int] | None:
        """Return the fragment that has all these rows, and the first one's place in it."""
        index = bisect_right(self._ends, offset)
        if not self._is_plain or index == len(self._ends) or offset + limit > self._ends[index]:
            return None
        return self._numbers[index], offset - (self._ends[index - 1] if index else 0)


def write_fragments(
    path: str, base: lance.LanceDataset | None, mode: int, stream: object
) -> tuple[Any, str]:
    """Write data files, uncommitted. Returns (schema, fragments) and the list of files."""
    reader = pa.RecordBatchReader.from_stream(StreamCapsule(stream))
    changed = "append" if mode == _APPEND else "overwrite"
    lance_mode = "create" if base is None else changed
    fragments = lance_write_fragments(
        reader, path if base is None else base, schema=reader.schema, mode=lance_mode
    )
    return (reader.schema, fragments), _file_list(fragments)


def commit(
    path: str, read_version: int, mode: int, written: Any, properties: dict[str, str]
) -> lance.LanceDataset:
    """Commit what write_fragments returned on top of ``read_version``."""
    schema, fragments = written
    operation: lance.LanceOperation.BaseOperation
    if mode == _APPEND:
        operation = lance.LanceOperation.Append(fragments)
    else:
        operation = lance.LanceOperation.Overwrite(schema, fragments)
    transaction = lance.Transaction(
        read_version=read_version, operation=operation, transaction_properties=properties
    )
    return lance.LanceDataset.commit(path, transaction)


def add_columns(dataset: lance.LanceDataset, columns: object) -> lance.LanceDataset:
    """Add columns of nulls: only metadata is written."""
    evolved = _another_handle(dataset)
    evolved.add_columns(pa.schema(_Schema(columns)))
    return evolved


def drop_columns(dataset: lance.LanceDataset, columns: list[str]) -> lance.LanceDataset:
    """Drop columns: only metadata is written."""
    changed = _another_handle(dataset)
    changed.drop_columns(columns)
    return changed


def rename_columns(dataset: lance.LanceDataset, renames: dict[str, str]) -> lance.LanceDataset:
    """Give columns new names, all at once: only metadata is written."""
    changed = _another_handle(dataset)
    # A path of one part: no top-level field's name holds what Lance would take for more of one.
    alterations: Any = [{"path": old, "name": new} for old, new in renames.items()]
    changed.alter_columns(*alterations)
    return changed


def merge_fragments(
    dataset: lance.LanceDataset, first: int, count: int
) -> tuple[RewriteResult, str]:
    """Write neighbouring fragments anew as one, uncommitted; the result, and its list of files."""
    fragments = [fragment.metadata for fragment in dataset.get_fragments()]
    chosen = fragments[first : first + count]
    others = fragments[:first] + fragments[first + count :]
    plan = Compaction.plan(
        dataset,
        {
            # More than all together have: so every one is small enough, and one comes of them.
            "target_rows_per_fragment": sum(each.physical_rows for each in chosen) + 1,
            "excluded_fragment_ids": [each.id for each in others],
        },
    )
    planned = [[each.id for each in task.fragments] for task in plan.tasks]
    if planned != [[each.id for each in chosen]]:
        raise ValueError(
            f"Lance would not merge fragments {[each.id for each in chosen]} into one, but"
            f" {planned}; does an index cover some of them only? (optimize_indices() helps)"
        )
    merged: Any = plan.tasks[0].execute(dataset)
    # RewriteResult.new_fragments of pylance 14 are the old ones.
    written = json.loads(merged.json())["new_fragments"]
    return merged, "".join(
        f"{fragment['id']}\t{fragment['physical_rows']}\t{file['file_size_bytes'] or 0}"
        f"\t{file['path']}\n"
        for fragment in written
        for file in fragment["files"]
    )


def commit_merged(dataset: lance.LanceDataset, merged: list[RewriteResult]) -> lance.LanceDataset:
    """Commit what merge_fragments returned; Lance reserves numbers for them in a version before."""
    compacted = _another_handle(dataset)
    Compaction.commit(compacted, merged)
    return compacted


def indexed_fragments(dataset: lance.LanceDataset) -> int:
    """Count the fragments up to the last one that an index covers."""
    covered: set[int] = set()
    for index in dataset.describe_indices():
        for segment in index.segments:
            covered.update(segment.fragment_ids)
    if not covered:
        return 0
    last = max(covered)
    # They are in the order of their numbers.
    return sum(fragment.fragment_id <= last for fragment in dataset.get_fragments())


def commit_in_place(
    dataset: lance.LanceDataset, merged: Any, properties: dict[str, str]
) -> lance.LanceDataset:
    """Commit what merge_fragments returned, where the fragments were that it was made of.

    Lance orders fragments by number, and would give a new one the highest. So the merged one takes
    over the number of the last one that it replaces. (It cannot be 0, which stands for a new one.)
    """
    result = json.loads(merged.json())
    replaced = [_fragment(each) for each in result["original_fragments"]]
    (written,) = result["new_fragments"]
    new = _fragment({**written, "id": replaced[-1].id})
    group = lance.LanceOperation.RewriteGroup(replaced, [new])
    transaction = lance.Transaction(
        read_version=dataset.version,
        operation=lance.LanceOperation.Rewrite([group], []),
        transaction_properties=properties,
    )
    return lance.LanceDataset.commit(dataset.uri, transaction)


def _fragment(described: dict[str, Any]) -> lance.FragmentMetadata:
    return lance.FragmentMetadata.from_json(json.dumps(described))


def remove_versions(dataset: lance.LanceDataset, versions: list[int]) -> tuple[int, int]:
    """Remove old versions; how many, and how many bytes with them.

    Files that no version names stay for the seven days that Lance gives them: some belong to
    versions in quarantine.
    """
    stats = dataset.cleanup_old_versions(versions=versions, error_if_tagged_old_versions=False)
    if stats.failed_deletes:
        raise OSError(f"{stats.failed_deletes} files could not be deleted")
    return stats.old_versions, stats.bytes_removed


def _another_handle(dataset: lance.LanceDataset) -> lance.LanceDataset:
    """One on the same version, for a change: pylance moves the handle that makes it forward."""
    return lance.dataset(dataset.uri, version=dataset.version)


def _file_list(fragments: Iterable[lance.FragmentMetadata]) -> str:
    return "".join(
        f"{fragment.id}\t{fragment.physical_rows}\t{file.file_size_bytes or 0}\t{file.path}\n"
        for fragment in fragments
        for file in fragment.files
    )
