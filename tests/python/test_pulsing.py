"""Over the installed Pulsing, a supported release: its queue with our backends, and our queue."""

import asyncio
import logging

import pytest

from helpers import counting_backend, ids
from persisting.queue import (
    LanceBackend,
    MemoryBackend,
    PersistingBackend,
    SchemaError,
    StorageError,
    read_queue,
    register_backend,
    write_queue,
)

pul = pytest.importorskip("pulsing")

pytestmark = pytest.mark.pulsing

FIRST = pul.__version__ == "0.1.0"
NAMES = ["lance", "persisting", LanceBackend, PersistingBackend]


async def reading(system, topic, storage, **options):
    reader = await read_queue(system, topic, storage_path=storage, **options)
    return await reader.get(10_000)


# The published guide, as it stands there; since 0.1.2 the queue's module has another name.

GUIDE = """
from persisting.queue import LanceBackend
from pulsing.queue import register_backend, write_queue
register_backend("lance", LanceBackend)
writer = await write_queue(system, "topic", backend="lance")
"""


async def test_the_guides_four_lines(system, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    lines = GUIDE if FIRST else GUIDE.replace("pulsing.queue", "pulsing.streaming")
    code = "async def guide(system):\n" + lines.replace("\n", "\n    ") + "\n    return writer"
    namespace = {}
    exec(code, namespace)
    writer = await namespace["guide"](system)
    assert await writer.put({"id": "1", "value": 100}) == {"bucket_id": 3, "status": "ok"}
    await writer.flush()
    assert (tmp_path / "queue_storage" / "topic" / "bucket_3" / "data.lance").is_dir()


@pytest.mark.parametrize("backend", NAMES, ids=str)
async def test_pulsings_own_queue_with_our_backends(system, storage, pulsing_queue, backend):
    arguments = {"storage_path": str(storage), "backend": backend}
    writer = await pulsing_queue.write_queue(system, "t", **arguments)
    await writer.put([{"id": i, "value": i / 2} for i in range(40)])
    reader = await pulsing_queue.read_queue(system, "t", **arguments)
    before = await reader.get(limit=100)
    await writer.flush()
    reader.reset()
    after = await reader.get(limit=100)
    assert sorted(ids(before)) == list(range(40))
    assert before == after
    assert all(record["value"] == record["id"] / 2 for record in after)


async def test_the_system_shorthand(system, storage):
    writer = await system.queue.write("t", backend="persisting", storage_path=str(storage))
    await writer.put({"id": 1})
    reader = await system.queue.read("t", backend="persisting", storage_path=str(storage))
    assert ids(await reader.get()) == [1]


async def test_pulsings_own_stream_waits(system, storage, pulsing_queue):
    arguments = {"storage_path": str(storage), "backend": "persisting", "num_buckets": 1}
    writer = await pulsing_queue.write_queue(system, "t", **arguments)
    reader = await pulsing_queue.read_queue(system, "t", **arguments)
    waiting = asyncio.create_task(reader.get(limit=3, wait=True, timeout=10))
    for i in range(3):
        await writer.put({"id": i})
    assert ids(await waiting) == [0, 1, 2]
    assert await reader.get(limit=3, wait=True, timeout=0.05) == []


@pytest.mark.parametrize("backend", NAMES, ids=str)
async def test_our_queue(system, storage, backend):
    writer = await write_queue(system, "t", storage_path=storage, backend=backend)
    records = [{"id": i, "value": i / 2, "text": f"é{i}"} for i in range(100)]
    answers = await writer.put(records)
    assert [answer["status"] for answer in answers] == ["ok"] * 100
    assert answers[7]["bucket_id"] == writer.queue.get_bucket_id(7)
    got = await reading(system, "t", storage, backend=backend)
    assert sorted(got, key=lambda record: record["id"]) == records
    for bucket_id in range(4):
        mine = [i for i in ids(got) if writer.queue.get_bucket_id(i) == bucket_id]
        assert mine == sorted(mine)
    await writer.flush()
    stats = await writer.stats()
    assert sum(each["total_count"] for each in stats["buckets"].values()) == 100
    assert sum(each["persisted_count"] for each in stats["buckets"].values()) == 100
    await writer.close()


async def test_it_is_durable_by_default(system, storage):
    writer = await write_queue(system, "t", storage_path=storage)
    await writer.put({"id": 1})
    [stats] = (await writer.stats())["buckets"].values()
    assert "persisting" in stats["backend"].lower()


async def test_the_inner_system_serves_too(system, storage):
    writer = await write_queue(system._inner, "t", storage_path=storage)
    await writer.put({"id": 1})
    assert ids(await reading(system, "t", storage)) == [1]


async def test_pulsings_memory_backend_by_name(system):
    writer = await write_queue(system, "t", backend="memory")
    await writer.put({"id": 1})
    assert (await writer.stats())["buckets"].popitem()[1]["backend"] == "memory"


async def test_a_list_is_one_message_a_bucket(system, storage):
    backend, calls = counting_backend()
    writer = await write_queue(system, "t", backend=backend)
    await writer.put([{"id": i} for i in range(200)])
    assert [name for name, _ in calls] == ["put_batch"] * 4
    assert sum(count for _, count in calls) == 200


async def test_buckets_are_put_to_concurrently(system):
    arrived = []
    everybody = asyncio.Event()

    class MeetingBackend(MemoryBackend):
        async def put_batch(self, records):
            arrived.append(self.bucket_id)
            if len(arrived) == 4:
                everybody.set()
            await everybody.wait()
            await super().put_batch(records)

    writer = await write_queue(system, "t", backend=MeetingBackend)
    await asyncio.wait_for(writer.put([{"id": i} for i in range(60)]), 20)


async def test_a_large_list(system, storage):
    writer = await write_queue(system, "t", storage_path=storage)
    await writer.put([{"id": i, "text": "x" * 100} for i in range(50_000)])
    assert sorted(ids(await all_of(await read_queue(system, "t", storage_path=storage)))) == list(
        range(50_000)
    )


async def all_of(reader):
    got = []
    while page := await reader.get(20_000):
        got += page
    return got


@pytest.mark.parametrize("bucket_id", range(4))
async def test_our_reader_wakes_on_any_bucket(system, storage, bucket_id):
    writer = await write_queue(system, "t", storage_path=storage)
    reader = await read_queue(system, "t", storage_path=storage)
    waiting = asyncio.create_task(reader.get(wait=True))
    number = next(i for i in range(100) if writer.queue.get_bucket_id(i) == bucket_id)
    await writer.put({"id": number})
    assert ids(await asyncio.wait_for(waiting, 10)) == [number]
    assert await reader.get(wait=True, timeout=0.05) == []


async def test_remote_waits_are_renewed(system, storage):
    reader = await read_queue(system, "t", num_buckets=1, storage_path=storage)
    reader.queue._source.wait_seconds = 0.02
    writer = await write_queue(system, "t", num_buckets=1, storage_path=storage)
    waiting = asyncio.create_task(reader.get(wait=True))
    assert await reader.get(wait=True, timeout=0.1) == []  # several slices of the other wait
    await writer.put({"id": 1})
    assert ids(await asyncio.wait_for(waiting, 10)) == [1]


async def test_ranks(system, storage):
    writer = await write_queue(system, "t", storage_path=storage)
    await writer.put([{"id": i} for i in range(100)])
    got = []
    for rank in range(2):
        got += await reading(system, "t", storage, rank=rank, world_size=2)
    assert sorted(ids(got)) == list(range(100))


async def test_blocking_view_in_another_thread(system, storage):
    writer = await write_queue(system, "t", storage_path=storage)
    reader = await read_queue(system, "t", storage_path=storage)

    def work():
        writer.sync().put([{"id": 1}, {"id": 2}])
        return reader.sync().get(wait=True, timeout=10)

    got = await asyncio.to_thread(work)
    assert sorted(ids(got + await reader.get())) == [1, 2]
    with pytest.raises(RuntimeError, match="event loop"):
        writer.sync().put({"id": 3})


async def test_the_next_system_finds_everything(storage):
    for turn in range(3):
        system = await pul.actor_system()
        writer = await write_queue(system, "t", storage_path=storage)
        await writer.put([{"id": 10 * turn + i} for i in range(10)])
        await system.shutdown()
    system = await pul.actor_system()
    got = ids(await reading(system, "t", storage))
    await system.shutdown()
    assert sorted(got) == list(range(30))


# Errors, which Pulsing carries as text.


async def test_a_record_that_does_not_fit(system, storage):
    writer = await write_queue(system, "t", num_buckets=1, storage_path=storage)
    await writer.put({"id": 1, "size": 1})
    with pytest.raises(SchemaError, match="size"):
        await writer.put({"id": 2, "size": "large"})
    with pytest.raises(TypeError, match="picture"):
        await writer.put([{"id": 2, "picture": {1, 2}}])
    with pytest.raises(ValueError, match="_offset"):
        await writer.put([{"id": 2, "_offset": 1}])
    assert ids(await reading(system, "t", storage, num_buckets=1)) == [1]


async def test_pulsings_own_callers_see_the_class_in_the_text(system, storage, pulsing_queue):
    from pulsing.exceptions import PulsingActorError

    writer = await pulsing_queue.write_queue(
        system, "t", num_buckets=1, storage_path=str(storage), backend="persisting"
    )
    await writer.put({"id": 1, "size": 1})
    with pytest.raises(PulsingActorError, match=r"^SchemaError: .*size"):
        await writer.put({"id": 2, "size": "large"})


async def test_a_bucket_that_refuses_its_part_is_named(system, storage):
    writer = await write_queue(system, "t", storage_path=storage)
    batch = [{"id": i, "size": 2} for i in range(40)]
    await writer.put(batch)
    again = [{"id": 100 + i, "size": 2} for i in range(40)]
    wrong = next(each for each in again if writer.queue.get_bucket_id(each["id"]) == 1)
    wrong["size"] = "large"
    with pytest.raises(SchemaError) as caught:
        await writer.put(again)
    assert caught.value.kept_buckets == [0, 2, 3]
    assert caught.value.failed_buckets == [1]


async def test_no_bucket_column(system, storage):
    writer = await write_queue(system, "t", storage_path=storage)
    with pytest.raises(ValueError, match=r"record 1 .*'id'"):
        await writer.put([{"id": 1}, {}])
    assert await reading(system, "t", storage) == []


async def test_a_bucket_that_cannot_be_opened_says_why_and_recovers(system, storage, caplog):
    storage.mkdir(parents=True)
    obstacle = storage / "bucket_0"
    obstacle.write_text("a file")
    writer = await write_queue(system, "t", num_buckets=1, storage_path=storage)
    with caplog.at_level(logging.ERROR, logger="persisting"):
        for _ in range(2):
            with pytest.raises(StorageError, match="bucket_0"):
                await writer.put({"id": 1})
    assert "cannot be opened" in caplog.text
    with pytest.raises(StorageError, match="bucket_0"):
        await reading(system, "t", storage, num_buckets=1)
    obstacle.unlink()
    await writer.put({"id": 2})
    assert ids(await reading(system, "t", storage, num_buckets=1)) == [2]


async def test_other_settings_than_stored(system, storage):
    writer = await write_queue(system, "t", num_buckets=1, storage_path=storage)
    await writer.put({"id": 1})
    other = await pul.actor_system()
    wrong = await write_queue(other, "t", num_buckets=1, bucket_column="key", storage_path=storage)
    with pytest.raises(ValueError, match="bucket_column"):
        await wrong.put({"id": 2, "key": 2})
    await other.shutdown()


async def test_two_topics_in_one_folder(system, storage):
    writer = await write_queue(system, "t", num_buckets=1, storage_path=storage)
    await writer.put({"id": 1})
    other = await write_queue(system, "other", num_buckets=1, storage_path=storage)
    with pytest.raises(ValueError, match=r"'t'.*'other'"):
        await other.put({"id": 2})
    assert ids(await reading(system, "t", storage, num_buckets=1)) == [1]


async def test_a_call_without_an_answer_is_no_success(system, storage):
    writer = await write_queue(system, "t", num_buckets=1, storage_path=storage)
    await writer.put({"id": 1})
    bucket = writer.queue._buckets[0]

    class Silent:
        async def put(self, record):
            return None  # what Pulsing's proxy returns when the connection ends

    bucket._proxy = Silent()
    with pytest.raises(StorageError, match="without an answer"):
        await writer.put({"id": 2})
    await writer.put({"id": 3})  # looked up again
    assert ids(await reading(system, "t", storage, num_buckets=1)) == [1, 3]


async def test_a_bucket_that_has_moved_is_looked_up_again(system, storage):
    writer = await write_queue(system, "t", num_buckets=1, storage_path=storage)
    await writer.put({"id": 1})

    class Moved:
        async def put(self, record):
            raise RuntimeError("Named actor not found: actors/bucket_t_0")

    writer.queue._buckets[0]._proxy = Moved()
    await writer.put({"id": 2})
    assert ids(await reading(system, "t", storage, num_buckets=1)) == [1, 2]


async def test_a_backend_that_the_owner_does_not_know(system, monkeypatch):
    class StrangerBackend(MemoryBackend):
        pass

    writer = await write_queue(system, "t", backend=StrangerBackend)
    import persisting.queue._pulsing as ours

    registered = ours.queue_module().get_backend_class
    monkeypatch.setattr(
        f"{ours.queue_module().__name__}.storage.get_backend_class",
        lambda name: registered("memory" if name != "StrangerBackend" else "unknown"),
    )
    with pytest.raises(StorageError, match="registered in the process of every node"):
        await writer.put({"id": 1})


# Consumption, which Pulsing's actor hands to the backend since 0.1.2.


@pytest.mark.skipif(FIRST, reason="since Pulsing 0.1.2")
async def test_consumption_through_the_actor(system, storage, pulsing_queue):
    writer = await write_queue(system, "t", num_buckets=1, storage_path=storage)
    await writer.put([{"id": 0, "a": 1}, {"id": 1}, {"id": 2, "a": 3}])
    bucket = await pulsing_queue.get_bucket_ref(
        system._inner, "t", 0, storage_path=str(storage), backend="persisting"
    )
    meta = await bucket.get_meta(["a"], 10, "task", None)
    assert meta["global_indexes"] == [0, 2]
    assert meta["samples"][1]["fields"]["a"]["production_status"] == "ready"
    assert (await bucket.get_meta(["a"], 10, "task", None))["global_indexes"] == []
    assert await bucket.get_data(meta, ["id"]) == [{"id": 0}, {"id": 2}]
    await bucket.reset_consumption("task")
    await bucket.mark_consumed("task", [0])
    assert (await bucket.get_meta(["a"], 10, "task", None))["global_indexes"] == [2]
    assert await bucket.put_tensor([{"id": 3, "a": 5}]) == {"status": "ok"}
    assert (await bucket.get_meta(["a"], 10, "task", None))["global_indexes"] == [3]


@pytest.mark.skipif(FIRST, reason="since Pulsing 0.1.2")
async def test_consumption_is_as_with_pulsings_memory_backend_and_actor(system, pulsing_queue):
    """A backend without get_meta, for which the actor does it, gives the same answers."""

    class PlainBackend(pulsing_queue.MemoryBackend):
        get_meta = property()  # hasattr says no

    register_backend("plain", PlainBackend)
    answers = []
    for topic, backend in (("theirs", "plain"), ("ours", MemoryBackend)):
        writer = await write_queue(system, topic, num_buckets=1, backend=backend)
        await writer.put([{"id": 0, "a": 1}, {"id": 1, "_b": 2}, {"id": 2, "a": 3}])
        await writer.put({"id": 3, "a": 1, "b": 1})
        [remote] = writer.queue._buckets.values()
        bucket = remote._proxy
        seen = []
        for fields, size, task in [
            (["a"], 1, "x"),
            (["a", "b"], 5, "x"),
            (["_b"], 5, "x"),
            ([], 5, "x"),
            (["a"], 5, "y"),
            (["nothing"], 5, "y"),
        ]:
            seen.append(await bucket.get_meta(fields, size, task, None))
        await bucket.mark_consumed("z", [0, 3])
        seen.append(await bucket.get_meta(["a"], 5, "z", None))
        await bucket.reset_consumption("z")
        seen.append(await bucket.get_meta(["a"], 5, "z", None, partition_id="p"))
        seen.append(await bucket.get_data({"global_indexes": [3, 0, 9]}, ["id", "a"]))
        answers.append(seen)
    assert answers[0] == answers[1]
