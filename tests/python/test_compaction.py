"""Compaction with real pylance: what it merges and removes, and that no reader sees it happen."""

import asyncio
import random
import shutil
import sys
import threading

import lance
import numpy as np
import pyarrow as pa
import pytest

import persisting
from helpers import check_pylance, halved, opened
from merged_tables import STATES, check_kills, check_whole, fill, fragments, table_of
from persisting import StorageError
from persisting.queue import LanceBackend, MemoryBackend, PersistingBackend


@pytest.mark.parametrize("backend", [PersistingBackend, LanceBackend])
def test_many_small_fragments_become_one(tmp_path, backend):
    with opened(tmp_path, backend) as bucket:
        records = fill(bucket, [10] * 30)
        bucket.put({"id": 300, "text": "not flushed"})
        records.append({"id": 300, "text": "not flushed"})
        report = bucket.compact()
        assert bucket.get() == records
        assert bucket.get(5, 290) == records[290:295]
    assert report.pop("duration_seconds") > 0
    assert report.pop("bytes_removed") > 0
    # One version of each flush but the first, one of the numbers that Lance reserves.
    assert report == {"fragments_before": 31, "fragments_after": 1, "versions_removed": 32}
    assert len(table_of(tmp_path).versions()) == 1
    assert len(list((tmp_path / "data.lance" / "data").iterdir())) == 1
    check_whole(tmp_path, records)


def test_order_stays_whatever_the_sizes(tmp_path):
    """Lance's own compaction puts what it merged behind the large fragments that it leaves."""
    chance = random.Random(7)
    seen = []
    with opened(tmp_path) as bucket:
        records = []
        for _ in range(6):
            sizes = [chance.choice([1, 2, 5, 30, 80]) for _ in range(chance.randrange(1, 8))]
            records += fill(bucket, sizes, len(records))
            target = chance.choice([10, 40, 100])
            report = bucket.compact(
                lambda done, total: seen.append((done, total)), target_rows_per_fragment=target
            )
            assert bucket.get() == records
            rows = table_of(tmp_path).to_table(columns=["_offset"])
            assert rows["_offset"].to_pylist() == list(range(len(records)))
            assert len(fragments(tmp_path)) == report["fragments_after"]
            assert all(rows >= target for rows in fragments(tmp_path)[:-1])
    assert seen
    assert all(done <= total for done, total in seen)
    check_whole(tmp_path, records)


def test_it_can_be_done_again_and_flushes_go_on(tmp_path):
    with opened(tmp_path) as bucket:
        records = []
        for _ in range(5):
            records += fill(bucket, [3, 4], len(records))
            bucket.compact()
            assert fragments(tmp_path) == [len(records)]
            again = bucket.compact()
            assert (again["fragments_before"], again["fragments_after"]) == (1, 1)
            assert again["versions_removed"] == 0
    check_whole(tmp_path, records)


def test_columns_of_every_age(tmp_path):
    """Fragments that lack columns, vectors, Arrow rows, dropped and renamed fields."""
    with opened(tmp_path) as bucket:
        bucket.put({"id": 0, "gone": "a"})
        bucket.flush()
        bucket.put({"id": 1, "vector": np.arange(8, dtype=np.float32)})
        bucket.flush()
        bucket.put_batch(pa.table({"id": [2, 3], "words": [["a"], None]}))
        bucket.flush()
        bucket.drop_field("gone")
        bucket.rename_field("words", "said")
        bucket.put({"id": 4, "gone": 5})
        before = bucket.get_arrow()
        assert bucket.compact()["fragments_after"] == 1
        assert bucket.get_arrow().equals(before)
        check_pylance(tmp_path, bucket)
        bucket.put({"id": 5, "said": ["b"], "later": True})
        bucket.compact()
        before = bucket.get_arrow()
    with opened(tmp_path) as bucket:
        assert bucket.get_arrow().equals(before)
        check_pylance(tmp_path, bucket)
    assert all(report.whole for report in persisting.verify(tmp_path))


def test_dead_letters_are_compacted_too(tmp_path):
    with opened(tmp_path, on_conflict="dead_letter") as bucket:
        records = fill(bucket, [2, 2])
        for i in range(3):
            bucket.put({"id": f"no number {i}"})
            bucket.flush()
        report = bucket.compact()
        assert (report["fragments_before"], report["fragments_after"]) == (5, 2)
        assert len(bucket.dead_letters()) == 3
        assert bucket.get() == records
    assert len(fragments(tmp_path / "dead_letters")) == 1


