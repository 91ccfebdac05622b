"""Fields dropped and renamed, and the history of a schema."""

import asyncio
import threading

import numpy as np
import pytest

from evolution_table import SAMPLES
from helpers import check_pylance, exactly, history, ids, killed, opened, types_of, values
from persisting.queue import LanceBackend, MemoryBackend, PersistingBackend, SchemaError

BACKENDS = pytest.mark.parametrize("backend", [MemoryBackend, LanceBackend, PersistingBackend])
DURABLE = pytest.mark.parametrize("backend", [LanceBackend, PersistingBackend])


@pytest.fixture
def folder(memory_folder):
    """Where a bucket goes."""
    return memory_folder / "bucket_0"


@BACKENDS
def test_a_field_of_any_type_is_renamed_and_dropped(folder, backend):
    record = {f"f{i}": value for i, value in enumerate(SAMPLES.values())}
    with opened(folder, backend) as bucket:
        bucket.put_batch([{"id": 0}, {"id": 1} | record])
        for i in range(len(record)):
            bucket.rename_field(f"f{i}", f"g{i}")
        renamed = {name.replace("f", "g"): value for name, value in record.items()}
        assert exactly(bucket.get()) == exactly(
            [{"id": 0} | dict.fromkeys(renamed), {"id": 1} | renamed]
        )
        assert list(types_of(bucket).values())[1:] == list(SAMPLES)
        if backend is not MemoryBackend:
            check_pylance(folder, bucket)
        for i in range(0, len(record), 2):
            bucket.drop_field(f"g{i}")
            del renamed[f"g{i}"]
        assert exactly(bucket.get()) == exactly(
            [{"id": 0} | dict.fromkeys(renamed), {"id": 1} | renamed]
        )
        if backend is not MemoryBackend:
            check_pylance(folder, bucket)
    if backend is not MemoryBackend:
        with opened(folder, backend) as bucket:
            assert exactly(bucket.get(1, 1)) == exactly([{"id": 1} | renamed])


@BACKENDS
def test_a_name_used_again_has_nothing_of_the_old_field(folder, backend):
    with opened(folder, backend) as bucket:
        bucket.put_batch([{"a": 1, "b": "x"}, {"a": 2}])
        bucket.drop_field("a")
        bucket.put({"a": "text"})  # another type
        assert bucket.get() == [
            {"b": "x", "a": None},
            {"b": None, "a": None},
            {"b": None, "a": "text"},
        ]
        bucket.rename_field("b", "c")
        bucket.rename_field("a", "b")  # a name that has just become free
        bucket.put({"a": [1], "b": "y"})
        bucket.flush()
        expected = [
            {"c": "x", "b": None, "a": None},
            {"c": None, "b": None, "a": None},
            {"c": None, "b": "text", "a": None},
            {"c": None, "b": "y", "a": [1]},
        ]
        assert bucket.get() == expected
        if backend is MemoryBackend:
            return
        check_pylance(folder, bucket)
    with opened(folder, backend) as bucket:
        assert bucket.get() == expected


@BACKENDS
def test_undecided_fields_and_the_last_one(folder, backend):
    with opened(folder, backend) as bucket:
        bucket.put({"a": None, "b": 1})
        bucket.rename_field("a", "c")
        assert bucket.get() == [{"c": None, "b": 1}]
        bucket.drop_field("c")
        bucket.drop_field("b")
        assert bucket.get() == [{}]
        assert bucket.get_arrow().num_columns == 0
        bucket.put({"d": 1})
        bucket.flush()
        assert bucket.get() == [{"d": None}, {"d": 1}]


@BACKENDS
def test_changes_that_are_refused_change_nothing(folder, backend):
    with opened(folder, backend) as bucket:
        bucket.put({"a": 1, "s": {"x": 1}})
        known = bucket.schema(), bucket.schema_history()
        for name in ("b", "s.x", "_offset", "_ts"):
            with pytest.raises(ValueError, match=rf"no field '{name}'; it has a, s"):
                bucket.drop_field(name)
            with pytest.raises(ValueError, match=rf"no field '{name}'; it has a, s"):
                bucket.rename_field(name, "c")
        for new_name, reason in [
            ("s", "has a field 's' already; drop it first, or choose another name"),
            ("a", "has a field 'a' already"),
            ("_offset", "'_offset' is reserved"),
            ("x.y", "'x.y' holds"),
            ("*", "holds"),
            ("x\x00", "NUL"),
        ]:
            with pytest.raises(ValueError, match=reason):
                bucket.rename_field("a", new_name)
        for wrong, kind in [("", ValueError), (3, TypeError), (None, TypeError)]:
            with pytest.raises(kind, match="name must"):
                bucket.drop_field(wrong)
            with pytest.raises(kind, match="name must"):
                bucket.rename_field("a", wrong)
        assert (bucket.schema(), bucket.schema_history()) == known
        assert bucket.get() == [{"a": 1, "s": {"x": 1}}]
    for change in (lambda: bucket.drop_field("a"), lambda: bucket.rename_field("a", "b")):
        with pytest.raises(Exception, match="closed"):
            change()


