"""What several tests share."""

import asyncio
import contextlib
import hashlib
import json
import math
import os
import random
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import lance
import pyarrow as pa

from persisting.queue import LanceBackend, MemoryBackend, PersistingBackend

PROGRAMS = Path(__file__).parent / "programs"
SYSTEM_COLUMNS = ("_offset", "_ts")


def flat(value):
    """Make a value comparable: NaN equals itself, a list is a tuple, -0.0 is not 0.0."""
    if isinstance(value, dict):
        return {name: flat(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [flat(each) for each in value]
    if isinstance(value, float):
        return "nan" if math.isnan(value) else ("float", value, math.copysign(1, value))
    return (type(value).__name__, value)


def filled(records):
    """The records with every field that any of them has; absent is None."""
    names = list(dict.fromkeys(name for record in records for name in record))
    return [{name: record.get(name) for name in names} for record in records]


def same_records(left, right):
    """Whether two lists of records hold the same values; an absent field is None."""
    return [flat(record) for record in filled_like(left, right)] == [
        flat(record) for record in filled_like(right, left)
    ]


def filled_like(records, others):
    names = {name for record in [*records, *others] for name in record}
    return [{name: record.get(name) for name in sorted(names)} for record in records]


def table_rows(bucket_folder):
    """All rows of a bucket's table, read by the official reader."""
    return lance.dataset(str(Path(bucket_folder) / "data.lance")).to_table().to_pylist()


def without_system_columns(rows):
    return [{k: v for k, v in row.items() if k not in SYSTEM_COLUMNS} for row in rows]


def check_table(bucket_folder, records):
    """The table's rows are the first of `records`, value for value; returns their number."""
    rows = table_rows(bucket_folder)
    assert [row["_offset"] for row in rows] == list(range(len(rows)))
    times = [row["_ts"] for row in rows]
    assert times == sorted(times)
    assert all(time.tzinfo is not None for time in times)
    assert same_records(without_system_columns(rows), records[: len(rows)])
    return len(rows)


def check_tables(root):
    """Every table below `root` holds what its bucket returns."""
    for table in sorted(Path(root).rglob("data.lance")):
        folder = table.parent
        with opened_as_it_is(int(folder.name.removeprefix("bucket_")), folder).sync() as backend:
            backend.flush()  # one that the test has left open may be in the middle of it
            check_table(folder, backend.get())


def opened_as_it_is(bucket_id, folder):
    """The bucket's backend; one that Pulsing has left open can only be shared as the same kind."""
    try:
        return PersistingBackend(bucket_id, folder)
    except ValueError:
        return LanceBackend(bucket_id, folder)


def opened(folder, backend=PersistingBackend, **options):
    """A bucket that flushes and merges when it is told to."""
    if backend is not MemoryBackend:
        options = {"flush_interval": 1e6, "maintenance": False} | options
    return backend(0, folder, **options).sync()


def values(bucket, field="f"):
    return [record[field] for record in bucket.get()]


def types_of(bucket):
    return {field["name"]: field["type"] for field in bucket.schema()}


def defaults_of(bucket):
    return {field["name"]: field["default"] for field in bucket.schema()}


def history(bucket):
    return [tuple(change.values()) for change in bucket.schema_history()]


def exactly(value):
    """A text that only equal values of equal types have."""
    return repr(value)


def check_pylance(folder, bucket):
    """The official reader finds what get_arrow returns, column by column; get returns the same."""
    found = bucket.get_arrow()
    table = lance.dataset(str(folder / "data.lance")).to_table().drop_columns(SYSTEM_COLUMNS)
    columns = [field.name for field in found.schema if field.type != pa.null()]
    assert sorted(table.column_names) == sorted(columns)
    for name in columns:
        assert table.schema.field(name).type == found.schema.field(name).type
        assert exactly(table[name].to_pylist()) == exactly(found[name].to_pylist())


def ends_by_kill(*command, timeout=60):
    """Run Python with these arguments, and see that it kills itself by SIGKILL."""
    ended = subprocess.run(
        [sys.executable, *map(os.fspath, command)],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent)},
        capture_output=True,
        text=True,
        check=False,
        timeout=timeout,
    )
    assert ended.returncode == -signal.SIGKILL, ended.stderr


