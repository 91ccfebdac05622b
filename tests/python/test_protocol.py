"""The three backends follow the protocol, in both ways of calling them."""

import asyncio
import inspect
import subprocess
import sys
import textwrap

import pytest

from helpers import Tick, ids
from persisting.queue import (
    LanceBackend,
    MemoryBackend,
    PersistingBackend,
    StorageBackend,
    StorageError,
)

BACKENDS = [MemoryBackend, LanceBackend, PersistingBackend]


@pytest.fixture(params=BACKENDS, ids=lambda kind: kind.__name__)
async def backend(request, storage):
    async with request.param(0, str(storage / "bucket_0")) as backend:
        yield backend


def numbered(count, first=0):
    return [{"id": i, "text": f"record {i}"} for i in range(first, first + count)]


async def streamed(stream):
    pages = [page async for page in stream]
    assert all(isinstance(page, list) and page for page in pages)
    return [record for page in pages for record in page]


def test_is_a_storage_backend(backend):
    assert isinstance(backend, StorageBackend)


@pytest.mark.pulsing
def test_is_pulsings_storage_backend(backend, pulsing_queue):
    protocol = importlib_protocol(pulsing_queue)
    assert isinstance(backend, protocol)


def importlib_protocol(pulsing_queue):
    return pulsing_queue.StorageBackend


def test_methods_are_real_coroutines(backend):
    for name in ("put_batch", "get", "flush", "stats", "close", "get_meta", "put_tensor"):
        assert inspect.iscoroutinefunction(getattr(backend, name)), name
    assert inspect.isasyncgenfunction(backend.get_stream)


async def test_what_put_returns_is_good_for_all_that_takes_coroutines(backend):
    def put(i):
        return backend.put({"id": i})

    done = put(0)
    assert asyncio.iscoroutine(done)
    assert inspect.isawaitable(done)
    assert await done is None
    assert await asyncio.create_task(put(1)) is None
    assert await asyncio.gather(put(2), put(3)) == [None, None]
    assert await asyncio.wait_for(put(4), 60) is None
    assert [await each for each in asyncio.as_completed([put(5), put(6)])] == [None, None]
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(put(i)) for i in (7, 8)]
    assert [task.result() for task in tasks] == [None, None]
    assert sorted(ids(await backend.get())) == list(range(9))


async def test_an_acknowledgement_at_once_is_a_coroutine_that_is_done():
    async with MemoryBackend(0) as backend:
        await backend.put({"id": 0})  # the schema grows
        done = backend.put({"id": 1})
        assert backend.total_count() == 2
        with pytest.raises(StopIteration):
            done.send(None)
        assert list(done.__await__()) == []
        assert done.close() is None
        for thrown in (KeyError("x"), KeyError):
            with pytest.raises(KeyError):
                done.throw(thrown)
        with pytest.raises(TypeError, match="not int"):
            done.throw(1)
        assert await done is None


async def test_a_refusal_is_told_to_who_awaits(backend):
    refused = backend.put({"id": object()})
    kept = backend.put({"id": 1})
    results = await asyncio.gather(refused, kept, return_exceptions=True)
    assert [type(result) for result in results] == [TypeError, type(None)]
    assert await backend.get() == [{"id": 1}]


async def test_a_task_cancelled_before_it_began_has_put_or_not(backend):
    task = asyncio.create_task(backend.put({"id": 1}))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await backend.get() in ([], [{"id": 1}])


async def test_put_and_get(backend):
    records = numbered(10)
    assert await backend.put(records[0]) is None
    assert await backend.put_batch(records[1:]) is None
    assert backend.total_count() == 10
    assert await backend.get(100, 0) == records
    assert await backend.get(3, 4) == records[4:7]
    assert await backend.get(0, 0) == []
    assert await backend.get(5, 10) == []
    assert await backend.get(5, 99) == []


async def test_get_as_the_guide_writes_it(backend):
    records = numbered(5)
    await backend.put_batch(records)
    assert await backend.get() == records
    assert await backend.get(offset=2, limit=None) == records[2:]
    assert await backend.get(offset=1, limit=2) == records[1:3]


