"""The examples of docs/backends.md, as they stand there."""

import re
from pathlib import Path

import pytest

from helpers import ids
from persisting.queue import StorageManager, read_queue, write_queue

PAGE = Path(__file__).parents[2] / "docs" / "backends.md"
EXAMPLE = re.compile(r"<!-- example: (\w+) -->\n```python\n(.*?)```", re.DOTALL)


@pytest.fixture
def example():
    blocks = dict(EXAMPLE.findall(PAGE.read_text()))
    assert list(blocks) == ["backend", "use"]
    namespace = {"__name__": "example"}
    for name, block in blocks.items():
        exec(compile(block, f"{PAGE.name}:{name}", "exec"), namespace)
    return namespace


async def test_embedded(example, storage):
    assert sorted(ids(await example["use"](None, str(storage)))) == list(range(10))
    assert sorted(path.name for path in storage.rglob("*.sqlite")) == ["records.sqlite"] * 4
    assert StorageManager.default().list_buckets() == []


@pytest.mark.pulsing
async def test_over_pulsing(example, system, storage):
    assert sorted(ids(await example["use"](system, str(storage)))) == list(range(10))


async def test_it_waits(example, storage):
    kind = example["SqliteBackend"]
    async with await write_queue(None, "t", storage_path=storage, backend=kind) as writer:
        reader = await read_queue(None, "t", storage_path=storage, backend=kind)
        assert await reader.get(wait=True, timeout=0.01) == []
        await writer.put({"id": 1})
        assert ids(await reader.get(wait=True, timeout=10)) == [1]
        await reader.close()


async def test_options_reach_it_and_nothing_else(storage):
    from persisting.queue import MemoryBackend

    made = []

    class Plain:
        """Follows the protocol without being one of ours."""

        def __init__(self, **arguments):
            made.append(arguments)
            self._inner = MemoryBackend(0)
            for name in ("put", "put_batch", "get", "flush", "stats", "total_count", "get_stream"):
                setattr(self, name, getattr(self._inner, name))

        put = put_batch = get = flush = stats = total_count = get_stream = lambda self: None

    writer = await write_queue(
        None,
        "t",
        num_buckets=1,
        batch_size=7,
        storage_path=storage,
        backend=Plain,
        backend_options={"colour": "red"},
    )
    await writer.put({"id": 1})
    assert made == [
        {
            "bucket_id": 0,
            "storage_path": str(storage / "bucket_0"),
            "batch_size": 7,
            "colour": "red",
        }
    ]
    await writer.close()


async def test_consumption_of_a_backend_without_it(example, storage):
    from persisting.queue import BucketStorage

    bucket = BucketStorage(0, str(storage), backend=example["SqliteBackend"])
    await bucket.put({"id": 0, "a": 1})
    await bucket.put_batch([{"id": 1}, {"id": 2, "a": 1}])
    meta = await bucket.get_meta(["a"], 10, "t")
    assert meta["global_indexes"] == [0, 2]
    assert (await bucket.get_meta(["a"], 10, "t"))["global_indexes"] == []
    assert await bucket.get_data(meta, fields=["id"]) == [{"id": 0}, {"id": 2}]
    await bucket.reset_consumption("t")
    await bucket.mark_consumed("t", [0])
    assert (await bucket.get_meta(["a"], 10, "t"))["global_indexes"] == [2]
    with pytest.raises(NotImplementedError):
        await bucket.put_tensor({"id": 3})
    await bucket.close()
