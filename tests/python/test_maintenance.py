"""Maintenance in the background with real pylance: a table stays small, and nobody notices how."""

import contextlib
import logging
import queue
import random
import shutil

import pytest

from cli_helpers import run
from helpers import check_pylance, opened
from merged_tables import STATES, check_kills, check_whole, fill, fragments, table_of
from persisting import StorageError
from persisting.queue import LanceBackend, MemoryBackend, PersistingBackend


class Told(logging.Handler):
    """What the log tells of the maintenance, as it comes."""

    def __init__(self):
        super().__init__(logging.DEBUG)
        self._events = queue.Queue()

    def emit(self, record):
        if getattr(record, "event", "").startswith("maintenance"):
            self._events.put(record)

    def next(self, event):
        """The fields of the next such event."""
        record = self._events.get(timeout=60)
        assert record.event == event, record.getMessage()
        return record.fields


@pytest.fixture
def told():
    logger = logging.getLogger("persisting")
    level = logger.level
    handler = Told()
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    yield handler
    logger.setLevel(level)
    logger.removeHandler(handler)


def maintained(folder, backend=PersistingBackend, **options):
    return opened(folder, backend, maintenance=True, maintenance_bytes_per_second=0, **options)


def flush_each(bucket, count, first=0, rows=3):
    """Make fragments of one size; returns the records."""
    return fill(bucket, [rows] * count, first)


def bytes_in(folder):
    return sum(file.stat().st_size for file in folder.iterdir())


@pytest.mark.timeout(300)  # a second or two for each hundred, on a quiet machine
def test_many_small_flushes(tmp_path):
    chance = random.Random(3)
    records = []
    most = {"fragments": 0, "versions": 0}
    with maintained(tmp_path, LanceBackend) as bucket:
        for i in range(600):
            batch = [{"id": 20 * i + j, "text": chance.randbytes(400).hex()} for j in range(20)]
            bucket.put_batch(batch)
            bucket.flush()
            records += batch
            metrics = bucket.get_metrics()
            for name, so_far in most.items():
                most[name] = max(so_far, metrics[f"persisting_{name}"])
        metrics = bucket.get_metrics()
        assert bucket.stats()["maintenance_error"] is None
    # A flush may come and go while a merge is written.
    assert most["fragments"] < 100
    assert most["versions"] < 150
    assert metrics["persisting_compaction_failures_total"] == 0
    data = bytes_in(tmp_path / "data.lance" / "data")
    assert bytes_in(tmp_path / "data.lance" / "_versions") < 0.1 * data
    # Each row is written anew at most once for each power of eight.
    assert metrics["persisting_maintenance_bytes_total"] < 5 * data
    assert table_of(tmp_path).to_table(columns=["_offset"])["_offset"].to_pylist() == list(
        range(len(records))
    )
    check_whole(tmp_path, records)


def test_a_merge_is_counted_and_told(tmp_path, told):
    with maintained(tmp_path) as bucket:
        bucket.pause_maintenance()
        records = flush_each(bucket, 12)
        assert bucket.stats()["maintenance"] == "paused"
        assert bucket.get_metrics()["persisting_maintenance_paused"] == 1
        before = table_of(tmp_path)
        bucket.resume_maintenance()
        fields = told.next("maintenance_merge")
        assert (fields["fragments_before"], fields["fragments_after"]) == (12, 1)
        assert fields["bytes_written"] > 0
        assert fields["duration_seconds"] > 0
        metrics = bucket.get_metrics()
        assert metrics["persisting_maintenance_bytes_total"] == fields["bytes_written"]
        assert metrics["persisting_maintenance_paused"] == 0
        assert metrics["persisting_compaction_fragments_merged_total"] == 11
        assert metrics["persisting_compaction_duration_seconds"]["count"] == 1
        assert metrics["persisting_fragments"] == 1
        assert bucket.get() == records
        # Who reads the version before goes on with it.
        assert before.to_table()["id"].to_pylist() == [record["id"] for record in records]
        assert fragments(tmp_path) == [len(records)]
        assert before.version == table_of(tmp_path).version - 1
        records += flush_each(bucket, 2, len(records))
    check_whole(tmp_path, records)


def test_old_versions_go_but_for_ten_and_the_tagged(tmp_path, told):
    with maintained(tmp_path) as bucket:
        bucket.pause_maintenance()
        records = flush_each(bucket, 20)
        table_of(tmp_path).tags.create("mine", 7)
        records += flush_each(bucket, 100, len(records))
        bucket.resume_maintenance()
        fields = told.next("maintenance_removal")
        assert fields["versions_removed"] == 109
        told.next("maintenance_merge")
        assert table_of(tmp_path).checkout_version("mine").count_rows() == 7 * 3
        versions = [version["version"] for version in table_of(tmp_path).versions()]
        assert versions == [7, *range(111, 122)]
    check_whole(tmp_path, records)


