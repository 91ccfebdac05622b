"""The blocking views of the embedded queue."""

import asyncio
import threading

import pytest

from helpers import ids
from persisting.queue import Queue, read_queue, write_queue


def test_blocking_view_without_a_loop(storage):
    queue = Queue(None, "t", storage_path=storage).sync()
    queue.put([{"id": i} for i in range(10)])
    assert sorted(ids(queue.get(limit=100))) == list(range(10))
    queue.flush()
    assert queue.stats()["topic"] == "t"
    queue.close()
    writer = asyncio.run(write_queue(None, "t", storage_path=storage)).sync()
    assert writer.put({"id": 10})["status"] == "ok"
    writer.flush()
    reader = asyncio.run(read_queue(None, "t", storage_path=storage)).sync()
    assert len(reader.get(limit=100)) == 11
    assert reader.get(wait=True, timeout=0.01) == []
    assert sum(reader.offsets.values()) == 11
    reader.reset()
    reader.set_offset(1000)
    assert reader.get() == []
    reader.close()
    writer.close()


async def test_blocking_view_of_a_loop_in_another_thread(storage, writer, reader):
    def work():
        writer.sync().put({"id": 1})
        return reader.sync().get(wait=True, timeout=10)

    assert ids(await asyncio.to_thread(work)) == [1]


async def test_blocking_view_inside_its_loop_is_refused(writer, reader):
    for call in (
        lambda: writer.sync().put({"id": 1}),
        lambda: reader.sync().get(),
        lambda: writer.queue.sync().flush(),
    ):
        with pytest.raises(RuntimeError, match="event loop"):
            call()


def test_a_blocking_reader_is_woken_by_a_blocking_writer(storage):
    queue = Queue(None, "t", storage_path=storage).sync()
    got = []
    thread = threading.Thread(target=lambda: got.extend(queue.get(wait=True, timeout=30)))
    thread.start()
    queue.put({"id": 1})
    thread.join(30)
    assert ids(got) == [1]
    queue.close()
