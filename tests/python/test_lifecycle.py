"""Puts whose task, loop, process or bucket ends under them: what was acknowledged stays, in order.

Cancelling a put does not take it back, so a cancelled put may be there or not, but whole and once.
A run is replayed with PERSISTING_TEST_SEED, as far as its moments can be.
"""

import asyncio
import contextlib
import fcntl
import gc
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from helpers import PROGRAMS, check_table, ids, lives_of, same_records, seeded
from persisting.queue import PersistingBackend, StorageError, read_queue, write_queue

sys.path.insert(0, str(PROGRAMS))

from numbered import record

ROUNDS = 100

pytestmark = pytest.mark.slow


class Puts:
    """Numbered puts of one test, and what is known of each: begun, acknowledged, cancelled."""

    def __init__(self, chance):
        self.chance = chance
        self.number = 0
        self.begun = []  # batches, in the order in which the backend got them
        self.acknowledged = set()
        self.stored = []  # numbers of the records that were read and found right

    async def put(self, backend):
        count = self.chance.choice([1, 1, 2, 30])
        numbers = range(self.number, self.number + count)
        self.number += count
        self.begun.append(numbers)
        if count == 1:
            await backend.put(record(numbers[0]))
        else:
            await backend.put_batch([record(i) for i in numbers])
        self.acknowledged.update(numbers)

    def check(self, more):
        """`more` is what is stored behind what was checked before.

        Every put is there whole or not at all, once, in order, and surely if acknowledged.
        """
        assert same_records(more, [record(number) for number in ids(more)])
        self.stored += ids(more)
        assert self.stored == sorted(set(self.stored)), "twice, or out of order"
        there = set(self.stored)
        for batch in self.begun:
            assert len(there.intersection(batch)) in (0, len(batch)), f"a part of {batch}"
        assert there <= {number for batch in self.begun for number in batch}
        assert not self.acknowledged - there, "acknowledged records are missing"


async def cancelled_put(backend, puts):
    """Cancel one put among others, after a random number of turns of the loop."""
    chance = puts.chance
    others = [asyncio.create_task(puts.put(backend)) for _ in range(chance.randrange(3))]
    victim = asyncio.create_task(puts.put(backend))
    others += [asyncio.create_task(puts.put(backend)) for _ in range(chance.randrange(3))]
    for _ in range(chance.choice([0, 1, 1, 1, 1, 2, 3, 8])):
        await asyncio.sleep(0)
    victim.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await victim
    # Nothing but the core refers to the record's bytes now.
    gc.collect(2 if chance.random() < 0.1 else 0)
    await asyncio.gather(*others)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"wal_sync_interval": 0.002, "compression": "zstd"},
        {"max_buffer_bytes": 40_000},  # puts wait for flushes
        {"flush_threshold": 50},
    ],
    ids=["durable", "synced later", "stalled", "flushed"],
)
async def test_a_cancelled_put_is_whole_or_not_there(tmp_path, options):
    puts = Puts(seeded())
    folder = tmp_path / "bucket"  # on a real disk, so that a commit takes its time
    points = 0
    for _ in range(5):
        async with PersistingBackend(0, folder, **options) as backend:
            for _ in range(50):
                await cancelled_put(backend, puts)
                points += 1
                if points % 10 == 0:
                    await puts.put(backend)  # behind it, whatever was begun before is decided
                    puts.check(await backend.get(offset=len(puts.stored)))
        async with PersistingBackend(0, folder, **options) as backend:
            stored = await backend.get()
            assert ids(stored) == puts.stored
    check_table(folder, [record(number) for number in puts.stored])
    assert points == 250
    under_way = sum(not puts.acknowledged.issuperset(batch) for batch in puts.begun)
    if "wal_sync_interval" not in options:  # with it a put does not wait for anything
        assert under_way > 25, "few puts were cancelled while the backend had them"
    print(f"{under_way} of {points} were cancelled while the backend had them")  # noqa: T201