async def test_reads_the_same_before_and_after_the_flush(backend):
    await backend.put_batch([{"id": 0}, {"id": 1, "late": 1.5}, {"id": 2, "late": None}])
    before = await backend.get(10, 0)
    await backend.flush()
    assert await backend.get(10, 0) == before
    assert before[1] == {"id": 1, "late": 1.5}
    assert before[0].get("late") is None


async def test_puts_from_many_tasks_keep_every_record(backend):
    tasks = [asyncio.create_task(backend.put({"id": i})) for i in range(200)]
    await asyncio.gather(*tasks)
    assert sorted(ids(await backend.get(1000, 0))) == list(range(200))


async def test_one_task_keeps_its_order(backend):
    for record in numbered(50):
        await backend.put(record)
    assert ids(await backend.get(100, 0)) == list(range(50))


async def test_stream_by_position_as_pulsing_calls_it(backend):
    records = numbered(2500)
    await backend.put_batch(records)
    assert await streamed(backend.get_stream(2300, 100, False, None)) == records[100:2400]


async def test_stream_as_the_guide_writes_it(backend):
    records = numbered(5)
    await backend.put_batch(records)
    assert await streamed(backend.get_stream(offset=1, limit=2, block=False)) == records[1:3]
    assert await streamed(backend.get_stream(offset=3)) == records[3:]
    assert await streamed(backend.get_stream(limit=6, block=True, timeout=0.01)) == records


@pytest.mark.parametrize("keyword", ["wait", "block"])
async def test_stream_wakes_on_a_put(backend, keyword):
    stream = backend.get_stream(limit=2, offset=0, **{keyword: True})
    waiting = asyncio.create_task(streamed(stream))
    await Tick()
    assert not waiting.done()
    await backend.put({"id": 1})
    await Tick()
    await backend.put({"id": 2})
    assert ids(await asyncio.wait_for(waiting, 10)) == [1, 2]


async def test_stream_ends_at_the_timeout(backend):
    await backend.put({"id": 1})
    assert ids(await streamed(backend.get_stream(10, 0, True, 0.05))) == [1]
    assert await streamed(backend.get_stream(10, 1, True, 0)) == []


async def test_waiting_stream_can_be_cancelled(backend):
    waiting = asyncio.create_task(streamed(backend.get_stream(10, 0, True)))
    await Tick()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await backend.put({"id": 1})
    assert ids(await backend.get(10, 0)) == [1]


async def test_closing_ends_a_waiting_stream(backend):
    waiting = asyncio.create_task(streamed(backend.get_stream(10, 0, True)))
    await Tick()
    await backend.close()
    with pytest.raises(StorageError):
        await asyncio.wait_for(waiting, 10)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"limit": -1}, ValueError),
        ({"offset": -1}, ValueError),
        ({"limit": 1.5}, TypeError),
        ({"limit": "3"}, TypeError),
        ({"limit": True}, TypeError),
        ({"offset": None}, TypeError),
    ],
)
async def test_impossible_limits(backend, arguments, error):
    name = next(iter(arguments))
    with pytest.raises(error, match=name):
        await backend.get(**arguments)
    with pytest.raises(error, match=name):
        await streamed(backend.get_stream(**arguments))


async def test_impossible_timeouts(backend):
    for timeout in (-1, float("nan")):
        with pytest.raises(ValueError, match="timeout"):
            await streamed(backend.get_stream(1, 0, True, timeout))
    with pytest.raises(TypeError, match="timeout"):
        await streamed(backend.get_stream(1, 0, True, "1"))


async def test_stats(backend):
    await backend.put_batch(numbered(7))
    stats = await backend.stats()
    assert stats["bucket_id"] == 0
    assert stats["total_count"] == 7
    assert stats["buffer_count"] == stats["buffer_size"]
    assert stats["buffer_count"] + stats["persisted_count"] == 7
    assert {"storage_path", "backend"} <= stats.keys()
    await backend.flush()
    if not isinstance(backend, MemoryBackend):
        assert (await backend.stats())["persisted_count"] == 7


