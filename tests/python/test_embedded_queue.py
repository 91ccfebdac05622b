"""The embedded queue: one process, no Pulsing."""

import asyncio

import pytest

from helpers import Tick, counting_backend, ids, reference_bucket
from persisting.queue import (
    MemoryBackend,
    Queue,
    QueueReader,
    QueueWriter,
    StorageError,
    StorageManager,
    read_queue,
    write_queue,
)


def in_bucket(bucket_id, count, num_buckets=4, first=0):
    """Records whose ids fall into one bucket."""
    found = []
    number = first
    while len(found) < count:
        if reference_bucket(number, num_buckets) == bucket_id:
            found.append({"id": number})
        number += 1
    return found


async def test_one_record(writer, reader):
    assert await writer.put({"id": "a", "n": 1}) == {
        "bucket_id": reference_bucket("a", 4),
        "status": "ok",
    }
    assert await reader.get() == [{"id": "a", "n": 1}]
    assert await reader.get() == []


async def test_a_list_is_answered_in_its_order(writer, reader):
    records = [{"id": i} for i in range(100)]
    answers = await writer.put(records)
    assert answers == [{"bucket_id": reference_bucket(i, 4), "status": "ok"} for i in range(100)]
    got = await reader.get(1000)
    for bucket_id in range(4):
        mine = [i for i in ids(got) if reference_bucket(i, 4) == bucket_id]
        assert mine == sorted(mine)
    assert sorted(ids(got)) == list(range(100))
    assert await writer.put([]) == []


async def test_a_list_is_one_batch_a_bucket(storage):
    backend, calls = counting_backend()
    async with await write_queue(None, "t", backend=backend, num_buckets=3) as writer:
        await writer.put([{"id": i} for i in range(60)])
        assert [name for name, _ in calls] == ["put_batch"] * 3
        assert sum(count for _, count in calls) == 60
        await writer.put({"id": 1})
        assert calls[-1] == ("put", 1)


async def test_buckets_are_put_to_concurrently(storage):
    meeting = asyncio.Barrier(4)

    class Meeting(MemoryBackend):
        async def put_batch(self, records):
            await meeting.wait()  # only passed if all four buckets are at it
            await super().put_batch(records)

    async with await write_queue(None, "t", backend=Meeting) as writer:
        await asyncio.wait_for(writer.put([{"id": i} for i in range(60)]), 10)


async def test_everything_is_there_after_a_restart(storage):
    for start in (0, 50):
        async with await write_queue(None, "t", storage_path=storage) as writer:
            await writer.put([{"id": i, "x": i / 2} for i in range(start, start + 50)])
    async with await read_queue(None, "t", storage_path=storage) as reader:
        got = await reader.get(1000)
    assert sorted(got, key=lambda record: record["id"]) == [
        {"id": i, "x": i / 2} for i in range(100)
    ]


async def test_layout_on_disk(storage, writer):
    await writer.put([{"id": i} for i in range(40)])
    await writer.flush()
    assert sorted(path.name for path in storage.iterdir()) == [f"bucket_{i}" for i in range(4)]
    assert all((path / "data.lance").is_dir() for path in storage.iterdir())


