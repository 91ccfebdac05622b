"""Wrong arguments and options: refused before anything happens, with what would have been right."""

import logging

import pytest

from persisting.queue import LanceBackend, MemoryBackend, PersistingBackend, read_queue, write_queue


@pytest.mark.parametrize("call", [write_queue, read_queue])
async def test_unknown_backend(call):
    with pytest.raises(ValueError, match=r"did you mean 'lance'.*memory"):
        await call(None, "t", backend="lence")


@pytest.mark.pulsing
@pytest.mark.parametrize("call", [write_queue, read_queue])
async def test_unknown_backend_over_pulsing(system, call):
    with pytest.raises(ValueError, match=r"did you mean 'lance'.*memory"):
        await call(system, "t", backend="lence")


@pytest.mark.parametrize("backend", ["lance", "persisting"])
async def test_unknown_option(storage, caplog, backend):
    with caplog.at_level(logging.WARNING, logger="persisting"):
        async with await write_queue(
            None, "t", storage_path=storage, backend=backend, backend_options={"flush_treshold": 5}
        ) as writer:
            await writer.put({"id": 1})
    assert "flush_treshold" in caplog.text
    assert "flush_threshold" in caplog.text


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"compression": "zip"}, ValueError),
        ({"wal_sync_interval": -1}, ValueError),
        ({"wal_sync_interval": "fast"}, TypeError),
        ({"max_wal_size": 0}, ValueError),
        ({"enable_wal": "yes"}, TypeError),
    ],
)
def test_impossible_options(storage, options, error):
    [name] = options
    with pytest.raises(error, match=name):
        PersistingBackend(0, str(storage / "bucket_0"), **options)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"bucket_id": -1}, ValueError),
        ({"bucket_id": "0"}, TypeError),
        ({"batch_size": 0}, ValueError),
        ({"storage_path": 3}, TypeError),
    ],
)
@pytest.mark.parametrize("backend", [MemoryBackend, PersistingBackend])
def test_impossible_arguments_of_a_backend(storage, backend, arguments, error):
    with pytest.raises(error):
        backend(**{"bucket_id": 0, "storage_path": str(storage), **arguments})


@pytest.mark.parametrize("backend", [LanceBackend, PersistingBackend])
def test_a_durable_backend_needs_a_folder(backend):
    with pytest.raises(ValueError, match="storage_path"):
        backend(0)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"topic": ""}, ValueError),
        ({"topic": 3}, TypeError),
        ({"bucket_column": ""}, ValueError),
        ({"bucket_column": None}, TypeError),
        ({"num_buckets": 0}, ValueError),
        ({"num_buckets": 2.0}, TypeError),
        ({"batch_size": -5}, ValueError),
        ({"backend": 3}, TypeError),
        ({"backend": object}, TypeError),
    ],
)
async def test_impossible_arguments_of_write_queue(arguments, error):
    with pytest.raises(error):
        await write_queue(None, **{"topic": "t", **arguments})


@pytest.mark.parametrize(
    "arguments",
    [
        {"rank": 0},
        {"world_size": 2},
        {"rank": 2, "world_size": 2},
        {"rank": -1, "world_size": 2},
        {"rank": 0, "world_size": 0},
        {"rank": 0, "world_size": 2, "bucket_id": 1},
        {"bucket_id": 1, "bucket_ids": [1]},
        {"bucket_id": 4},
        {"bucket_ids": [0, 4]},
        {"bucket_ids": [1, 1]},
        {"bucket_id": -1},
    ],
)
async def test_impossible_choices_of_buckets(arguments):
    with pytest.raises(ValueError, match=r"rank|bucket|world_size"):
        await read_queue(None, "t", **arguments)


async def test_impossible_arguments_of_get(storage):
    async with await read_queue(None, "t", storage_path=storage) as reader:
        with pytest.raises(ValueError, match="limit"):
            await reader.get(-1)
        with pytest.raises(TypeError, match="limit"):
            await reader.get(None)
        with pytest.raises(ValueError, match="timeout"):
            await reader.get(wait=True, timeout=-1)
        with pytest.raises(ValueError, match="bucket 7"):
            await reader.queue.get(7)
