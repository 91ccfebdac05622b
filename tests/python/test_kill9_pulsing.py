"""kill -9 over real Pulsing: what was acknowledged is there, once and in order, however often.

Guarantee under test: per bucket, the stored records of each life are a prefix of those that it
submitted, and every acknowledged one is among them.
A run is replayed with PERSISTING_TEST_SEED, as far as the moments of the kills can be.
"""

import os
import signal
import sys
import threading

import pytest

from helpers import PROGRAMS, check_table, lives_of, same_records, seeded
from persisting.queue import PersistingBackend, Queue

sys.path.insert(0, str(PROGRAMS))

from numbered import record

ROUNDS = 50

# The line after which the time to the kill begins, and the longest such time in seconds.
MOMENTS = {
    "start": (None, 0.06),  # it may not have opened anything yet
    "recovery": ("s", 0.03),  # the first put opens its buckets
    "work": ("a", 0.4),  # puts and flushes
}

pytestmark = [pytest.mark.pulsing, pytest.mark.slow]


def run_until_killed(writer, arguments, begin, seconds):
    """One life of the writer. Returns the numbers that it submitted and those acknowledged."""
    submitted, acknowledged = [], []
    writer.begin(*arguments)
    killer = threading.Timer(seconds, os.kill, (writer.pid, signal.SIGKILL))
    if begin is None:
        killer.start()
    for kind, start, count in writer:
        numbers = range(int(start), int(start) + int(count))
        (submitted if kind == "s" else acknowledged).extend(numbers)
        if kind == begin:
            begin = None
            killer.start()
    assert writer.ended == -signal.SIGKILL, writer.stderr()
    killer.join()
    return submitted, acknowledged


@pytest.mark.timeout(180)
def test_every_acknowledged_record_survives(storage):
    chance = seeded()
    lives = []
    first = 0
    with lives_of("kill9_writer.py") as writer:
        for _ in range(ROUNDS):
            begin, longest = MOMENTS[chance.choice(list(MOMENTS))]
            arguments = (str(storage), first, chance.randrange(2**32))
            life = run_until_killed(writer, arguments, begin, chance.uniform(0, longest))
            lives.append(life)
            first += len(life[0])
    assert any(acknowledged for _, acknowledged in lives)
    bucket_of = Queue(None, "t").get_bucket_id
    total = 0
    for bucket_id in range(4):
        folder = storage / f"bucket_{bucket_id}"
        with PersistingBackend(bucket_id, folder).sync() as backend:
            stored = backend.get()
            expected = survivors(bucket_id, bucket_of, lives, [each["id"] for each in stored])
            assert same_records(stored, [record(number) for number in expected])
            backend.flush()
            assert check_table(folder, stored) == len(stored)
        total += len(stored)
    early = sum(not acknowledged for _, acknowledged in lives)
    print(f"{total} records survived {ROUNDS} kills, {early} of them before any put returned")  # noqa: T201


def survivors(bucket_id, bucket_of, lives, stored):
    """Check the stored numbers of one bucket against what every life submitted; returns them."""
    position = 0
    for turn, (submitted, acknowledged) in enumerate(lives):
        mine = [number for number in submitted if bucket_of(number) == bucket_id]
        kept = []
        while submitted and position < len(stored) and stored[position] <= submitted[-1]:
            kept.append(stored[position])
            position += 1
        assert kept == mine[: len(kept)], f"life {turn}: not a prefix of what was submitted"
        lost = {n for n in acknowledged if bucket_of(n) == bucket_id} - set(kept)
        assert not lost, f"life {turn}: acknowledged records are missing: {sorted(lost)[:10]}"
    assert position == len(stored)
    return stored
