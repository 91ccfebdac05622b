"""Puts numbered records into a bucket that a test looks into meanwhile, until it is killed.

Arguments of a life: the bucket's folder, number of the first record, seed.
It tells `a COUNT` whenever that many records of the bucket are acknowledged.
"""

import random

from lives import serve, tell
from numbered import record

import persisting._pylance_engine  # noqa: F401 - otherwise each life would import it
from persisting.queue import PersistingBackend


def life(folder, number, seed):
    chance = random.Random(seed)
    # Small, so that flushes and rotations go on all the time.
    backend = PersistingBackend(0, folder, flush_threshold=100, max_wal_size=50_000).sync()
    tell("a", backend.total_count())
    while True:
        count = chance.choice([1, 1, 2, 30])
        backend.put_batch([record(i) for i in range(number, number + count)])
        number += count
        tell("a", number)


if __name__ == "__main__":
    serve(life)
