"""One completion queue a loop, which does not keep the loop alive."""

import asyncio
import gc
import weakref

from persisting import _mailbox
from persisting.queue import PersistingBackend


async def test_one_queue_a_loop():
    assert _mailbox.mailbox() is _mailbox.mailbox()


def test_loops_and_their_queues_go_away(storage):
    loops = []

    async def use(backend):
        loops.append(weakref.ref(asyncio.get_running_loop()))
        await backend.put({"id": len(loops)})

    with PersistingBackend(0, str(storage / "bucket_0")) as backend:
        for _ in range(3):
            asyncio.run(use(backend))
        gc.collect()
        assert [loop() for loop in loops] == [None, None, None]
    assert all(not loop.is_closed() for loop in list(_mailbox._queues))


def test_a_loop_closed_with_a_wait_under_way_goes_away(storage):
    seen = []

    async def leave_waiting(backend):
        seen.append(weakref.ref(asyncio.get_running_loop()))
        backend._native.wait_beyond(1000)  # nobody awaits it

    with PersistingBackend(0, str(storage / "bucket_0")) as backend:
        asyncio.run(leave_waiting(backend))
    asyncio.run(asyncio.sleep(0))

    async def another_mailbox():
        _mailbox.mailbox()

    asyncio.run(another_mailbox())
    gc.collect()
    assert seen[0]() is None


async def test_a_task_that_only_the_loop_knows_is_not_collected(storage):
    """Pulsing's actors start theirs so: the core must hold the future that such a task awaits."""
    acknowledged = set()
    all_acknowledged = asyncio.Event()

    async def put_and_forget(backend, number):
        await backend.put_batch([{"id": number, "text": "x" * 1000}] * 100)
        acknowledged.add(number)
        if len(acknowledged) == 20:
            all_acknowledged.set()

    async with PersistingBackend(0, str(storage / "bucket_0")) as backend:
        loop = asyncio.get_running_loop()
        for number in range(20):
            loop.create_task(put_and_forget(backend, number))  # noqa: RUF006 - that is the case
            await asyncio.sleep(0)  # it begins, and awaits the log
            gc.collect()
        await asyncio.wait_for(all_acknowledged.wait(), 30)