@pytest.mark.filterwarnings("error::pytest.PytestUnraisableExceptionWarning")
def test_a_loop_closed_with_puts_under_way(memory_folder):
    chance = seeded()
    puts = Puts(chance)

    async def begin(backend):
        tasks = [asyncio.create_task(puts.put(backend)) for _ in range(chance.randrange(1, 8))]
        for task in tasks:
            task._log_destroy_pending = False  # that asyncio complains is no news
        for _ in range(chance.randrange(4)):
            await asyncio.sleep(0)

    async def check(backend):
        await puts.put(backend)
        puts.check(await backend.get(offset=len(puts.stored)))
        # All that was begun was submitted, and nothing has crashed.
        assert puts.stored == [number for batch in puts.begun for number in batch]

    with PersistingBackend(0, memory_folder / "bucket") as backend:
        for turn in range(ROUNDS):
            if turn % 4 == 0:
                asyncio.run(begin(backend))  # cancels what is left
            else:
                loop = asyncio.new_event_loop()
                loop.run_until_complete(begin(backend))
                loop.close()
                del loop
            gc.collect(2 if turn % 5 == 0 else 0)
            asyncio.run(check(backend))


WAYS_TO_END = [
    "run_and_leave_tasks",
    "exit_in_main",
    "exit_in_a_task",
    "vanish_in_a_task",
    "leave_the_loop_open",
    "leave_futures",
    "leave_a_thread",
]


@pytest.mark.timeout(180)
def test_the_interpreter_ends_with_puts_under_way(memory_folder):
    """A hundred ends of real processes. Each is a fork that then ends as any interpreter does;
    what is not repeated a hundred times is importing the modules.
    """
    chance = seeded()
    folder = memory_folder / "bucket"
    stored = []  # numbers
    with lives_of("exits.py") as program:
        for turn in range(ROUNDS):
            way = WAYS_TO_END[turn % len(WAYS_TO_END)]
            code = chance.choice([0, 0, 3, 77])
            first = stored[-1] + 1 if stored else 0
            submitted, acknowledged = [], []
            program.begin(str(folder), way, code, first, chance.randrange(2**32))
            for kind, *words in program:
                if kind != "x":
                    numbers = range(int(words[0]), int(words[0]) + int(words[1]))
                    (submitted if kind == "s" else acknowledged).extend(numbers)
            said = program.stderr()
            assert program.ended == code, f"{way} ended with {program.ended}: {said}"
            for sign in ("Traceback", "Exception ignored", "Fatal", "terminate", "panicked"):
                assert sign not in said, f"{way}: {said}"
            with PersistingBackend(0, folder).sync() as backend:
                more = backend.get(offset=len(stored))
            kept = ids(more)
            assert kept == submitted[: len(kept)], f"{way}: not a prefix of what was submitted"
            assert set(acknowledged) <= set(kept), f"{way}: acknowledged records are missing"
            assert same_records(more, [record(number) for number in kept])
            stored += kept
    check_table(folder, [record(number) for number in stored])


