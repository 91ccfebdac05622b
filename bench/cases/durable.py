"""Puts that withstand a power cut, one by one, from one producer and from many."""

import asyncio
from pathlib import Path
from typing import Any

import msgpack

from cases.puts import DISK_SAFE
from framework import POWER, Chart, Group, Round, Row, Unit, at_least, at_most, quantile
from peers import disk, jetstream, redis_streams, rocksdb, sqlite
from persisting.queue import PersistingBackend
from workload import make_records, put_concurrently

BARE = "bare append + fdatasync"
MANY = (64, 256)
P99 = 0.99


def put(folder: Path, records: list[dict[str, Any]], producers: int) -> tuple[float, list[float]]:
    """Return records a second, and how long each put took."""
    latencies: list[float] = []

    async def run() -> float:
        async with PersistingBackend(0, folder / "bucket", **DISK_SAFE) as backend:
            loop = asyncio.get_running_loop()
            started = loop.time()
            await put_concurrently(backend, records, producers, latencies)
            elapsed = loop.time() - started
            assert backend.total_count() == len(records)
            return len(records) / elapsed

    return asyncio.run(run()), latencies


def measure(this: Round) -> None:
    figures = this.figures
    count = this.count(2_000, 50)
    data = msgpack.packb(make_records(1)[0])
    bare = disk.append_and_sync(this.new_folder(), data, count)
    figures["disk"] = count / sum(bare)
    figures["disk_p99"] = quantile(bare, P99)
    few = make_records(count)
    figures["durable_1"], latencies = put(this.new_folder(), few, 1)
    figures["durable_1_p99"] = quantile(latencies, P99)
    many = make_records(this.count(40_000, 512))
    for producers in MANY:
        name = f"durable_{producers}"
        figures[name], latencies = put(this.new_folder(), many, producers)
        figures[f"{name}_p99"] = quantile(latencies, P99)

    some = many[: this.count(10_000, 256)]
    figures["sqlite"] = sqlite.insert_rate(this.new_folder(), few, 1)
    with this.peer("RocksDB"):
        for threads, records in ((1, few), (64, some)):
            figures[f"rocksdb_{threads}"] = rocksdb.write_rate(
                this.new_folder(), len(records), len(data), batch=1, threads=threads
            )
    with this.peer("Redis Streams"), redis_streams.running(this.new_folder()) as path:
        figures["redis_1"] = redis_streams.add_rate(path, few, 1)
        figures["redis_64"] = redis_streams.concurrent_add_rate(path, some, 64)
    with this.peer("NATS JetStream"), jetstream.running(this.new_folder()) as address:
        figures["jetstream_1"] = jetstream.publish_rate(address, few, 1)
        figures["jetstream_64"] = jetstream.publish_rate(address, some, 64)


PEERS = (("rocksdb", "RocksDB"), ("redis", "Redis Streams"), ("jetstream", "NATS JetStream"))
GROUP = Group(
    "durable",
    "Durable puts",
    "Each put returns once the disk has the record (`wal_sync_interval=0`); metrics on. The bare"
    " loop appends one record's bytes to a file and calls fdatasync, from Python. Producers are"
    " tasks of one event loop, each with one put under way. The peers sync every acknowledgement"
    " too: SQLite in WAL mode with synchronous=FULL, RocksDB with sync=true from C++ threads, Redis"
    " with appendfsync always, JetStream with sync_interval always; the last two are other"
    " processes.",
    rows=(
        Row("put, 1 producer", POWER, "durable_1", "disk", BARE, target=at_least(1)),
        Row("put, 1 producer", POWER, "durable_1", "sqlite", "SQLite, a commit each"),
        *(Row("put, 1 producer", POWER, "durable_1", f"{p}_1", text) for p, text in PEERS),
        *(
            Row(f"put, {n} producers", POWER, f"durable_{n}", "disk", BARE, target=at_least(bound))
            for n, bound in zip(MANY, (25, 60), strict=True)
        ),
        *(
            Row("put, 64 producers", POWER, "durable_64", f"{p}_64", f"{text}, 64")
            for p, text in PEERS
        ),
        Row(
            "1 producer: 99 of 100 puts within",
            POWER,
            "durable_1_p99",
            "disk_p99",
            f"{BARE}: the same",
            Unit.SECONDS,
        ),
        *(
            Row(
                f"{n} producers: 99 of 100 puts within",
                POWER,
                f"durable_{n}_p99",
                "disk_p99",
                f"{BARE}: the same",
                Unit.SECONDS,
                at_most(3),
            )
            for n in MANY
        ),
    ),
    measure=measure,
    charts=(
        Chart(
            "bench-durable.svg",
            "Durable puts, as a multiple of a bare append + fdatasync loop",
            ("durable_1/disk", "durable_64/disk", "durable_256/disk"),
        ),
        Chart(
            "bench-durable-stores.svg",
            "Durable puts, as a multiple of other stores",
            (
                "durable_1/sqlite",
                *(f"durable_{n}/{p}_{n}" for n in (1, 64) for p, _ in PEERS),
            ),
        ),
    ),
)
