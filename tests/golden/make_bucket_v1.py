"""Makes bucket-v1.tar.gz, BUCKET-v1 and CHECKPOINT-v1 beside this file.

A bucket as the library wrote it while the log, BUCKET and CHECKPOINT had format version 1: every
later library must open it. So it was made once, by the release of that version, and is not made
again: with a later library this program makes a bucket of later formats, to be kept under another
name, with records of its own.

    python tests/golden/make_bucket_v1.py [folder for the three files]

The records are those of records_v1.py. What differs from run to run is random or the time: the
bucket's identity, Lance's file names, _ts. The writers end without any clean-up once their puts
were acknowledged, so the log ends as a crash leaves it. It has a segment of each of two processes,
the second one compressed.
"""

import gzip
import io
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from records_v1 import COUNT, FIRST_FLUSH, FLUSHED, record

from persisting.queue import PersistingBackend

LATER = {"flush_interval": 0, "flush_threshold": 10_000}
SECOND_WRITER = FLUSHED + 25


def put(bucket, first, end):
    """Put records as a few batches and some single ones."""
    while first < end:
        count = min(1 + first % 8, end - first)
        batch = [record(number) for number in range(first, first + count)]
        bucket.put(batch[0]) if count == 1 else bucket.put_batch(batch)
        first += count


def write_table(folder):
    """Two flushes, between which the schema grows; then a clean end."""
    with PersistingBackend(0, folder).sync() as bucket:
        put(bucket, 0, FIRST_FLUSH)
        bucket.flush()
        put(bucket, FIRST_FLUSH, FLUSHED)
        bucket.flush()


def write_log(folder, first, end, codec):
    """Puts that were acknowledged and never flushed; does not return."""
    bucket = PersistingBackend(0, folder, compression=codec, **LATER).sync()
    put(bucket, first, end)
    assert bucket.total_count() == end
    os._exit(0)


def pack(folder):
    """The folder as a tar.gz that only its files' contents determine."""
    packed = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=packed, mode="wb", mtime=0) as zipped,
        tarfile.open(fileobj=zipped, mode="w") as archive,
    ):
        for path in sorted(folder.rglob("*")):
            member = archive.gettarinfo(path, str(path.relative_to(folder)))
            member.mtime = member.uid = member.gid = 0
            member.uname = member.gname = ""
            member.mode = 0o755 if member.isdir() else 0o644
            if member.isdir():
                archive.addfile(member)
            else:
                with path.open("rb") as contents:
                    archive.addfile(member, contents)
    return packed.getvalue()


def main(into):
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made) / "bucket_0"
        for step in ("table", "first", "second"):
            subprocess.run([sys.executable, __file__, step, folder], check=True)
        into.joinpath("bucket-v1.tar.gz").write_bytes(pack(folder))
        for name in ("BUCKET", "CHECKPOINT"):
            shutil.copyfile(folder / name, into / f"{name}-v1")


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["table", folder]:
            write_table(folder)
        case ["first", folder]:
            write_log(folder, FLUSHED, SECOND_WRITER, "none")
        case ["second", folder]:
            write_log(folder, SECOND_WRITER, COUNT, "zstd")
        case [into]:
            main(Path(into))
        case _:
            main(Path(__file__).parent)