def run_forks(folder, what, times):
    seed = seeded().randrange(2**32)
    arguments = [str(folder), what, str(times), str(seed)]
    done = subprocess.run(
        [sys.executable, "-W", "error", PROGRAMS / "forks.py", *arguments],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "closing backends" not in done.stderr


def test_forks_leave_the_parents_backend_alone(memory_folder):
    run_forks(memory_folder / "bucket", "quiet", ROUNDS)


def test_forks_while_the_parent_puts(memory_folder):
    run_forks(memory_folder / "bucket", "busy", ROUNDS)


def test_a_child_of_a_process_that_has_used_lance_is_refused_a_bucket(memory_folder):
    run_forks(memory_folder / "bucket", "own", 20)


@pytest.mark.timeout(120)
def test_one_of_two_processes_gets_a_bucket_and_the_next_when_it_is_killed(memory_folder):
    folder, fifo = memory_folder / "bucket", memory_folder / "fifo"
    os.mkfifo(fifo)
    wins = [0, 0]
    with lives_of("contender.py") as one, lives_of("contender.py") as other:
        for turn in range(30):
            gate = os.open(fifo, os.O_RDWR)
            for contender in (one, other):
                contender.begin(str(folder), str(fifo), turn)
                assert contender.line() == ["ready"]
            os.close(gate)
            outcomes = [contender.line() for contender in (one, other)]
            winner = [outcome[0] for outcome in outcomes].index("won")
            wins[winner] += 1
            holder, refused = (one, other) if winner == 0 else (other, one)
            kind, *error = outcomes[1 - winner]
            assert kind == "lost"
            # Whose it is may not have been written down yet at that moment; see the next test.
            assert re.search(r"is held by (another )?process", " ".join(error)), error
            with pytest.raises(StorageError, match=rf"\b{holder.pid}\b"):
                PersistingBackend(0, folder)
            for life in (refused, holder):
                if life is holder:
                    os.kill(holder.pid, signal.SIGKILL)
                assert not list(life)
            assert (refused.ended, holder.ended) == (0, -signal.SIGKILL)
            with PersistingBackend(0, folder).sync() as backend:
                assert ids(backend.get()) == list(range(turn + 1))
    print(f"wins: {wins}")  # noqa: T201


def test_a_dead_process_is_not_named_as_the_holder(memory_folder):
    with PersistingBackend(0, memory_folder):
        pass
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    lock = memory_folder / "LOCK"
    lock.write_text(f"{dead.pid}\n")
    with lock.open() as held:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        with pytest.raises(StorageError, match="is held by") as refused:
            PersistingBackend(0, memory_folder)
    assert str(dead.pid) not in str(refused.value)


@pytest.mark.pulsing
@pytest.mark.parametrize("how", ["stop", "shutdown"])
async def test_pulsing_stops_a_bucket_with_puts_under_way(storage, how):
    """Pulsing never closes a backend. Stopping an actor, or the system, comes between its puts."""
    pul = pytest.importorskip("pulsing")
    chance = seeded()
    submitted, acknowledged = [], set()

    async def put(writer, numbers):
        submitted.extend(numbers)
        await writer.put([record(i) for i in numbers])
        acknowledged.update(numbers)

    arguments = {"storage_path": storage, "num_buckets": 1}
    for _ in range(10):
        system = await pul.actor_system()
        writer = await write_queue(system, "t", **arguments)
        first = len(submitted)
        await put(writer, range(first, first + 5))
        batches = [range(i, i + 5) for i in range(first + 5, first + 55, 5)]
        tasks = [asyncio.create_task(put(writer, numbers)) for numbers in batches]
        for _ in range(chance.randrange(12)):
            await asyncio.sleep(0)
        if how == "stop":
            [name] = [name for name in system.local_actor_names() if "bucket_t_0" in name]
            await system.stop(name)
        # The puts that are not served any more end one way or another, or not at all.
        await asyncio.wait(tasks, timeout=0 if how == "shutdown" else 5)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await system.shutdown()

        system = await pul.actor_system()
        reader = await read_queue(system, "t", **arguments)
        stored = await reader.get(10_000)
        await system.shutdown()
        numbers = ids(stored)
        assert len(set(numbers)) == len(numbers)
        assert not acknowledged - set(numbers), "acknowledged records are missing"
        assert same_records(stored, [record(number) for number in numbers])
        for start in range(0, len(submitted), 5):
            there = [number for number in numbers if number // 5 == start // 5]
            assert there in ([], list(range(start, start + 5)))


@pytest.fixture
def read_only(tmp_path):
    """Make a folder that cannot be written to; root can everywhere but on a read-only mount."""
    made = []

    def make(folder):
        if os.geteuid() != 0:
            folder.chmod(0o500)
            made.append(["chmod", "700", str(folder)])
            return
        if shutil.which("mount") is None:
            pytest.skip("there is no mount command")
        for options in (["--bind", str(folder)], ["-o", "remount,ro,bind"]):
            done = subprocess.run(
                ["mount", *options, str(folder)], capture_output=True, text=True, check=False
            )
            if done.returncode != 0:
                pytest.skip(f"cannot mount a folder: {done.stderr.strip()}")
            if options[0] == "--bind":
                made.append(["umount", "--lazy", str(folder)])

    yield make
    for command in made:
        subprocess.run(command, check=True)


@pytest.mark.parametrize("what", ["an empty one", "a bucket"])
def test_a_folder_that_cannot_be_written_to(tmp_path: Path, read_only, what):
    folder = tmp_path / "bucket"
    folder.mkdir()
    if what == "a bucket":
        with PersistingBackend(0, folder).sync() as backend:
            backend.put({"id": 1})
    read_only(folder)
    with pytest.raises(StorageError, match=rf"{re.escape(str(folder))}\b.*(ermission|ead-only)"):
        PersistingBackend(0, folder)
