"""Ends in one of many ways while puts are under way.

Arguments of a life: the bucket's folder, the way to end, the exit code, number of the first record,
seed. It tells `s FIRST COUNT` before a put, `a FIRST COUNT` once it returned.
"""

import asyncio
import os
import random
import sys
import threading

from lives import serve, tell
from numbered import record

import persisting._pylance_engine  # noqa: F401 - otherwise each life would import it
from persisting.queue import PersistingBackend

_kept = []  # alive until the interpreter goes down: tasks, their loop, the backend


class Program:
    """A backend, and tasks that put numbered records into it."""

    def __init__(self, folder, number, seed):
        self.chance = random.Random(seed)
        self.number = number
        interval = self.chance.choice([0.0, 0.0, 0.002])
        self.backend = PersistingBackend(0, folder, wal_sync_interval=interval)
        _kept.append(self.backend)

    def batch(self):
        count = self.chance.choice([1, 1, 3, 40])
        self.number += count
        return [record(i) for i in range(self.number - count, self.number)]

    async def put(self):
        records = self.batch()
        tell("s", records[0]["id"], len(records))
        if len(records) == 1:
            await self.backend.put(records[0])
        else:
            await self.backend.put_batch(records)
        tell("a", records[0]["id"], len(records))

    async def begin(self):
        """Leave tasks behind, some of which wait for the log, and perhaps a flush."""
        for _ in range(self.chance.randrange(3)):
            await self.put()
        count = self.chance.randrange(1, 20)
        _kept.extend(asyncio.create_task(self.put()) for _ in range(count))
        if self.chance.random() < 0.3:
            _kept.append(asyncio.create_task(self.backend.flush()))
        for _ in range(self.chance.randrange(5)):
            await asyncio.sleep(0)

    async def begin_and_call(self, leave, code):
        await self.begin()
        leave(code)

    async def call_in_a_task(self, leave, code):
        leaving = asyncio.create_task(self.begin_and_call(leave, code))
        leaving.add_done_callback(asyncio.Task.exception)  # else asyncio complains of SystemExit
        _kept.append(leaving)
        await asyncio.Event().wait()

    def put_in_a_thread(self, begun):
        backend = self.backend.sync()
        while True:
            records = self.batch()
            tell("s", records[0]["id"], len(records))
            backend.put_batch(records)
            tell("a", records[0]["id"], len(records))
            begun.set()


def run_and_leave_tasks(program, code):
    """asyncio.run cancels the tasks that are left."""
    asyncio.run(program.begin())
    sys.exit(code)


def exit_in_main(program, code):
    asyncio.run(program.begin_and_call(sys.exit, code))


def exit_in_a_task(program, code):
    asyncio.run(program.call_in_a_task(sys.exit, code))


def vanish_in_a_task(program, code):
    """No exit handler runs: to the bucket this is a crash."""
    asyncio.run(program.call_in_a_task(os._exit, code))


def leave_the_loop_open(program, code):
    """Off the end with tasks that nobody cancels, on a loop that nobody closes."""
    loop = asyncio.new_event_loop()
    _kept.append(loop)
    loop.run_until_complete(program.begin())
    if code:
        sys.exit(code)


def leave_futures(program, code):
    """Off the end with results on their way to futures that nobody awaits."""

    async def begin():
        for _ in range(20):
            records = program.batch()
            tell("s", records[0]["id"], len(records))
            _kept.append(program.backend._native.put_batch(records))

    loop = asyncio.new_event_loop()
    _kept.append(loop)
    loop.run_until_complete(begin())
    if code:
        sys.exit(code)


def leave_a_thread(program, code):
    """A daemon thread is in the middle of a put."""
    begun = threading.Event()

    def put():
        try:
            program.put_in_a_thread(begun)
        except Exception as error:  # noqa: BLE001 - the bucket is closed under it
            tell("x", type(error).__name__)

    threading.Thread(target=put, daemon=True).start()
    begun.wait()
    sys.exit(code)


def life(folder, way, code, number, seed):
    globals()[way](Program(folder, number, seed), code)


if __name__ == "__main__":
    serve(life)