def test_columns_that_came_and_went(tmp_path, told):
    with maintained(tmp_path) as bucket:
        bucket.pause_maintenance()
        for i in range(3):
            flush_each(bucket, 2, 6 * i)
            bucket.put({"id": 100 + i, f"new {i}": [float(i)]})
            bucket.flush()
        bucket.drop_field("new 0")
        bucket.rename_field("new 1", "old")
        bucket.put({"id": 200, "new 0": "another"})
        bucket.flush()
        before = bucket.get_arrow()
        bucket.resume_maintenance()
        assert told.next("maintenance_merge")["fragments_before"] == 10
        assert bucket.get_arrow().equals(before)
        check_pylance(tmp_path, bucket)
    with opened(tmp_path) as bucket:
        assert bucket.get_arrow().equals(before)
        check_pylance(tmp_path, bucket)


def test_what_an_index_covers_stays(tmp_path, told):
    with maintained(tmp_path) as bucket:
        bucket.pause_maintenance()
        records = flush_each(bucket, 9)
        table_of(tmp_path).create_scalar_index("id", "BTREE")
        records += flush_each(bucket, 10, len(records))
        bucket.resume_maintenance()
        assert told.next("maintenance_merge")["fragments_before"] == 10
        assert fragments(tmp_path) == [3] * 9 + [30]
        for row in (0, 26, 27, 40, 56):
            table = table_of(tmp_path).to_table(filter=f"id = {row}")
            assert table["_offset"].to_pylist() == [row]
        assert bucket.get() == records
        table_of(tmp_path).optimize.optimize_indices()
        assert bucket.compact()["fragments_after"] == 1
    check_whole(tmp_path, records)


def test_an_index_that_another_program_makes_meanwhile(tmp_path):
    """The engine's commit is refused: the index has numbers of what the merge takes away."""
    from persisting import _pylance_engine as engine

    with opened(tmp_path) as bucket:
        records = flush_each(bucket, 10)
        table = table_of(tmp_path)
        merged, _ = engine.merge_fragments(table, 0, 10)
        table_of(tmp_path).create_scalar_index("id", "BTREE")
        with pytest.raises(OSError, match="conflict"):
            engine.commit_in_place(table, merged, {})
        assert fragments(tmp_path) == [3] * 10
        assert bucket.get() == records


@pytest.mark.parametrize("backend", [PersistingBackend, LanceBackend])
def test_its_options(tmp_path, backend):
    for wrong in ({"maintenance": 1}, {"maintenance_bytes_per_second": "fast"}):
        with pytest.raises(TypeError, match=next(iter(wrong))):
            backend(0, tmp_path / "b", **wrong)
    with pytest.raises(ValueError, match="maintenance_bytes_per_second"):
        backend(0, tmp_path / "b", maintenance_bytes_per_second=-1)
    with contextlib.closing(backend(0, tmp_path / "b").sync()) as bucket:
        assert bucket.stats()["maintenance"] == "idle"
        with pytest.raises(ValueError, match="maintenance"):
            backend(0, tmp_path / "b", maintenance=False)
    with pytest.raises(StorageError):
        bucket.pause_maintenance()
    with contextlib.closing(backend(0, tmp_path / "b", maintenance=False).sync()) as bucket:
        flush_each(bucket, 20)
        assert bucket.stats()["maintenance"] == "off"
        assert run("stat", tmp_path / "b").line["maintenance"] == "paused or off"
        assert len(fragments(tmp_path / "b")) == 20
    assert run("stat", tmp_path / "b").line["maintenance"] is None


def test_stat_shows_it(tmp_path):
    with maintained(tmp_path) as bucket:
        flush_each(bucket, 1)
        assert run("stat", tmp_path).line["maintenance"] == "idle"
        bucket.pause_maintenance()
        assert run("stat", tmp_path).line["maintenance"] == "paused or off"


async def test_of_a_backend_in_memory_there_is_none():
    async with MemoryBackend(0) as backend:
        with pytest.raises(StorageError, match="memory"):
            backend.pause_maintenance()
        with pytest.raises(StorageError, match="memory"):
            backend.resume_maintenance()
        assert "maintenance" not in await backend.stats()


@pytest.mark.parametrize("state", STATES)
def test_states_between_its_commit_and_its_checkpoint(tmp_path, told, state):
    """The merged file is durable before the commit; the manifest may be in any state."""
    live, crashed = tmp_path / "live", tmp_path / "crashed"
    with maintained(live) as bucket:
        bucket.pause_maintenance()
        records = flush_each(bucket, 10)
        shutil.copytree(live, crashed)
        bucket.resume_maintenance()
        told.next("maintenance_merge")
        bucket.pause_maintenance()
        shutil.copytree(live / "data.lance", crashed / "data.lance", dirs_exist_ok=True)
    assert table_of(crashed).version == 11
    STATES[state](min((crashed / "data.lance" / "_versions").glob("*.manifest")))
    for _ in range(2):
        with maintained(crashed) as bucket:
            assert bucket.get() == records
            assert len(fragments(crashed)) < 3 or state != "whole"
            records = records + flush_each(bucket, 1, len(records))
            assert bucket.get() == records
    check_whole(crashed, records)


def test_killed_while_maintaining(tmp_path):
    check_kills(tmp_path, "kill9_maintain.py", seed=11, most_lines=80)
