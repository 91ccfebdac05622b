"""The file formats of ``import`` and ``export``, read and written in batches."""

from __future__ import annotations

import errno
import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, Protocol

import pyarrow as pa
from pyarrow import parquet

from persisting.cli import csv_format, json_text
from persisting.cli.errors import CommandError

#: What a put gets at most.
BATCH_ROWS = 10_000
BATCH_BYTES = 4 << 20

_SUFFIXES = {
    ".arrow": "arrow",
    ".feather": "arrow",
    ".ipc": "arrow",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".csv": "csv",
}
_NAMES = ("arrow", "parquet", "jsonl", "csv")
_LINES = frozenset({"jsonl", "csv"})  # those that can go through a pipe


#: Batches of rows, and how much of the file (of `size`) was read up to each one's end.
Batches = Iterator[tuple[Any, float]]


def format_of(file: Path, name: str | None) -> str:
    """Return the format that is asked for, else the one that the suffix says."""
    if name is None:
        name = _SUFFIXES.get(file.suffix.lower())
        if name is None:
            raise CommandError(
                f"{file}: the suffix {file.suffix!r} tells no format; give --format"
                f" {', '.join(_NAMES)}"
            )
    elif name not in _NAMES:
        raise CommandError(f"--format {name!r} is none of {', '.join(_NAMES)}")
    if str(file) == "-" and name not in _LINES:
        raise CommandError(f"{name} needs a file; jsonl and csv go through a pipe")
    return name


def check_readable(file: Path) -> None:
    """Raise OSError where a file cannot be read, without opening it: it may be a pipe."""
    if str(file) == "-":
        return
    code = errno.EISDIR if file.is_dir() else errno.EACCES
    if file.stat() and (file.is_dir() or not os.access(file, os.R_OK)):
        raise OSError(code, os.strerror(code), str(file))


def read(file: Path, name: str, types: dict[str, pa.DataType]) -> tuple[float | None, Batches]:
    """Return the size of a file, in units of its own, and its rows.

    Raises:
        CommandError: it is not of the format; the message says where.
    """
    if name == "arrow":
        return _read_arrow(file)
    if name == "parquet":
        return _read_parquet(file)
    if str(file) == "-":
        source: IO[bytes] = sys.stdin.buffer
        size = None
    else:
        source = file.open("rb")
        size = file.stat().st_size or None  # of a pipe too
    if name == "csv":
        return size, csv_format.read(source, file, types)
    return size, _read_json_lines(source, file)


def _read_arrow(file: Path) -> tuple[float, Batches]:
    source = pa.memory_map(str(file))  # so that no batch is in memory before it is used
    try:
        reader = pa.ipc.open_file(source)
    except pa.ArrowInvalid:
        source.seek(0)
        return file.stat().st_size, _batches(file, lambda: pa.ipc.open_stream(source), source.tell)
    numbers = iter(range(reader.num_record_batches))
    at = 0

    def each() -> Iterator[pa.RecordBatch]:
        nonlocal at
        for at in numbers:
            yield reader.get_batch(at)

    return reader.num_record_batches, _batches(file, each, lambda: at + 1)


def _read_parquet(file: Path) -> tuple[float, Batches]:
    try:
        reader = parquet.ParquetFile(str(file), memory_map=True, pre_buffer=False)
    except pa.ArrowInvalid as error:
        raise CommandError(f"{file}: {error}") from error
    done = 0
    about = reader.metadata
    size = sum(about.row_group(i).total_byte_size for i in range(about.num_row_groups))
    rows = min(BATCH_ROWS, max(1, BATCH_BYTES * about.num_rows // max(size, 1)))

    def each() -> Iterator[pa.RecordBatch]:
        nonlocal done
        for batch in reader.iter_batches(rows):
            done += batch.num_rows
            yield batch

    return about.num_rows, _batches(file, each, lambda: done)


def _batches(
    file: Path, open_: Callable[[], Iterator[pa.RecordBatch]], done: Callable[[], float]
) -> Batches:
    """Yield batches of bounded size, and name the file in errors."""
    try:
        for batch in open_():
            for part in parts_of(batch):
                yield part, done()
    except (pa.ArrowInvalid, OSError) as error:
        raise CommandError(f"{file}: {error}") from error


def parts_of(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    """Cut a batch into parts that a put may get."""
    if batch.num_rows == 0:
        return
    rows = min(BATCH_ROWS, max(1, BATCH_BYTES * batch.num_rows // max(batch.nbytes, 1)))
    for first in range(0, batch.num_rows, rows):
        yield batch.slice(first, rows)


def _read_json_lines(source: IO[bytes], file: Path) -> Batches:
    """Yield lists of records; `_offset`, which ``get`` puts in front, is no field of a record."""
    records: list[dict[str, Any]] = []
    size = done = 0
    for number, line in enumerate(source, 1):
        done += len(line)
        if not line.strip():
            continue
        try:
            record = json.loads(line)
            if not isinstance(record, dict):
                raise TypeError(f"a record is an object, not {line[:40]!r}")
            record.pop("_offset", None)
            records.append(json_text.record_from_json(record))
        except (TypeError, ValueError) as error:
            if records:
                yield records, done
            raise CommandError(f"{file}: line {number}: {error}") from error
        size += len(line)
        if len(records) >= BATCH_ROWS or size >= BATCH_BYTES:
            yield records, done
            records, size = [], 0
    if records:
        yield records, done


class Sink(Protocol):
    """Where an export goes."""

    wants_records: bool

    def write(self, page: Any) -> None:
        """Append a table, or a list of records where `wants_records`."""

    def close(self) -> None:
        """Write what ends the file."""


def sink_of(out: IO[bytes], name: str, schema: pa.Schema) -> Sink:
    """Return what writes records of this schema into `out`, which it leaves open."""
    if name == "jsonl":
        return _JsonLines(out)
    if name == "csv":
        return csv_format.CsvSink(out, schema)
    return _Parquet(out, schema) if name == "parquet" else _Arrow(out, schema)


class _JsonLines:
    wants_records = True

    def __init__(self, out: IO[bytes]) -> None:
        self._out = out

    def write(self, page: list[dict[str, Any]]) -> None:
        self._out.writelines(
            json_text.dumps(json_text.record_to_json(record), ascii_only=False).encode() + b"\n"
            for record in page
        )

    def close(self) -> None:
        self._out.flush()


class _Arrow:
    wants_records = False

    def __init__(self, out: IO[bytes], schema: pa.Schema) -> None:
        self._writer = pa.ipc.new_file(out, schema)

    def write(self, page: pa.Table) -> None:
        self._writer.write_table(page)

    def close(self) -> None:
        self._writer.close()


class _Parquet:
    wants_records = False

    def __init__(self, out: IO[bytes], schema: pa.Schema) -> None:
        self._schema = schema
        self._writer = parquet.ParquetWriter(out, schema)
        self._pages: list[pa.Table] = []
        self._bytes = 0

    def write(self, page: pa.Table) -> None:
        self._pages.append(page)  # small pages would make small row groups
        self._bytes += page.nbytes
        if self._bytes >= 4 * BATCH_BYTES:
            self._write_group()

    def _write_group(self) -> None:
        self._writer.write_table(pa.concat_tables(self._pages))
        self._pages, self._bytes = [], 0

    def close(self) -> None:
        if self._pages:
            self._write_group()
        self._writer.close()
