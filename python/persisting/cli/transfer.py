"""``import`` and ``export``."""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from persisting import StorageError
from persisting.cli import csv_format, formats, output
from persisting.cli.buckets import find_one, view_of
from persisting.cli.errors import CommandError, check_interrupt, say
from persisting.cli.pages import Pages
from persisting.cli.progress import Advance, bar

if TYPE_CHECKING:
    import pyarrow as pa

    from persisting import BucketView
    from persisting.queue.sync import SyncBackend


#: Unflushed bytes at which an import waits for the flush.
_BUFFER = 64 << 20


def import_file(
    file: Path,
    bucket: Path,
    *,
    format_name: str | None,
    types: list[str],
    skip: int,
    as_json: bool,
    quiet: bool,
) -> None:
    """Put every row of a file, and say where they went."""
    from persisting.queue import PersistingBackend

    name = formats.format_of(file, format_name)
    asked = csv_format.column_types(types)
    formats.check_readable(file)  # else a bucket would be made for a file that is not there
    bucket_id = _bucket_id(bucket)
    started = time.perf_counter()
    # Merging meanwhile would take memory beside the rows; whoever opens the bucket next does it.
    options = {"max_buffer_bytes": _BUFFER, "maintenance": False}
    with PersistingBackend(bucket_id, bucket, **options).sync() as backend:
        known = {each.name: each.type for each in backend.get_arrow(0).schema}
        plain = {key: kind for key, kind in known.items() if csv_format.can_hold(kind)}
        size, batches = formats.read(file, name, plain | asked)
        first = backend.total_count()
        job = _Import(backend, file, skip)
        with bar(f"importing {file}", size, quiet=quiet) as advance:
            job.run(batches, advance)
    seconds = time.perf_counter() - started
    result = {
        "folder": str(bucket),
        "records": job.put,
        "first_offset": first,
        "end_offset": first + job.put,
        "seconds": seconds,
    }
    what = f"{job.put:,} records are in {bucket}, at offsets {first} to {first + job.put}"
    _tell(result, f"{what} ({output.rate(job.put / seconds)}/s)", as_json)


def _bucket_id(bucket: Path) -> int:
    """Return the id of a bucket that is there, or that a new one's folder tells."""
    if bucket.is_dir() and any(bucket.iterdir()):
        return find_one(bucket).bucket_id
    numbered = re.fullmatch(r"bucket_(\d+)", bucket.resolve().name)
    return int(numbered[1]) if numbered else 0


class _Import:
    """Rows on their way into a bucket: which were read, and which put."""

    def __init__(self, backend: SyncBackend, file: Path, skip: int) -> None:
        self._backend = backend
        self._file = file
        self._skip = skip
        self._row = 0  # the first of the rows that are to be put next
        self.put = 0

    def run(self, batches: formats.Batches, advance: Advance) -> None:
        """Put them all; an error says how far it came."""
        try:
            for batch, done in batches:
                self._take(batch)
                check_interrupt()
                advance(self.put, done)
        except KeyboardInterrupt:
            say(f"interrupted; {self._so_far()}")
            raise
        except (CommandError, StorageError, ValueError, TypeError, OSError) as error:
            if isinstance(error, OSError) and error.strerror:
                error = StorageError(f"{error.filename or self._file}: {error.strerror}")
            kind = CommandError if isinstance(error, CommandError) else StorageError
            raise kind(f"{error}; {self._so_far()}") from error

    def _take(self, batch: Any) -> None:
        spare = min(max(self._skip - self._row, 0), len(batch))
        self._row += spare
        if spare < len(batch):
            self._put(batch[spare:])

    def _put(self, batch: Any) -> None:
        """Put a batch; of one that is refused all rows before the one that is to blame."""
        try:
            self._backend.put_batch(batch)
        except (ValueError, TypeError) as error:
            if len(batch) == 1:
                raise CommandError(f"{self._file}: row {self._row + 1}: {error}") from error
            half = len(batch) // 2
            self._put(batch[:half])
            self._put(batch[half:])
        else:
            self._row += len(batch)
            self.put += len(batch)

    def _so_far(self) -> str:
        if not self.put:
            return "nothing was imported"
        return f"{self.put} rows are in the bucket, and --skip {self._row} goes on behind them"


def export_bucket(
    bucket: Path,
    file: Path,
    *,
    format_name: str | None,
    offset: int,
    limit: int | None,
    overwrite: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Write records into a file, which is there only once it is whole."""
    name = formats.format_of(file, format_name)
    to_stdout = str(file) == "-"
    if not to_stdout and file.exists() and not overwrite:
        raise CommandError(f"{file} is there already; --overwrite replaces it")
    started = time.perf_counter()
    with view_of(bucket) as view:
        end = view.total_count()
        if limit is not None:
            end = min(end, offset + limit)
        what = f"exporting {bucket}"
        with (
            _stdout() if to_stdout else _new_file(file) as out,
            bar(what, max(end - offset, 0), quiet=quiet) as advance,
        ):
            records = _export(view, out, name, Pages(offset, end), advance)
    seconds = time.perf_counter() - started
    if not to_stdout:
        result = {"file": str(file), "format": name, "records": records, "seconds": seconds}
        rate = output.rate(records / seconds)
        _tell(result, f"{records:,} records are in {file} ({rate}/s)", as_json)


def _export(view: BucketView, out: IO[bytes], name: str, pages: Pages, advance: Advance) -> int:
    schema = view.get_arrow(0).schema
    if not schema.names and name != "jsonl" and pages.end > 0:
        raise CommandError(f"the records have no fields, which {name} cannot hold; use jsonl")
    sink = formats.sink_of(out, name, schema)
    written = 0
    for first, rows in pages:
        page = view.get_arrow(rows, first)
        if page.num_rows == 0:
            break
        _refuse_change(schema, page.schema)
        pages.took(page.num_rows, page.nbytes)
        sink.write(view.get(page.num_rows, first) if sink.wants_records else page)
        written += page.num_rows
        advance(written, written)
    sink.close()
    return written


def _refuse_change(before: pa.Schema, after: pa.Schema) -> None:
    if not after.equals(before):
        changed = [each.name for each in after if each.name not in before.names]
        changed += [
            each.name
            for each in before
            if each.name not in after.names or after.field(each.name).type != each.type
        ]
        raise CommandError(
            f"the schema changed while records were read (field {', '.join(changed)}); run it again"
        )


@contextmanager
def _new_file(file: Path) -> Iterator[IO[bytes]]:
    """Open a file that takes its name once it is whole and on the disk."""
    part = file.with_name(f".{file.name}.{os.getpid()}.part")
    try:
        with part.open("xb") as out:
            yield out
            out.flush()
            os.fsync(out.fileno())
        part.replace(file)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def _stdout() -> Iterator[IO[bytes]]:
    yield sys.stdout.buffer
    sys.stdout.buffer.flush()


def _tell(result: dict[str, Any], sentence: str, as_json: bool) -> None:
    if output.is_for_people(as_json):
        output.show_line(sentence)
    else:
        output.print_line(result)
