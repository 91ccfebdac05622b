"""Recovery of a large log in a new process, and the memory that unflushed records take."""

import native
from framework import KILL, Group, Round, Row, Unit, at_least, at_most, seconds
from peers import disk

GIB = 1 << 30
#: Of a record in the log, about; the log's size is measured.
RECORD_BYTES = 70


def measure_recovery(this: Round) -> None:
    """Open the log that a process left which ended without closing it."""
    figures = this.figures
    folder = this.new_folder() / "bucket"
    count = this.count(GIB, 1 << 20) // RECORD_BYTES
    native.run("persisting_bench", "fill", folder, count, 1)
    log = disk.files_below(folder / "wal")
    size = sum(path.stat().st_size for path in log)
    figures["log_bytes"] = size
    for state in ("cold", "warm"):
        if state == "cold":
            disk.forget(log)
        figures[f"read_{state}"] = size / seconds(lambda: disk.read(log))
        if state == "cold":
            disk.forget(log)
        recovered = native.run("persisting_bench", "recover", folder, 0, 1)
        assert recovered["found"] >= count
        figures[f"recover_{state}"] = size / recovered["seconds"]
        figures["recover_peak"] = recovered["peak_bytes"]


def measure_memory(this: Round) -> None:
    """Put into a bucket that flushes nothing."""
    folder = this.new_folder() / "bucket"
    found = native.run("persisting_bench", "memory", folder, this.count(4_000_000, 100_000), 1)
    this.figures["tail_memory"] = found["memory_bytes"]
    this.figures["tail_encoded"] = found["encoded_bytes"]


def measure(this: Round) -> None:
    measure_recovery(this)
    measure_memory(this)


GROUP = Group(
    "recovery",
    "Recovery and memory",
    "A C++ process fills a log of 1 GiB and ends as if killed; another one opens the bucket. Cold:"
    " the kernel was told to drop the log from its page cache, before the read of the peer too. The"
    " peak is of the whole process, what it maps of files included. The memory of the tail is what"
    " the process has of its own (no page cache) after four million records, less what it had"
    " before.",
    rows=(
        Row(
            "recovery, cold",
            KILL,
            "recover_cold",
            "read_cold",
            "reading the log's files, cold",
            Unit.BYTE_RATE,
            at_least(0.5),
        ),
        Row(
            "recovery, warm",
            KILL,
            "recover_warm",
            "read_warm",
            "reading them, warm",
            Unit.BYTE_RATE,
        ),
        Row(
            "peak memory of the recovery",
            KILL,
            "recover_peak",
            "log_bytes",
            "bytes of the log",
            Unit.BYTES,
            at_most(1.3),
        ),
        Row(
            "memory of the tail",
            KILL,
            "tail_memory",
            "tail_encoded",
            "encoded bytes of its records",
            Unit.BYTES,
            at_most(1.3),
        ),
    ),
    measure=measure,
)
