"""Puts numbered records over Pulsing until it is killed; tells what it submits and what is acked.

Arguments of a life: storage folder, number of the first record, seed.
It tells `s FIRST COUNT` before a put, `a FIRST COUNT` once it returned.
"""

import asyncio
import random

import pulsing as pul
from lives import serve, tell
from numbered import record

import persisting._pylance_engine  # noqa: F401 - otherwise each life would import it
from persisting.queue import write_queue


async def main(storage, number, seed):
    chance = random.Random(seed)
    system = await pul.actor_system()
    writer = await write_queue(
        system,
        "t",
        storage_path=storage,
        backend="persisting",
        # Small, so that flushes and rotations are under way when the kill comes.
        backend_options={"flush_threshold": 150, "max_wal_size": 100_000},
    )
    while True:
        count = chance.choice([1, 1, 1, 2, 17, 60])
        records = [record(i) for i in range(number, number + count)]
        tell("s", number, count)
        await writer.put(records[0] if count == 1 else records)
        tell("a", number, count)
        number += count


if __name__ == "__main__":
    serve(lambda *arguments: asyncio.run(main(*arguments)))
