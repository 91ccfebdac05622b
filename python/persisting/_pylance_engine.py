"""The Lance engine on top of pylance: what `persisting/lance_engine.h` asks of one.

The core calls these functions from its own threads, with the GIL held; pylance lets go of it for
the work itself. Nothing is decided here: which version to build on, and what is synced when, is the
core's to say.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

# Lance warns on stderr that a new dataset "will be created", which is what we ask for.
os.environ.setdefault("LANCE_LOG", "error")

import lance
import pyarrow as pa
from lance.fragment import write_fragments as lance_write_fragments

_APPEND = 0


class _Stream:
    """Presents a capsule of the Arrow PyCapsule interface as an object that has one."""

    def __init__(self, capsule: object) -> None:
        self._capsule = capsule

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return self._capsule


class _Schema:
    """The same for a schema."""

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
    scanner = dataset.scanner(columns=columns, offset=offset, limit=limit, scan_in_order=True)
    return scanner.to_reader().__arrow_c_stream__()


def write_fragments(
    path: str, base: lance.LanceDataset | None, mode: int, stream: object
) -> tuple[Any, str]:
    """Write data files, uncommitted. Returns (schema, fragments) and the list of files."""
    reader = pa.RecordBatchReader.from_stream(_Stream(stream))
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
    evolved = lance.dataset(dataset.uri, version=dataset.version)
    evolved.add_columns(pa.schema(_Schema(columns)))
    return evolved


def _file_list(fragments: Iterable[lance.FragmentMetadata]) -> str:
    return "".join(
        f"{fragment.id}\t{fragment.physical_rows}\t{file.file_size_bytes or 0}\t{file.path}\n"
        for fragment in fragments
        for file in fragment.files
    )
