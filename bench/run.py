"""Measures the persisting backend against the encoder and the disk, in one run on one machine.

    make bench      or      .venv/bin/python bench/run.py [--rounds 5] [--output docs/benchmarks.md]

Every figure is a ratio to a peer of the same round: `msgpack.packb` of the same records, or a bare
loop of append and fdatasync on the same disk. Rounds are interleaved; the table has their median
and spread. The absolute rates are there to give an idea, and change with the machine.
"""

import argparse
import asyncio
import os
import platform
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgpack

from persisting.queue import PersistingBackend

ROOT = Path(__file__).resolve().parent.parent
RECORDS = 50_000
DURABLE_RECORDS = 500
PRODUCERS = 64
BATCH = 1000

Record = dict[str, Any]
Work = Callable[[PersistingBackend, list[Record]], Awaitable[None]]


def make_records(count: int) -> list[Record]:
    """Return records of four fields, about 67 bytes each as MessagePack."""
    return [
        {"id": i, "name": f"n{i % 1000:06d}", "reward": 0.5, "text": "hello world, this is text"}
        for i in range(count)
    ]


@dataclass
class Case:
    """One row of the table."""

    name: str
    durability: str
    peer: str
    options: dict[str, Any]
    count: int
    work: Work


async def put_each(backend: PersistingBackend, records: list[Record]) -> None:
    """Put one record after the other."""
    for record in records:
        await backend.put(record)


async def put_batches(backend: PersistingBackend, records: list[Record]) -> None:
    """Put a thousand records at a time."""
    for first in range(0, len(records), BATCH):
        await backend.put_batch(records[first : first + BATCH])


async def put_concurrently(backend: PersistingBackend, records: list[Record]) -> None:
    """Put from many producers at once, each one record after the other."""
    await asyncio.gather(*(put_each(backend, records[i::PRODUCERS]) for i in range(PRODUCERS)))


KILL = "kill -9"
POWER = "power cut"
CASES = [
    Case("put, one by one", KILL, "packb", {"wal_sync_interval": 1}, RECORDS, put_each),
    Case("put_batch of 1,000", KILL, "packb", {"wal_sync_interval": 1}, RECORDS, put_batches),
    Case("put_batch of 1,000", POWER, "packb", {}, RECORDS, put_batches),
    Case("put, one producer", POWER, "disk", {}, DURABLE_RECORDS, put_each),
    Case(f"put, {PRODUCERS} producers", POWER, "disk", {}, 20 * DURABLE_RECORDS, put_concurrently),
]


def rate(count: int, work: Callable[[], object]) -> float:
    """Return how many a second."""
    started = time.perf_counter()
    work()
    return count / (time.perf_counter() - started)


def measure_packb(_folder: Path) -> float:
    """Return records a second of the usual encoder."""
    records = make_records(RECORDS)
    return rate(RECORDS, lambda: [msgpack.packb(record) for record in records])


def measure_disk(folder: Path) -> float:
    """Return durable appends of one record's bytes a second."""
    data = msgpack.packb(make_records(1)[0])
    descriptor = os.open(folder / "bare", os.O_CREAT | os.O_WRONLY | os.O_APPEND)

    def work() -> None:
        for _ in range(DURABLE_RECORDS):
            os.write(descriptor, data)
            os.fdatasync(descriptor)

    try:
        return rate(DURABLE_RECORDS, work)
    finally:
        os.close(descriptor)


def measure_case(case: Case, folder: Path) -> float:
    """Return records a second."""
    records = make_records(case.count)

    async def run() -> float:
        backend = PersistingBackend(0, folder / "bucket", **case.options)
        started = time.perf_counter()
        await case.work(backend, records)
        seconds = time.perf_counter() - started
        assert backend.total_count() == case.count
        await backend.close()
        return case.count / seconds

    return asyncio.run(run())


def in_new_folder(base: Path, work: Callable[[Path], float]) -> float:
    """Run `work` in a folder of its own."""
    folder = Path(tempfile.mkdtemp(prefix="bench-", dir=base))
    try:
        return work(folder)
    finally:
        shutil.rmtree(folder)


def describe_machine() -> str:
    """Return what the figures were taken on."""
    return (
        f"{os.cpu_count()} cores, {platform.machine()}, {platform.system()} {platform.release()},"
        f" Python {platform.python_version()}, persisting {version('persisting')},"
        f" pylance {version('pylance')}, msgpack {version('msgpack')}"
    )


def report(rounds: list[dict[str, float]]) -> str:
    """Return the page."""
    lines = [
        "# Benchmarks",
        "",
        "Written by `make bench`; do not edit. Every figure is a ratio to a peer of the same round:"
        " above 1 is faster than it.",
        f"Median of {len(rounds)} interleaved rounds, with the lowest and the highest. Records have"
        " four fields, about 67 bytes",
        "as MessagePack. *Survives* is what an acknowledged record withstands in that row.",
        "",
        f"Machine: {describe_machine()}.",
        "",
        "| work | survives | peer | ratio | spread | records/s |",
        "|---|---|---|--:|--:|--:|",
    ]
    peers = {"packb": "`msgpack.packb`", "disk": "append + fdatasync"}
    for case in CASES:
        key = f"{case.name}, {case.durability}"
        ratios = [each[key] / each[case.peer] for each in rounds]
        rates = [each[key] for each in rounds]
        lines.append(
            f"| {case.name} | {case.durability} | {peers[case.peer]} |"
            f" {statistics.median(ratios):.2f} | {min(ratios):.2f} to {max(ratios):.2f} |"
            f" {statistics.median(rates):,.0f} |"
        )
    packb = statistics.median(each["packb"] for each in rounds)
    disk = statistics.median(each["disk"] for each in rounds)
    lines += [
        "",
        f"The peers themselves: `msgpack.packb` {packb:,.0f} records/s; append + fdatasync"
        f" {disk:,.0f}/s.",
        "",
    ]
    return "\n".join(lines)


def main() -> None:
    """Run all rounds and write the page."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--output", type=Path, default=ROOT / "docs" / "benchmarks.md")
    arguments = parser.parse_args()
    base = ROOT / "build"
    base.mkdir(exist_ok=True)
    rounds = []
    for number in range(arguments.rounds):
        figures = {
            "packb": in_new_folder(base, measure_packb),
            "disk": in_new_folder(base, measure_disk),
        }
        for case in CASES:
            figures[f"{case.name}, {case.durability}"] = in_new_folder(
                base, lambda folder, case=case: measure_case(case, folder)
            )
        rounds.append(figures)
        print(f"round {number + 1} of {arguments.rounds} done", file=sys.stderr)
    arguments.output.write_text(report(rounds))
    print(report(rounds))


if __name__ == "__main__":
    main()
