"""kill -9 over real Pulsing: what was acknowledged is there, once and in order, however often.

Guarantee under test: per bucket, the stored records of each life are a prefix of those that it
submitted, and every acknowledged one is among them.
A run is replayed with PERSISTING_TEST_SEED, as far as the moments of the kills can be.
"""

import os
import random
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from helpers import check_table, same_records
from persisting.queue import PersistingBackend, Queue

PROGRAMS = Path(__file__).parent / "programs"
sys.path.insert(0, str(PROGRAMS))

from numbered import record  # noqa: E402

ROUNDS = 20

pytestmark = [pytest.mark.pulsing, pytest.mark.slow]


def run_until_killed(storage, first, seed, seconds_after_first_ack):
    """One life of the writer. Returns the numbers that it submitted and those acknowledged."""
    submitted, acknowledged = [], []
    with subprocess.Popen(
        [sys.executable, PROGRAMS / "kill9_writer.py", storage, str(first), str(seed)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as writer:
        log = []
        draining = threading.Thread(target=lambda: log.append(writer.stderr.read()))
        draining.start()
        killer = None
        for line in writer.stdout:
            if not line.endswith(b"\n"):
                break  # cut by the kill
            kind, start, count = line.split()
            numbers = range(int(start), int(start) + int(count))
            (submitted if kind == b"s" else acknowledged).extend(numbers)
            if kind == b"a" and killer is None:
                killer = threading.Timer(seconds_after_first_ack, writer.kill)
                killer.start()
        draining.join()
    assert writer.returncode == -signal.SIGKILL, log[0].decode()
    return submitted, acknowledged


@pytest.mark.timeout(180)
def test_every_acknowledged_record_survives(storage):
    seed = int(os.environ.get("PERSISTING_TEST_SEED", random.SystemRandom().randrange(2**32)))
    print(f"PERSISTING_TEST_SEED={seed}")  # noqa: T201
    chance = random.Random(seed)
    lives = []
    first = 0
    for _ in range(ROUNDS):
        life = run_until_killed(storage, first, chance.randrange(2**32), chance.uniform(0, 0.4))
        lives.append(life)
        first = life[0][-1] + 1
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
    print(f"{total} records survived {ROUNDS} kills")  # noqa: T201


def survivors(bucket_id, bucket_of, lives, stored):
    """Check the stored numbers of one bucket against what every life submitted; returns them."""
    position = 0
    for turn, (submitted, acknowledged) in enumerate(lives):
        mine = [number for number in submitted if bucket_of(number) == bucket_id]
        kept = []
        while position < len(stored) and stored[position] <= submitted[-1]:
            kept.append(stored[position])
            position += 1
        assert kept == mine[: len(kept)], f"life {turn}: not a prefix of what was submitted"
        lost = {n for n in acknowledged if bucket_of(n) == bucket_id} - set(kept)
        assert not lost, f"life {turn}: acknowledged records are missing: {sorted(lost)[:10]}"
    assert position == len(stored)
    return stored