async def test_changes_in_an_event_loop(folder):
    async with PersistingBackend(0, folder) as bucket:
        await bucket.put_batch([{"a": 1, "b": 2}])
        await bucket.rename_field("a", "c")
        await bucket.drop_field("b")
        assert await bucket.get() == [{"c": 1}]
        with pytest.raises(ValueError, match="no field 'b'"):
            await bucket.drop_field("b")
        with pytest.raises(TypeError, match="new_name"):
            await bucket.rename_field("c", 3)


def test_a_change_flushes_what_was_put_before(folder):
    with opened(folder) as bucket:
        bucket.put_batch([{"a": i} for i in range(10)])
        assert bucket.stats()["persisted_count"] == 0
        bucket.rename_field("a", "b")
        assert bucket.stats()["persisted_count"] == 10
        files = {path.name for path in (folder / "data.lance" / "data").iterdir()}
        bucket.rename_field("b", "c")
        bucket.drop_field("c")
        assert {path.name for path in (folder / "data.lance" / "data").iterdir()} == files


async def test_puts_wait_for_a_change(folder):
    """Tasks put all the while; each record is in the form of one side of the change."""
    async with PersistingBackend(0, folder) as bucket:
        await bucket.put({"id": -1, "old": -1})
        puts = [asyncio.create_task(bucket.put({"id": i, "old": i})) for i in range(200)]
        await bucket.rename_field("old", "new")
        late = [asyncio.create_task(bucket.put({"id": i, "new": i})) for i in range(200, 300)]
        await asyncio.gather(*puts, *late)
        records = await bucket.get()
        assert sorted(ids(records)) == list(range(-1, 300))
        for record in records:
            assert {record["new"], record.get("old")} == {record["id"], None}
        check_pylance_after_flush = bucket.sync()
        await asyncio.to_thread(check_pylance_after_flush.flush)
        check_pylance(folder, check_pylance_after_flush)


def test_a_change_under_concurrent_puts_of_threads(folder):
    with opened(folder) as bucket:
        bucket.put({"thread": -1, "number": -1, "extra": 0})

        def produce(thread):
            for number in range(100):
                bucket.put({"thread": thread, "number": number, "extra": number})

        threads = [threading.Thread(target=produce, args=(i,)) for i in range(3)]
        for each in threads:
            each.start()
        for _ in range(10):
            if "extra" in types_of(bucket):
                bucket.drop_field("extra")
        for each in threads:
            each.join()
        records = bucket.get()
        assert len(records) == 301
        for thread in range(3):
            numbers = [each["number"] for each in records if each["thread"] == thread]
            assert numbers == list(range(100))
        assert all(each.get("extra") in {None, each["number"]} for each in records)


async def test_records_in_a_readers_hands_stay(folder):
    async with PersistingBackend(0, folder) as bucket:
        bucket.page_records = 5
        await bucket.put_batch([{"id": i, "a": i} for i in range(10)])
        stream = bucket.get_stream()
        first = await anext(stream)
        table = await bucket.get_arrow()
        await bucket.drop_field("a")
        assert first == [{"id": i, "a": i} for i in range(5)]
        assert table.column_names == ["id", "a"]
        assert table["a"].to_pylist() == list(range(10))
        assert await anext(stream) == [{"id": i} for i in range(5, 10)]
        await stream.aclose()


def test_a_declared_field_is_renamed_and_dropped(folder):
    with opened(folder, schema={"a": int, "b": str}) as bucket:
        bucket.put({"a": 1, "b": "x"})
        bucket.rename_field("a", "c")
        bucket.drop_field("b")
        for name in ("a", "b"):
            with pytest.raises(SchemaError, match=f"'{name}' is not in the declared schema"):
                bucket.put({name: 1})
        with pytest.raises(SchemaError, match="'c' is double"):
            bucket.put({"c": 0.5})
    with opened(folder, schema={"a": int}) as bucket:  # declared anew: a field of its own
        assert bucket.get() == [{"c": 1, "a": None}]


def test_a_default_goes_with_its_field(folder):
    with opened(folder, defaults={"a": 5}) as bucket:
        bucket.put({"id": 0})
        bucket.rename_field("a", "b")
        bucket.put({"id": 1})
        assert values(bucket, "b") == [5, 5]
        bucket.drop_field("b")
        bucket.put({"b": "another"})
        bucket.put({"id": 3})
        assert values(bucket, "b") == [None, None, "another", None]


