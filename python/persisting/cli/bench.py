"""``bench``: a short measurement of a disk and this build, beside yardsticks of the same run."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from persisting.cli import output
from persisting.cli.errors import CommandError

if TYPE_CHECKING:
    from persisting.queue.sync import SyncBackend

_BATCH = 1000
_RECORD = {"id": 0, "name": "n000000", "reward": 0.5, "text": "hello world, this is text"}


@dataclass(frozen=True)
class Measurement:
    """How many a second, and how many times as many as the yardstick (None: it is one)."""

    name: str
    per_second: float
    yardstick: str | None = None
    ratio: float | None = None


def bench(path: Path, *, seconds: float, as_json: bool) -> None:
    """Measure in a folder of its own below the path, which is removed again."""
    if not path.is_dir():
        raise CommandError(f"{path} is no folder")
    folder = path / f".persisting-bench-{os.getpid()}"
    try:
        folder.mkdir()
        measured = _all(folder, seconds)
        if output.is_for_people(as_json):
            _show(list(measured))
        else:
            for each in measured:
                output.print_line(asdict(each))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _all(folder: Path, seconds: float) -> Iterator[Measurement]:
    from persisting.queue import PersistingBackend

    line = json.dumps(_RECORD).encode()

    disk = _disk_rate(folder / "yardstick", line, seconds)
    json_rate = _rate(lambda: json.dumps(_RECORD), 1, seconds)
    pickle_rate = _rate(lambda: pickle.dumps(_RECORD), 1, seconds)
    yield Measurement("write and fdatasync, a record's bytes", disk)
    yield Measurement("json.dumps of a record", json_rate)
    yield Measurement("pickle.dumps of a record", pickle_rate)

    def beside(name: str, rate: float, yardstick: str, peer: float) -> Measurement:
        return Measurement(name, rate, yardstick, rate / peer)

    with PersistingBackend(0, folder / "durable").sync() as backend:
        rate = _rate(lambda: backend.put(dict(_RECORD)), 1, seconds)
        yield beside("put, survives a power cut", rate, "write and fdatasync", disk)
        rate = _rate(lambda: backend.put_batch(_batch()), _BATCH, seconds)
        yield beside(
            f"put_batch of {_BATCH:,}, survives a power cut", rate, "json.dumps", json_rate
        )
    with PersistingBackend(0, folder / "kernel", wal_sync_interval=1.0).sync() as backend:
        rate = _rate(lambda: backend.put(dict(_RECORD)), 1, seconds)
        yield beside("put, survives kill -9", rate, "pickle.dumps", pickle_rate)
        rate = _rate(lambda: backend.put_batch(_batch()), _BATCH, seconds)
        yield beside(f"put_batch of {_BATCH:,}, survives kill -9", rate, "json.dumps", json_rate)
    with PersistingBackend(0, folder / "read", flush_interval=1e6).sync() as backend:
        # As many as the buffer keeps, read before and after the flush.
        for _ in range(20):
            backend.put_batch(_batch())
        loads = _rate(lambda: json.loads(line), 1, seconds)
        yield Measurement("json.loads of a record", loads)
        yield beside("get, from memory", _read_rate(backend, seconds), "json.loads", loads)
        backend.flush()
        yield beside("get, from the table", _read_rate(backend, seconds), "json.loads", loads)


def _batch() -> list[dict[str, Any]]:
    return [dict(_RECORD) for _ in range(_BATCH)]


def _read_rate(backend: SyncBackend, seconds: float) -> float:
    count = backend.total_count()
    return _rate(lambda: backend.get(count), count, seconds)


def _disk_rate(file: Path, data: bytes, seconds: float) -> float:
    descriptor = os.open(file, os.O_CREAT | os.O_WRONLY | os.O_APPEND)

    def write() -> None:
        os.write(descriptor, data)
        os.fdatasync(descriptor)

    try:
        return _rate(write, 1, seconds)
    finally:
        os.close(descriptor)


def _rate(work: Callable[[], object], records: int, seconds: float) -> float:
    """Return how many records a second `work`, which does so many, gets done."""
    work()  # the first time opens, imports, allocates
    count = 0
    now = started = time.perf_counter()
    while now < started + seconds:
        for _ in range(1 if records > 1 else 10):
            work()
            count += records
        now = time.perf_counter()
    return count / (now - started)


def _show(measured: list[Measurement]) -> None:
    made = output.table(["", "per second", "ratio", "to"], right=["per second", "ratio"])
    for each in measured:
        made.add_row(
            each.name,
            output.rate(each.per_second),
            "" if each.ratio is None else f"{each.ratio:.2f}",
            each.yardstick or "(yardstick)",
        )
    output.show(made)