async def test_puts_and_reads_go_on(tmp_path):
    """Readers and writers of an event loop see nothing of it but the time it takes."""
    chance = random.Random(3)
    steps = []
    async with PersistingBackend(0, tmp_path, flush_threshold=20) as backend:
        done = False
        count = 0

        async def write():
            nonlocal count
            while not done:
                await backend.put_batch([{"id": count + i} for i in range(7)])
                count += 7
                await asyncio.sleep(0.001)

        async def read():
            while not done:
                end = backend.total_count()
                first = chance.randrange(end + 1)
                found = await backend.get(50, first)
                assert len(found) >= min(50, end - first)
                assert [each["id"] for each in found] == list(range(first, first + len(found)))
                await asyncio.sleep(0.001)

        tasks = [asyncio.create_task(each()) for each in (write, read, read)]
        for _ in range(8):
            await asyncio.sleep(0.05)
            await backend.compact(
                lambda *step: steps.append((threading.current_thread(), *step)),
                target_rows_per_fragment=100,
            )
        done = True
        await asyncio.gather(*tasks)
        await backend.compact()
        assert [each["id"] for each in await backend.get()] == list(range(count))
    assert {thread for thread, _, _ in steps} == {threading.main_thread()}
    check_whole(tmp_path, [{"id": i} for i in range(count)])


def test_a_failed_checkpoint_is_told_and_nothing_is_lost(tmp_path):
    with opened(tmp_path) as bucket:
        records = fill(bucket, [3, 3, 3])
        before = {file.name for file in (tmp_path / "data.lance" / "data").iterdir()}
        # The name under which it is written first is taken by a folder.
        (tmp_path / "CHECKPOINT.tmp").mkdir()
        with pytest.raises(StorageError, match="CHECKPOINT"):
            bucket.compact()
        assert before <= {file.name for file in (tmp_path / "data.lance" / "data").iterdir()}
        assert bucket.get() == records
        (tmp_path / "CHECKPOINT.tmp").rmdir()
        records += fill(bucket, [1], len(records))
        assert bucket.compact()["fragments_after"] == 1
    check_whole(tmp_path, records)


def test_impossible_arguments(tmp_path):
    with opened(tmp_path) as bucket:
        with pytest.raises(ValueError, match="target_rows_per_fragment must be at least 1"):
            bucket.compact(target_rows_per_fragment=0)
        with pytest.raises(TypeError, match="target_rows_per_fragment"):
            bucket.compact(target_rows_per_fragment="many")
        with pytest.raises(TypeError, match="progress"):
            bucket.compact(5)
        assert bucket.compact(target_rows_per_fragment=2**70)["fragments_before"] == 0
    with MemoryBackend(0, "").sync() as bucket, pytest.raises(StorageError, match="memory"):
        bucket.compact()
    with pytest.raises(StorageError, match="closed"):
        bucket.compact()


def test_an_error_in_progress_ends_nothing(tmp_path, monkeypatch):
    told = []
    monkeypatch.setattr(sys, "unraisablehook", lambda event: told.append(event.exc_type))
    with opened(tmp_path) as bucket:
        fill(bucket, [3, 3])
        assert bucket.compact(lambda _done, _total: 1 / 0)["fragments_after"] == 1
    assert set(told) == {ZeroDivisionError}


@pytest.fixture(scope="module")
def before_and_after(tmp_path_factory):
    """A bucket before a compaction and after it, with all old versions kept."""
    root = tmp_path_factory.mktemp("compaction")
    live, before, after = root / "live", root / "before", root / "after"
    bucket = opened(live)
    records = fill(bucket, [5, 6, 7, 8])
    shutil.copytree(live, before)
    bucket.compact()
    shutil.copytree(live, after)
    bucket.close()
    return before, after, records


def crashed(before_and_after, bucket, checkpoint):
    """Make a bucket between commit and removal, under the old checkpoint or the new one.

    Returns the manifests of the compaction: of the reserved numbers, and its own.
    """
    before, after, _ = before_and_after
    shutil.copytree(before, bucket)
    old = {path.name for path in (before / "data.lance" / "_versions").iterdir()}
    table = lance.dataset(bucket / "data.lance")
    kept = {path.name for path in (after / "data.lance" / "_versions").glob("*.manifest")}
    shutil.copytree(after / "data.lance", bucket / "data.lance", dirs_exist_ok=True)
    assert table.version == 4
    (own,) = kept - old
    if checkpoint == "new":
        shutil.copy(after / "CHECKPOINT", bucket / "CHECKPOINT")
    return bucket / "data.lance" / "_versions" / own


