"""Puts every flight into a queue, and may be killed at any time: started again, it goes on.

    python examples/loader.py FOLDER

It prints what it has done as one JSON object a line. With all flights in the queue it reads them
back and compares every field.
"""

import asyncio
import json
import os
import sys
from time import perf_counter
from typing import Any

import pulsing as pul
import pyarrow as pa

from flights import Violation, check_fields, check_order, ids_by_bucket, load_flights, records_of
from persisting.queue import Queue, QueueWriter, read_queue, write_queue

TOPIC = "flights"
NUM_BUCKETS = 4
RECORDS_PER_PUT = 2_000
RECORDS_PER_GET = 5_000
# Far below the default, so that the kill finds flights in the tables and in the logs alike.
BACKEND_OPTIONS = {"flush_bytes": 4 * 2**20}


async def run(folder: str) -> None:
    """Open the queue, put what it lacks, compare what it holds."""
    flights = load_flights()
    system = await pul.actor_system()
    writer = await write_queue(
        system,
        TOPIC,
        num_buckets=NUM_BUCKETS,
        storage_path=folder,
        backend="persisting",
        backend_options=BACKEND_OPTIONS,
    )
    buckets = ids_by_bucket(flights, writer.queue.get_bucket_id)

    counts = {bucket_id: await recover(writer.queue, bucket_id) for bucket_id in buckets}
    missing = sorted(
        flight_id for bucket_id, ids in buckets.items() for flight_id in ids[counts[bucket_id] :]
    )
    await put(writer, flights, missing)
    await read_back(system, folder, flights, buckets)

    await writer.flush()
    report(flushed=True)
    await writer.close()
    await system.shutdown()


async def recover(queue: Queue, bucket_id: int) -> int:
    """Open a bucket, which recovers what it holds, and report the ids; return their number."""
    start = perf_counter()
    await queue.get(bucket_id, limit=1)
    seconds = perf_counter() - start
    figures = (await queue.stats())["buckets"][bucket_id]

    ids: list[int] = []
    while page := await queue.get(bucket_id, limit=RECORDS_PER_GET, offset=len(ids)):
        ids += [record["id"] for record in page]
    report(
        recovered={
            "bucket_id": bucket_id,
            "ids": ids,
            "in_table": figures["persisted_count"],
            "in_log": figures["buffer_count"],
            "seconds": seconds,
        }
    )
    return len(ids)


async def put(writer: QueueWriter, flights: pa.Table, ids: list[int]) -> None:
    """Put these flights, and report how many are acked whenever a put has returned."""
    for start in range(0, len(ids), RECORDS_PER_PUT):
        records = records_of(flights, ids[start : start + RECORDS_PER_PUT])
        report(putting=len(records))
        await writer.put(records)
        report(acked=start + len(records))


async def read_back(
    system: Any, folder: str, flights: pa.Table, buckets: dict[int, list[int]]
) -> None:
    """Read the queue from its beginning and compare it with what was put, in every field."""
    reader = await read_queue(
        system, TOPIC, num_buckets=NUM_BUCKETS, storage_path=folder, backend="persisting"
    )
    found: dict[int, list[int]] = {bucket_id: [] for bucket_id in buckets}
    compared = 0
    while records := await reader.get(limit=RECORDS_PER_GET):
        check_fields(records, flights)
        for record in records:
            found[reader.queue.get_bucket_id(record["id"])].append(record["id"])
        compared += len(records)
        report(compared=compared)
    for bucket_id, ids in buckets.items():
        check_order(bucket_id, found[bucket_id], put=ids, acked=len(ids))
    report(intact=True)


def report(**event: Any) -> None:
    """Tell whoever started this program."""
    print(json.dumps(event), flush=True)


def main() -> int:
    """Run the loader and return its exit code."""
    # Pulsing 0.1.0 writes its log to stdout: events keep that, and the log goes to stderr.
    sys.stdout = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    try:
        asyncio.run(run(sys.argv[1]))
    except Violation as violation:
        report(violation=str(violation))
        return 1
    return 0


if __name__ == "__main__":
    # Pulsing's threads may outlive its system, and crash an interpreter that is being torn down.
    os._exit(main())