async def test_the_default_path_is_pulsings(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    async with await write_queue(None, "events", num_buckets=1) as writer:
        await writer.put({"id": 1})
    assert (tmp_path / "queue_storage" / "events" / "bucket_0").is_dir()


async def test_durable_by_default(writer):
    await writer.put({"id": 1})
    [stats] = (await writer.stats())["buckets"].values()
    assert "persisting" in stats["backend"].lower()


async def test_reader_goes_on_where_it_was(writer, reader):
    await writer.put([{"id": i} for i in range(30)])
    got = []
    while page := await reader.get(limit=7):
        assert len(page) <= 7
        got += page
    assert sorted(ids(got)) == list(range(30))
    await writer.put({"id": 30})
    assert ids(await reader.get()) == [30]
    assert sum(reader.offsets.values()) == 31


async def test_offsets_reset_and_set_offset(writer, reader):
    await writer.put(in_bucket(2, 10))
    expected = ids(in_bucket(2, 10))
    assert ids(await reader.get()) == expected
    assert reader.offsets == {0: 0, 1: 0, 2: 10, 3: 0}
    reader.set_offset(7, 2)
    assert ids(await reader.get()) == expected[7:]
    reader.set_offset(4)
    assert ids(await reader.get()) == expected[4:]
    reader.reset()
    assert ids(await reader.get()) == expected
    with pytest.raises(ValueError, match="not 9"):
        reader.set_offset(0, 9)
    with pytest.raises(ValueError, match="offset"):
        reader.set_offset(-1)


async def test_a_busy_bucket_does_not_starve_the_others(writer, reader):
    await writer.put(in_bucket(0, 500) + in_bucket(3, 1))
    seen = []
    for _ in range(4):
        seen += ids(await reader.get(limit=100))
    assert in_bucket(3, 1)[0]["id"] in seen
    assert [i for i in seen if reference_bucket(i, 4) == 0] == ids(in_bucket(0, 500))[
        : len(seen) - 1
    ]


@pytest.mark.parametrize("bucket_id", range(4))
async def test_a_waiting_reader_wakes_on_any_bucket(writer, reader, bucket_id):
    waiting = asyncio.create_task(reader.get(wait=True))
    await Tick()
    assert not waiting.done()
    [record] = in_bucket(bucket_id, 1)
    await writer.put(record)
    assert await asyncio.wait_for(waiting, 10) == [record]
    assert await reader.get() == []


async def test_waiting_ends_at_the_timeout(reader):
    loop = asyncio.get_running_loop()
    started = loop.time()
    assert await reader.get(wait=True, timeout=0.1) == []
    assert 0.1 <= loop.time() - started < 5
    assert await reader.get(wait=True, timeout=0) == []


async def test_what_is_there_is_returned_without_waiting(writer, reader):
    await writer.put({"id": 1})
    assert ids(await asyncio.wait_for(reader.get(limit=100, wait=True), 10)) == [1]


async def test_records_that_arrive_together_are_all_delivered_once(writer, reader):
    for turn in range(20):
        waiting = asyncio.create_task(reader.get(limit=1, wait=True))
        await Tick(3)
        await writer.put([{"id": 8 * turn + i} for i in range(8)])
        got = await asyncio.wait_for(waiting, 10)
        while page := await reader.get():
            got += page
        assert sorted(ids(got)) == list(range(8 * turn, 8 * turn + 8))


async def test_a_cancelled_get_skips_nothing(storage, writer):
    reached = asyncio.Event()

    class Slow:
        """Bucket 1 never answers."""

        def __init__(self, bucket):
            self.bucket = bucket

        def __getattr__(self, name):
            return getattr(self.bucket, name)

        async def get(self, limit, offset):
            reached.set()
            await asyncio.Event().wait()

    await writer.put(in_bucket(0, 5))
    async with await read_queue(None, "t", storage_path=storage) as reader:
        await reader.get()
        reader.reset()
        reader._turn = 0
        healthy = reader.queue._buckets[1]
        reader.queue._buckets[1] = Slow(healthy)
        getting = asyncio.create_task(reader.get())
        await reached.wait()
        getting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await getting
        reader.queue._buckets[1] = healthy
        assert await reader.get() == in_bucket(0, 5)


class Suspending(MemoryBackend):
    """Answers after a turn of the loop, as a backend does that reads from the disk."""

    async def get(self, limit=None, offset=0):
        await asyncio.sleep(0)
        return await super().get(limit, offset)


async def test_concurrent_gets_share_the_records():
    async with await write_queue(None, "t", backend=Suspending) as writer:
        await writer.put([{"id": i} for i in range(100)])
        async with await read_queue(None, "t", backend=Suspending) as reader:
            pages = await asyncio.gather(*(reader.get(limit=30) for _ in range(6)))
    assert sorted(i for page in pages for i in ids(page)) == list(range(100))


async def test_an_offset_set_during_a_get_counts():
    async with await write_queue(None, "t", num_buckets=1, backend=Suspending) as writer:
        await writer.put([{"id": i} for i in range(10)])
        async with await read_queue(None, "t", num_buckets=1, backend=Suspending) as reader:
            await reader.get(limit=0)
            getting = asyncio.create_task(reader.get())
            await asyncio.sleep(0)
            reader.set_offset(7)
            assert ids(await getting) == [7, 8, 9]
            assert reader.offsets == {0: 10}


async def test_a_failing_bucket_is_reported_and_nothing_is_skipped(storage):
    fail = True

    class Failing(MemoryBackend):
        async def get(self, limit=None, offset=0):
            if fail and self.bucket_id == 3:
                raise StorageError("disk on fire")
            return await super().get(limit, offset)

    async with await write_queue(None, "t", backend=Failing) as writer:
        await writer.put([{"id": i} for i in range(40)])
        async with await read_queue(None, "t", backend=Failing) as reader:
            with pytest.raises(StorageError, match="on fire"):
                await reader.get(1000)
            fail = False
            assert sorted(ids(await reader.get(1000))) == list(range(40))


async def test_an_error_in_a_stream_is_raised(storage):
    class Failing(MemoryBackend):
        async def get_stream(self, *arguments):
            if self.bucket_id == 2:
                raise StorageError("stream broke")
            async for page in super().get_stream(*arguments):
                yield page

    async with await read_queue(None, "t", backend=Failing) as reader:
        with pytest.raises(StorageError, match="stream broke"):
            await asyncio.wait_for(reader.get(wait=True), 10)


async def test_iteration(writer, reader):
    await writer.put(in_bucket(1, 3))
    got = []
    async for records in reader:
        got += records
        if len(got) == 3:
            await writer.put(in_bucket(2, 2))
        if len(got) == 5:
            await reader.close()
    assert got == in_bucket(1, 3) + in_bucket(2, 2)


async def test_ranks_share_the_buckets(storage, writer):
    await writer.put([{"id": i} for i in range(100)])
    got = []
    for rank in range(3):
        async with await read_queue(
            None, "t", rank=rank, world_size=3, storage_path=storage
        ) as reader:
            assert reader.bucket_ids == [b for b in range(4) if b % 3 == rank]
            got += await reader.get(1000)
    assert sorted(ids(got)) == list(range(100))


async def test_a_rank_without_buckets_waits(storage):
    async with await read_queue(
        None, "t", rank=3, world_size=4, num_buckets=2, storage_path=storage
    ) as reader:
        assert reader.bucket_ids == []
        assert await reader.get() == []
        assert await reader.get(wait=True, timeout=0.01) == []


async def test_some_buckets(storage, writer):
    await writer.put([{"id": i} for i in range(100)])
    async with await read_queue(None, "t", bucket_ids=[3, 1], storage_path=storage) as reader:
        got = await reader.get(1000)
    assert {reference_bucket(i, 4) for i in ids(got)} == {1, 3}
    async with await read_queue(None, "t", bucket_id=2, storage_path=storage) as reader:
        got = await reader.get(1000)
    assert {reference_bucket(i, 4) for i in ids(got)} == {2}


async def test_queue_get(storage):
    async with Queue(None, "t", storage_path=storage) as queue:
        await queue.put([{"id": i} for i in range(40)])
        assert sorted(ids(await queue.get(limit=100))) == list(range(40))
        expected = [i for i in range(40) if reference_bucket(i, 4) == 1]
        assert ids(await queue.get(1)) == expected
        assert ids(await queue.get(1, 2, 3)) == expected[3:5]
        assert await queue.get(1, 10, 1000, True, 0.01) == []
        waiting = asyncio.create_task(queue.get(offset=39, wait=True))
        await Tick()
        more = in_bucket(1, 40, first=1000)
        await queue.put(more)
        assert ids(await asyncio.wait_for(waiting, 10)) == (expected + ids(more))[39:]
        stats = await queue.stats()
        assert stats["num_buckets"] == 4
        assert stats["bucket_column"] == "id"
        assert sum(each["total_count"] for each in stats["buckets"].values()) == 80
        assert list(stats["buckets"]) == [0, 1, 2, 3]


async def test_handles_of_one_queue(storage):
    async with Queue(None, "t", storage_path=storage) as queue:
        writer, reader = QueueWriter(queue), QueueReader(queue, [0, 1, 2, 3])
        await writer.put({"id": 1})
        await writer.close()
        assert not queue.closed
        assert ids(await reader.get()) == [1]
        await reader.close()
        assert not queue.closed


async def test_a_closed_queue_says_so(writer, reader):
    await writer.put({"id": 1})
    await writer.close()
    await writer.close()
    with pytest.raises(StorageError, match="closed"):
        await writer.put({"id": 2})
    assert ids(await reader.get()) == [1]


async def test_the_last_queue_closes_a_bucket(storage, writer, reader):
    manager = StorageManager.default()

    def in_use():
        return [each["bucket_id"] for each in manager.list_buckets()]

    [record] = in_bucket(2, 1)
    await writer.put(record)
    assert in_use() == [2]
    assert await reader.get() == [record]
    backend = writer.queue._buckets[2].backend
    assert reader.queue._buckets[2].backend is backend
    await writer.close()
    assert not backend.closed
    await reader.close()
    assert backend.closed
    assert in_use() == []


async def test_a_cancelled_opening_leaves_nothing_open(storage):
    async with await write_queue(None, "t", num_buckets=1, storage_path=storage) as writer:
        putting = asyncio.create_task(writer.put({"id": 1}))
        await asyncio.sleep(0)
        putting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await putting
    assert StorageManager.default().list_buckets() == []
    async with await write_queue(None, "t", num_buckets=1, storage_path=storage) as writer:
        await writer.put({"id": 2})


async def test_many_tasks_open_one_bucket_once(storage):
    made = []

    class Counted(MemoryBackend):
        def __init__(self, *args, **kwargs):
            made.append(self)
            super().__init__(*args, **kwargs)

    async with await write_queue(None, "t", num_buckets=1, backend=Counted) as writer:
        await asyncio.gather(*(writer.put({"id": i}) for i in range(20)))
        assert len(made) == 1
    assert made[0].closed
    assert StorageManager.default().list_buckets() == []