def test_get_meta_after_changes(folder):
    async def main():
        async with PersistingBackend(0, folder) as bucket:
            await bucket.put_batch([{"a": 1}, {"b": 1}, {"a": 2, "b": 2}])
            meta = await bucket.get_meta(["a"], 10, "x")
            assert meta["global_indexes"] == [0, 2]
            await bucket.drop_field("b")
            await bucket.put({"a": 3})
            meta = await bucket.get_meta(["a"], 10, "x")
            assert meta["global_indexes"] == [3]
            assert await bucket.get_data(meta) == [{"a": 3}]

    asyncio.run(main())


# The history.


@BACKENDS
def test_the_history_of_a_schema(folder, backend):
    with opened(folder, backend, schema={"*": "any", "d": "int8"}, defaults={"x": 1}) as bucket:
        bucket.put_batch([{"a": 1}, {"a": None, "b": None}])
        bucket.put_batch([{"b": {"m": [1]}}, {"b": {"m": [0.5], "n": "x"}, "a": 2.5}])
        bucket.rename_field("a", "c")
        bucket.drop_field("b")
        bucket.put({"b": np.int8(1)})
        changes = [
            (0, "declared", "d", None, "int8"),
            (0, "added", "x", None, "int64"),
            (0, "default", "x", None, "1"),
            (0, "added", "a", None, "int64"),
            (1, "added", "b", None, "undecided"),
            (2, "decided", "b", None, "struct<m: list<int64>>"),
            (3, "widened", "b.m[]", "int64", "double"),
            (3, "added", "b.n", None, "string"),
            (3, "widened", "a", "int64", "double"),
            (4, "renamed", "a", "a", "c"),
            (4, "dropped", "b", "struct<m: list<double>, n: string>", None),
            (4, "added", "b", None, "int8"),
        ]
        names = ["offset", "change", "field", "before", "after"]
        assert all(list(change) == names for change in bucket.schema_history())
        assert sorted(history(bucket), key=repr) == sorted(changes, key=repr)
        assert [change[0] for change in history(bucket)] == [change[0] for change in changes]
        known = bucket.schema_history()
    if backend is not MemoryBackend:
        with opened(folder, backend, defaults={"x": 2}, on_conflict="stringify") as bucket:
            bucket.put({"b": "text"})
            assert bucket.schema_history()[: len(known)] == known
            assert history(bucket)[len(known) :] == [
                (5, "default", "x", "1", "2"),
                (5, "text", "b", "int8", "string"),
            ]


def test_a_refused_change_leaves_no_trace_in_the_history():
    with MemoryBackend(0).sync() as bucket:
        bucket.put({"a": 1})
        with pytest.raises(SchemaError):
            bucket.put({"b": 1, "a": "x"})
        assert history(bucket) == [(0, "added", "a", None, "int64")]


def test_history_and_fields_survive_a_kill(folder):
    killed(
        """
bucket = PersistingBackend(0, sys.argv[1], flush_interval=1e6, defaults={"d": [1]}).sync()
bucket.put({"a": 1, "nothing": None})
bucket.rename_field("a", "b")
bucket.put_batch([{"b": 0.5, "only_in_log": "x"}, {"undecided_in_log": None}, {"nothing": b""}])
""",
        folder,
    )
    with opened(folder) as bucket:
        assert history(bucket) == [
            (0, "added", "d", None, "list<int64>"),
            (0, "default", "d", None, "[1]"),
            (0, "added", "a", None, "int64"),
            (0, "added", "nothing", None, "undecided"),
            (1, "renamed", "a", "a", "b"),
            (1, "widened", "b", "int64", "double"),
            (1, "added", "only_in_log", None, "string"),
            (2, "added", "undecided_in_log", None, "undecided"),
            (3, "decided", "nothing", None, "bytes"),
        ]
        assert exactly(bucket.get(1, 0)) == exactly(
            [
                {
                    "d": [1],
                    "b": 1.0,
                    "nothing": None,
                    "only_in_log": None,
                    "undecided_in_log": None,
                }
            ]
        )
        assert values(bucket, "only_in_log") == [None, "x", None, None]
        known = bucket.schema(), bucket.schema_history()
    with opened(folder) as bucket:
        assert (bucket.schema(), bucket.schema_history()) == known


@pytest.mark.parametrize("change", ['drop_field("a")', 'rename_field("a", "b")'])
def test_a_change_that_returned_survives_a_kill(folder, change):
    killed(
        f"""
bucket = PersistingBackend(0, sys.argv[1]).sync()
bucket.put({{"a": 1, "id": 0}})
bucket.{change}
""",
        folder,
    )
    with opened(folder) as bucket:
        assert bucket.get() == [{"id": 0} if "drop" in change else {"b": 1, "id": 0}]
        check_pylance(folder, bucket)
