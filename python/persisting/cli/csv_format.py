"""CSV: plain values only, an empty cell is null, text is in quotes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any
from uuid import UUID

import pyarrow as pa
from pyarrow import csv, types

from persisting.cli.errors import CommandError

# As pyarrow's, without the names of NaN, which is a number.
_NULLS = ["", "NA", "N/A", "#N/A", "NULL", "null"]

_BLOCK = 1 << 20


# Types for which Arrow has no word.
_OURS = {"uuid": pa.uuid(), "timestamp with zone": pa.timestamp("us", "UTC")}


def can_hold(kind: pa.DataType) -> bool:
    """Whether a cell can hold such a value."""
    return kind == pa.uuid() or any(
        is_it(kind)
        for is_it in (
            types.is_boolean,
            types.is_integer,
            types.is_floating,
            types.is_string,
            types.is_date,
            types.is_timestamp,
            types.is_decimal,
            types.is_null,
        )
    )


def column_types(asked: list[str]) -> dict[str, pa.DataType]:
    """Return the types of options COLUMN=TYPE."""
    found = {}
    for each in asked:
        name, equals, kind = each.rpartition("=")
        if not equals:
            raise CommandError(f"--type {each!r} is not COLUMN=TYPE, say id=string")
        try:
            found[name] = _OURS.get(kind) or pa.type_for_alias(kind)
        except ValueError as error:
            raise CommandError(
                f"--type {each!r}: {kind!r} is no type of Arrow, say string, int64, double,"
                " timestamp[us] or date32"
            ) from error
    return found


def read(
    source: IO[bytes], file: Path, types_: dict[str, pa.DataType]
) -> Iterator[tuple[pa.RecordBatch, float]]:
    """Yield batches and how many bytes were read. Types that are not given are inferred."""
    from persisting.cli.formats import parts_of

    row = 0
    try:
        reader = csv.open_csv(
            _NeverClosed(source),
            csv.ReadOptions(block_size=_BLOCK),
            csv.ParseOptions(newlines_in_values=True),
            csv.ConvertOptions(
                column_types={name: _as_read(kind) for name, kind in types_.items()},
                null_values=_NULLS,
                strings_can_be_null=True,
                quoted_strings_can_be_null=False,
            ),
        )
        for read_batch in reader:
            batch = _converted(read_batch, types_)
            for part in parts_of(batch):
                yield part, source.tell() if source.seekable() else row
                row += part.num_rows
    except (ArithmeticError, pa.ArrowException, ValueError) as error:
        raise CommandError(f"{file}: behind row {row}: {error}") from error


class _NeverClosed:
    """A source that pyarrow may read and not close: its position is asked for later."""

    closed = False

    def __init__(self, source: IO[bytes]) -> None:
        self._source = source

    def read(self, size: int = -1) -> bytes:
        return self._source.read(size)

    def close(self) -> None:
        """Leave it open."""

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return False

    def seekable(self) -> bool:
        return False


def _as_read(kind: pa.DataType) -> pa.DataType:
    """Return the type that pyarrow's reader knows for it."""
    if kind == pa.uuid():
        return pa.string()
    return pa.float64() if types.is_float16(kind) else kind


def _converted(batch: pa.RecordBatch, wanted: dict[str, pa.DataType]) -> pa.RecordBatch:
    columns = [
        _column(column, wanted.get(name, column.type))
        for name, column in zip(batch.schema.names, batch.columns, strict=True)
    ]
    return pa.RecordBatch.from_arrays(columns, names=batch.schema.names)


def _column(column: pa.Array, kind: pa.DataType) -> pa.Array:
    if kind == pa.uuid() and types.is_string(column.type):
        texts = column.to_pylist()
        return pa.array([None if each is None else UUID(each).bytes for each in texts], pa.uuid())
    return column.cast(kind) if types.is_float16(kind) else column


class CsvSink:
    """Writes tables as CSV; CommandError where a column has no plain values."""

    wants_records = False

    def __init__(self, out: IO[bytes], schema: pa.Schema) -> None:
        refused = [f"{each.name} ({each.type})" for each in schema if not can_hold(each.type)]
        if refused:
            raise CommandError(
                f"CSV cannot hold the column {', '.join(refused)}; use jsonl, parquet or arrow"
            )
        self._schema = pa.schema([(each.name, _as_written(each.type)) for each in schema])
        self._writer = csv.CSVWriter(out, self._schema)

    def write(self, page: pa.Table) -> None:
        """Append a table."""
        columns = [
            _texts(column) if column.type == pa.uuid() else column.cast(field.type)
            for column, field in zip(page.columns, self._schema, strict=True)
        ]
        self._writer.write_table(pa.Table.from_arrays(columns, schema=self._schema))

    def close(self) -> None:
        """Write what is buffered."""
        self._writer.close()


def _as_written(kind: pa.DataType) -> pa.DataType:
    if kind == pa.uuid() or types.is_null(kind):
        return pa.string()
    return pa.float32() if types.is_float16(kind) else kind


def _texts(column: Any) -> pa.Array:
    return pa.array([None if each is None else str(each) for each in column.to_pylist()])
