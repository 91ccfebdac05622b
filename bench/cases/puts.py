"""Puts into the log: one by one and in batches, through Python and in C++."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgpack

import native
from framework import KILL, NOTHING, POWER, Chart, Group, Round, Row, at_least, rate
from peers import encoder, jetstream, lance_table, redis_streams, rewrite_all, rocksdb, sqlite
from persisting.queue import PersistingBackend
from workload import BATCH, NO_FLUSH, make_records, put_batches, put_each

PACKB = "`msgpack.packb`"
MEMORY_SAFE = {"wal_sync_interval": 1, "enable_metrics": True, **NO_FLUSH}
DISK_SAFE = {"wal_sync_interval": 0, "enable_metrics": True, **NO_FLUSH}

Records = list[dict[str, Any]]


def put_rate(
    folder: Path,
    records: Records,
    options: dict[str, Any],
    work: Callable[[PersistingBackend, Records], Awaitable[None]],
) -> float:
    """Return how many records a second our backend takes."""

    async def run() -> float:
        backend = PersistingBackend(0, folder / "bucket", **options)
        loop = asyncio.get_running_loop()
        started = loop.time()
        await work(backend, records)
        elapsed = loop.time() - started
        assert backend.total_count() == len(records)
        await backend.close()
        return len(records) / elapsed

    return asyncio.run(run())


def rewriting_rate(folder: Path, records: Records) -> float:
    """Return how many records a second the earlier backend takes."""
    backend = rewrite_all.RewritingBackend(folder)
    return rate(len(records), lambda: asyncio.run(put_each(backend, records)))


def native_rate(folder: Path, operation: str, count: int) -> float:
    """Return how many records a second our library takes in C++."""
    return count / native.run("persisting_bench", operation, folder / "bucket", count, 1)["seconds"]


def measure(this: Round) -> None:
    figures = this.figures
    records = make_records(this.count(100_000, 2_000))
    figures["packb"] = encoder.packb_rate(records)
    figures["put"] = put_rate(this.new_folder(), records, MEMORY_SAFE, put_each)
    figures["put_batch"] = put_rate(this.new_folder(), records, MEMORY_SAFE, put_batches)
    figures["put_batch_synced"] = put_rate(this.new_folder(), records, DISK_SAFE, put_batches)

    count = this.count(1_000_000, 2_000)
    figures["native_put"] = native_rate(this.new_folder(), "put", count)
    figures["native_make_put"] = native_rate(this.new_folder(), "make_put", count)
    figures["native_put_batch"] = native_rate(this.new_folder(), "put_batch", count)

    figures["sqlite"] = sqlite.insert_rate(this.new_folder(), records, BATCH)
    figures["lance"] = lance_table.append_rate(this.new_folder(), records, BATCH)
    with this.peer("RocksDB"):
        size = len(msgpack.packb(records[0]))
        figures["rocksdb"] = rocksdb.write_rate(
            this.new_folder(), len(records), size, batch=BATCH, threads=1
        )
    fewer = records[: this.count(20_000, 2_000)]
    figures["rewrite_all"] = rewriting_rate(this.new_folder(), fewer)
    with this.peer("Redis Streams"), redis_streams.running(this.new_folder()) as path:
        figures["redis"] = redis_streams.add_rate(path, fewer, BATCH)
    with this.peer("NATS JetStream"), jetstream.running(this.new_folder()) as address:
        figures["jetstream"] = jetstream.publish_rate(address, fewer[:5_000], producers=BATCH)


BATCHES = "put_batch of 1,000"
GROUP = Group(
    "puts",
    "Puts",
    "`await backend.put(dict)` one after the other, or `put_batch` of 1,000 dicts, into a bucket"
    " with log, schema check and metrics on; no flush falls into the time. `msgpack.packb` encodes"
    " the same dicts and keeps nothing. C++ puts from one thread through the public headers."
    " The other stores take the same records in batches of 1,000 and sync each, but for pylance,"
    " which syncs nothing, and the earlier backend (read all, append, rewrite all, every 100"
    " records), which took them one by one. JetStream has no batch: 1,000 publishes are under way"
    " at a time.",
    rows=(
        Row("put, one by one", KILL, "put", "packb", PACKB, target=at_least(1.2)),
        Row(BATCHES, KILL, "put_batch", "packb", PACKB, target=at_least(3)),
        Row(BATCHES, POWER, "put_batch_synced", "packb", PACKB, target=at_least(1.2)),
        Row(BATCHES, POWER, "put_batch_synced", "sqlite", "SQLite", target=at_least(5)),
        Row(
            BATCHES,
            POWER,
            "put_batch_synced",
            "lance",
            f"pylance append (survives {NOTHING})",
            target=at_least(5),
        ),
        Row(BATCHES, POWER, "put_batch_synced", "rocksdb", "RocksDB"),
        Row(BATCHES, POWER, "put_batch_synced", "redis", "Redis Streams"),
        Row(BATCHES, POWER, "put_batch_synced", "jetstream", "NATS JetStream"),
        Row(
            "put, one by one",
            KILL,
            "put",
            "rewrite_all",
            f"the earlier backend (survives {NOTHING})",
        ),
        Row(
            "C++: put of an encoded record", KILL, "native_put", "packb", PACKB, target=at_least(3)
        ),
        Row("C++: encode and put", KILL, "native_make_put", "packb", PACKB),
        Row(f"C++: {BATCHES}, encoded", KILL, "native_put_batch", "packb", PACKB),
    ),
    measure=measure,
    charts=(
        Chart(
            "bench-puts.svg",
            "Puts of 4-field records, as a multiple of msgpack.packb",
            (
                "put/packb",
                "put_batch/packb",
                "put_batch_synced/packb",
                "native_put/packb",
                "native_make_put/packb",
                "native_put_batch/packb",
            ),
        ),
        Chart(
            "bench-stores.svg",
            "put_batch of 1,000, synced, as a multiple of other stores",
            tuple(
                f"put_batch_synced/{peer}"
                for peer in ("sqlite", "lance", "rocksdb", "redis", "jetstream")
            ),
        ),
    ),
)