def killed(program, *arguments):
    """Run a program that has PersistingBackend and the tests' modules, then kill it by SIGKILL."""
    code = "import os, signal, sys\nfrom persisting.queue import PersistingBackend\n" + program
    ends_by_kill("-c", code + "\nos.kill(os.getpid(), signal.SIGKILL)", *arguments)


def contents_of(folder):
    """Every file below the folder but LOCK, with its contents."""
    return {
        path.relative_to(folder): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "LOCK"
    }


def log_end(segment):
    """Return where the last frame of a log's segment ends: behind it zeros wait for more."""
    frames = Path(segment).read_bytes().rstrip(b"\0")
    return -(-len(frames) // 8) * 8


def emptied(file):
    """Damage: the file has its name and nothing else."""
    Path(file).write_bytes(b"")


def halved(file):
    """Damage: the second half never got to the disk."""
    file = Path(file)
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def zero_filled(file):
    """Damage: the size got to the disk, the bytes did not."""
    file = Path(file)
    file.write_bytes(bytes(file.stat().st_size))


class Tick:
    """Lets tasks that are ready run; returns once nothing but waiting is left to do."""

    def __init__(self, rounds=20):
        self.rounds = rounds

    def __await__(self):
        return self._run().__await__()

    async def _run(self):
        for _ in range(self.rounds):
            await asyncio.sleep(0)


def ids(records):
    return [record["id"] for record in records]


def reference_bucket(value, num_buckets):
    """Pulsing's rule, written down once more."""
    text = "" if value is None else str(value)
    return int(hashlib.md5(text.encode()).hexdigest(), 16) % num_buckets


def counting_backend():
    """A backend in memory, and the list of calls that it gets: (method, number of records)."""
    calls = []

    class CountingBackend(MemoryBackend):
        async def put(self, record):
            calls.append(("put", 1))
            await super().put(record)

        async def put_batch(self, records):
            calls.append(("put_batch", len(records)))
            await super().put_batch(records)

    return CountingBackend, calls


def seeded():
    """Return a random generator whose seed is printed, and can be given to run a test again."""
    seed = int(os.environ.get("PERSISTING_TEST_SEED", random.SystemRandom().randrange(2**32)))
    print(f"PERSISTING_TEST_SEED={seed}")  # noqa: T201
    return random.Random(seed)


class Lives:
    """The other end of programs/lives.py: begins one life after another and reads what each tells.

    One whose `ended` is None is still to end; iterating over it gives its lines, as words, until
    it has.
    """

    def __init__(self, template, log):
        self.template = template
        self.log = log
        self.pid = None
        self.ended = None

    def begin(self, *arguments):
        """Begin a life; its pid is known and not used again until the next one begins."""
        self._log_start = Path(self.log.name).stat().st_size
        self.ended = None
        self.template.stdin.write(json.dumps(arguments) + "\n")
        self.template.stdin.flush()
        kind, pid = self.line()
        assert kind == "p"
        self.pid = int(pid)

    def __iter__(self):
        while (words := self.line())[0] != "e":
            yield words
        self.ended = int(words[1])

    def stderr(self):
        """What the life wrote to stderr."""
        return Path(self.log.name).read_bytes()[self._log_start :].decode()

    def line(self):
        """The next line of the life, as words."""
        line = self.template.stdout.readline()
        assert line, f"the program ended: {self.stderr()}"
        return line.split()


@contextlib.contextmanager
def lives_of(program):
    """Lives of a program that uses programs/lives.py."""
    with (
        tempfile.NamedTemporaryFile("a") as log,
        subprocess.Popen(
            [sys.executable, PROGRAMS / program],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        ) as template,
    ):
        lives = Lives(template, log)
        try:
            yield lives
        finally:  # also of a test that fails while a life goes on
            if lives.pid is not None and lives.ended is None:
                os.kill(lives.pid, signal.SIGKILL)
            template.stdin.close()
        assert template.wait() == 0, Path(log.name).read_text()
