"""Puts numbered records over Pulsing until it is killed; tells what it submits and what is acked.

Arguments: storage folder, number of the first record, seed.
Output, one line each: `s FIRST COUNT` before a put, `a FIRST COUNT` once it returned.
"""

import asyncio
import os
import random
import sys

import pulsing as pul
from numbered import record

from persisting.queue import write_queue


def tell(kind, first, count):
    os.write(PIPE, f"{kind} {first} {count}\n".encode())


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
    # Pulsing logs to stdout: our lines go to a copy of it, and everything else to stderr.
    PIPE = os.dup(1)
    os.dup2(2, 1)
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