async def test_close_is_final_and_idempotent(backend):
    await backend.put({"id": 1})
    await backend.close()
    await backend.close()
    assert backend.closed
    assert "closed" in repr(backend)
    with pytest.raises(StorageError):
        await backend.put({"id": 2})
    with pytest.raises(StorageError):
        await backend.get(1, 0)


@pytest.mark.parametrize("kind", [LanceBackend, PersistingBackend])
async def test_closing_flushes(kind, storage):
    folder = str(storage / "bucket_3")
    with kind(3, folder) as backend:
        await backend.put_batch(numbered(5))
    async with kind(3, folder) as backend:
        assert (await backend.stats())["persisted_count"] == 5
        assert await backend.get(10, 0) == numbered(5)
        assert repr(backend) == f"<{kind.__name__} bucket 3, {folder!r}, 5 records>"


@pytest.mark.parametrize("kind", BACKENDS)
def test_blocking_view_needs_no_loop(kind, storage):
    with kind(0, str(storage / "bucket_0")).sync() as backend:
        backend.put({"id": 0})
        backend.put_batch(numbered(4, first=1))
        assert backend.total_count() == 5
        assert ids(backend.get()) == [0, 1, 2, 3, 4]
        assert ids(backend.get(2, 1)) == [1, 2]
        assert [ids(page) for page in backend.get_stream(limit=3)] == [[0, 1, 2]]
        assert list(backend.get_stream(offset=5, wait=True, timeout=0.01)) == []
        backend.flush()
        assert backend.stats()["total_count"] == 5
    with pytest.raises(StorageError):
        backend.put({"id": 9})


def test_a_backend_serves_one_loop_after_another(storage):
    async def put(backend, number):
        await backend.put({"id": number})
        await backend.flush()

    with PersistingBackend(0, str(storage / "bucket_0")) as backend:
        for number in range(3):
            asyncio.run(put(backend, number))
        assert ids(backend.sync().get()) == [0, 1, 2]


def test_uvloop(storage):
    uvloop = pytest.importorskip("uvloop")

    async def main():
        async with PersistingBackend(0, str(storage / "bucket_0")) as backend:
            await asyncio.gather(*(backend.put({"id": i}) for i in range(50)))
            waiting = asyncio.create_task(streamed(backend.get_stream(51, 0, True, 10)))
            await backend.put({"id": 50})
            assert sorted(ids(await waiting)) == list(range(51))

    for _ in range(2):
        uvloop.run(main())
        storage.rename(storage.with_name(f"used{_}"))


def run_program(code, *arguments):
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(code), *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )


def test_the_end_of_the_program_flushes(storage):
    run_program(
        """
        import asyncio, sys
        from persisting.queue import LanceBackend

        backend = LanceBackend(0, sys.argv[1])
        asyncio.run(backend.put({"id": 1}))
        """,
        storage / "bucket_0",
    )
    with LanceBackend(0, str(storage / "bucket_0")).sync() as backend:
        assert ids(backend.get()) == [1]


def test_a_forked_child_leaves_the_parents_backend_alone(storage):
    result = run_program(
        """
        import asyncio, os, sys
        from persisting.queue import PersistingBackend, StorageError

        backend = PersistingBackend(0, sys.argv[1])
        asyncio.run(backend.put({"id": 1}))
        child = os.fork()
        if child == 0:
            try:
                backend.sync().put({"id": 2})
            except StorageError:
                sys.exit(7)  # with exit handlers
            sys.exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
        asyncio.run(backend.put({"id": 3}))
        print(len(backend.sync().get()))
        """,
        storage / "bucket_0",
    )
    assert result.stdout == "2\n"
    assert "closing backends" not in result.stderr


def test_a_forgotten_backend_is_flushed(storage):
    result = run_program(
        """
        import asyncio, gc, sys, threading
        from persisting.queue import LanceBackend

        async def main():
            backend = LanceBackend(0, sys.argv[1])
            await backend.put({"id": 1})

        asyncio.run(main())
        gc.collect()
        for thread in threading.enumerate():
            if thread.name == "persisting-close":
                thread.join()
        with LanceBackend(0, sys.argv[1]).sync() as backend:
            print(backend.stats()["persisted_count"])
        """,
        storage / "bucket_0",
    )
    assert result.stdout == "1\n"