@pytest.mark.parametrize("state", STATES)
def test_states_before_the_checkpoint(before_and_after, tmp_path, state):
    """The data files are durable before the commit; the manifest may be in any state."""
    bucket = tmp_path / "bucket"
    STATES[state](crashed(before_and_after, bucket, "old"))
    records = before_and_after[2]
    with opened(bucket) as opened_bucket:
        assert opened_bucket.get() == records
        found = fragments_of_open(opened_bucket, bucket)
        assert found == ([26] if state == "whole" else [5, 6, 7, 8])
        records = records + fill(opened_bucket, [2], len(records))
        assert opened_bucket.compact()["fragments_after"] == 1
        assert opened_bucket.get() == records
    assert len(table_of(bucket).versions()) == 1
    check_whole(bucket, records)


def fragments_of_open(bucket, folder):
    assert bucket.stats()["persisted_count"] == bucket.total_count()
    return fragments(folder)


@pytest.mark.parametrize("seed", range(12))
def test_states_during_the_removal(before_and_after, tmp_path, seed):
    """Any of the files that a removal takes away may be gone, in any order: a power cut."""
    chance = random.Random(seed)
    bucket = tmp_path / "bucket"
    crashed(before_and_after, bucket, "new")
    before, after, records = before_and_after
    for file in sorted((before / "data.lance").rglob("*")):
        name = file.relative_to(before)
        if file.is_file() and not (after / name).exists() and chance.randrange(2):
            (bucket / name).unlink()
    for _ in range(2):
        with opened(bucket) as opened_bucket:
            assert opened_bucket.get() == records
            records = records + fill(opened_bucket, [2], len(records))
            opened_bucket.compact()
            assert opened_bucket.get() == records
    assert len(table_of(bucket).versions()) == 1
    check_whole(bucket, records)


def test_a_torn_old_manifest_does_not_stop_the_removal(tmp_path):
    with opened(tmp_path) as bucket:
        records = fill(bucket, [2, 2, 2])
        oldest = max((tmp_path / "data.lance" / "_versions").glob("*.manifest"))
        halved(oldest)
        bucket.compact()
    assert len(table_of(tmp_path).versions()) == 1
    check_whole(tmp_path, records)


def misordered_by_another(folder):
    """Lance's own compaction: three fragments become one that stands last but for one."""
    table = table_of(folder)
    table.optimize.compact_files(target_rows_per_fragment=10)
    offsets = table_of(folder).to_table(columns=["_offset"])["_offset"].to_pylist()
    assert offsets != sorted(offsets)
    return offsets


def test_rows_that_another_program_moved_are_noticed(tmp_path):
    live, crashed_folder = tmp_path / "live", tmp_path / "crashed"
    with opened(live) as bucket:
        records = fill(bucket, [2, 2, 20, 2, 3])
        offsets = misordered_by_another(live)
        assert offsets[-1] == len(records) - 1  # where a look at the end alone would see nothing
        with pytest.raises(StorageError, match="another program"):
            bucket.compact()
        assert bucket.get() == records
        bucket.put({"id": len(records), "text": "more"})
        records.append({"id": len(records), "text": "more"})
        with pytest.raises(StorageError, match="another program"):
            bucket.flush()
        assert bucket.get() == records
        shutil.copytree(live, crashed_folder)
        with pytest.raises(StorageError, match="another program"):
            bucket.close()
    for folder in (live, crashed_folder):
        with opened(folder) as bucket:
            assert bucket.get() == records
            bucket.compact()
            assert bucket.get() == records
        check_whole(folder, records)


def test_a_compaction_by_another_program_is_taken_over(tmp_path):
    with opened(tmp_path) as bucket:
        records = fill(bucket, [2, 2, 2])
        table_of(tmp_path).optimize.compact_files()
        assert bucket.compact()["fragments_before"] == 1
        assert bucket.get() == records
    check_whole(tmp_path, records)


def test_killed_while_compacting(tmp_path):
    check_kills(tmp_path, "kill9_compact.py", seed=5, most_lines=60)
