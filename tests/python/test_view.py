"""A view of a bucket beside the process that has it open, over real Lance."""

import itertools
import json
import os
import signal
import subprocess
import sys
import tarfile
import threading
import time
from pathlib import Path

import pytest

import persisting
from helpers import PROGRAMS, contents_of, lives_of, same_records, seeded
from persisting import StorageError, WALError, find_buckets, open_view
from persisting.queue import LanceBackend, PersistingBackend

sys.path.insert(0, str(Path(__file__).parent.parent / "golden"))
sys.path.insert(0, str(PROGRAMS))

import records_v1
from numbered import record


def put_numbered(backend, first, end):
    backend.put_batch([record(i) for i in range(first, end)])


def numbered(first, end):
    return [record(i) for i in range(first, end)]


def test_follows_a_writer_in_another_process_and_outlives_its_kills(tmp_path):
    """Every record once and in order, while it is flushed, rotated, killed and opened again."""
    chance = seeded()
    folder = tmp_path / "events" / "bucket_0"
    seen = 0
    with lives_of("view_writer.py") as lives:
        view = None
        for _ in range(4):
            lives.begin(os.fspath(folder), seen, chance.randrange(2**32))
            kind, acknowledged = lives.line()
            assert (kind, int(acknowledged)) == ("a", seen)
            view = view or open_view(folder)
            assert view.stats()["holder"] == lives.pid
            target = seen + chance.randrange(300, 600)
            for records in view.follow(seen, timeout=60):
                assert same_records(records, numbered(seen, seen + len(records)))
                seen += len(records)
                if seen >= target:
                    break
            os.kill(lives.pid, signal.SIGKILL)
            told = [int(words[1]) for words in lives]
            assert lives.ended == -signal.SIGKILL
            # All that was acknowledged is shown, and what is shown stays.
            before = contents_of(folder)
            assert view.total_count() >= max([seen, *told])
            seen = view.total_count()
            assert view.stats()["holder"] is None
            assert view.get(1, seen) == []
            assert contents_of(folder) == before
    assert view.stats()["persisted_count"] > 0
    assert view.stats()["fragments"] > 0
    assert same_records(view.get(), numbered(0, seen))
    assert same_records(view.get_arrow().to_pylist(), view.get())
    with PersistingBackend(0, folder).sync() as backend:
        assert backend.total_count() == seen
        assert same_records(backend.get(), view.get())


def test_shows_changes_of_the_schema_and_dead_letters(tmp_path):
    folder = tmp_path / "bucket_0"
    with (
        PersistingBackend(0, folder, on_conflict="dead_letter").sync() as backend,
        open_view(folder) as view,
    ):
        assert view.get() == []
        backend.put_batch([{"id": 1, "name": "a", "old": 1}, {"id": 2, "name": "b", "old": 2}])
        assert view.get() == backend.get()
        backend.rename_field("name", "title")
        backend.drop_field("old")
        backend.put({"id": 3, "title": "c", "more": 0.5})
        backend.put({"id": "three"})
        assert view.get() == backend.get()
        assert view.get(1, 1) == backend.get(1, 1) == [{"id": 2, "title": "b", "more": None}]
        assert view.schema() == backend.schema()
        assert view.schema_history() == backend.schema_history()
        assert view.dead_letters() == backend.dead_letters()
        assert [letter["offset"] for letter in view.dead_letters()] == [3]
        assert view.get_arrow().equals(backend.get_arrow())
        known = backend.stats()
        shown = view.stats()
        for name in ("total_count", "persisted_count", "buffer_count", "buffer_bytes", "wal_size"):
            assert shown[name] == known[name], name
        assert shown["dead_letters"] == 1
        assert shown["holder"] == os.getpid()


def test_a_bucket_without_a_log_shows_its_table(tmp_path):
    folder = tmp_path / "bucket_0"
    with LanceBackend(0, folder).sync() as backend, open_view(folder) as view:
        backend.put_batch([{"id": i} for i in range(10)])
        assert view.get() == []
        backend.flush()
        assert view.total_count() == 10
        assert view.get(2, 3) == [{"id": 3}, {"id": 4}]
        assert view.stats()["wal_segments"] == 0


@pytest.fixture
def bucket_v1(tmp_path):
    folder = tmp_path / "bucket_0"
    with tarfile.open(Path(records_v1.__file__).parent / "bucket-v1.tar.gz") as archive:
        archive.extractall(folder, filter="data")
    return folder


def test_a_bucket_of_version_1(bucket_v1):
    before = contents_of(bucket_v1)
    with open_view(bucket_v1) as view:
        assert same_records(view.get(), records_v1.expected())
        assert view.stats()["persisted_count"] == records_v1.FLUSHED
        assert view.stats()["holder"] is None
    assert contents_of(bucket_v1) == before


def test_a_medium_that_cannot_be_written_to(bucket_v1):
    """Root may write anyway, so the folder is compared as well."""
    for path in [*bucket_v1.rglob("*"), bucket_v1]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    before = {path: path.stat().st_mtime_ns for path in bucket_v1.rglob("*")}
    try:
        with open_view(bucket_v1) as view:
            assert len(view.get()) == records_v1.COUNT
            assert view.stats()["total_count"] == records_v1.COUNT
        assert {path: path.stat().st_mtime_ns for path in bucket_v1.rglob("*")} == before
    finally:
        for path in [bucket_v1, *bucket_v1.rglob("*")]:
            path.chmod(0o755)


def test_damage_names_file_and_byte(tmp_path):
    folder = tmp_path / "bucket_0"
    backend = PersistingBackend(0, folder).sync()
    for i in range(20):
        backend.put({"id": i, "text": "x" * 50})
    [segment] = (folder / "wal").iterdir()
    with open_view(folder) as view:
        assert view.total_count() == 20
    whole = segment.read_bytes()
    damaged = bytearray(whole)
    damaged[len(whole.rstrip(b"\0")) // 2] ^= 1
    segment.write_bytes(damaged)
    with pytest.raises(WALError, match=rf"{segment}: byte \d+: a frame is damaged"):
        open_view(folder)
    segment.write_bytes(whole)
    assert open_view(folder).total_count() == 20
    backend.close()

    checkpoint = folder / "CHECKPOINT"
    contents = bytearray(checkpoint.read_bytes())
    contents[-1] ^= 1
    checkpoint.write_bytes(contents)
    with pytest.raises(StorageError, match="CHECKPOINT: checksum differs"):
        open_view(folder)


def test_follow_begins_at_the_end_waits_and_times_out(tmp_path):
    with (
        PersistingBackend(0, tmp_path / "bucket_0").sync() as backend,
        open_view(tmp_path / "bucket_0") as view,
    ):
        backend.put({"id": 0})
        new = view.follow(timeout=60)
        backend.put({"id": 1})  # after the call, before the first look
        assert next(new) == [{"id": 1}]
        threading.Timer(0.05, backend.put, [{"id": 2}]).start()
        assert next(new) == [{"id": 2}]
        assert [len(records) for records in view.follow(0, timeout=0)] == [3]
        begun = time.monotonic()
        assert list(view.follow(timeout=0.2)) == []
        assert time.monotonic() - begun >= 0.2
        backend.put_batch([{"id": i} for i in range(3, 2503)])
        pages = list(itertools.islice(view.follow(3), 3))
        assert [len(page) for page in pages] == [1000, 1000, 500]


def test_an_interrupt_ends_following(tmp_path):
    with PersistingBackend(0, tmp_path / "bucket_0").sync():
        code = (
            "import sys, persisting\n"
            "view = persisting.open_view(sys.argv[1])\n"
            "print('ready', flush=True)\n"
            "for _ in view.follow(): pass"
        )
        with subprocess.Popen(
            [sys.executable, "-c", code, tmp_path / "bucket_0"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as program:
            assert program.stdout.readline() == "ready\n"
            program.send_signal(signal.SIGINT)
            assert "KeyboardInterrupt" in program.communicate(timeout=30)[1]


def test_what_is_no_bucket(tmp_path):
    with pytest.raises(ValueError, match="is no bucket"):
        open_view(tmp_path)
    with pytest.raises(ValueError, match="is no folder"):
        open_view(tmp_path / "none")
    with pytest.raises(ValueError, match="is no folder"):
        find_buckets(tmp_path / "none")
    assert find_buckets(tmp_path) == []


def test_arguments_are_checked(tmp_path):
    with PersistingBackend(0, tmp_path / "b").sync(), open_view(tmp_path / "b") as view:
        for wrong in (-1, 2**70):
            with pytest.raises((ValueError, OverflowError, TypeError)):
                view.get(wrong)
        with pytest.raises(TypeError, match="offset must be a whole number"):
            view.follow("1")
        with pytest.raises(ValueError, match="timeout must be at least 0"):
            view.follow(timeout=-1)
    with pytest.raises(StorageError, match="the view is closed"):
        view.total_count()


def test_find_buckets(tmp_path):
    options = {"on_conflict": "dead_letter"}
    made = [
        PersistingBackend(i, tmp_path / "a" / f"bucket_{i}", topic=topic, **options).sync()
        for i, topic in ((10, "z"), (2, "z"))
    ]
    made.append(PersistingBackend(0, tmp_path / "b" / "bucket_0", **options).sync())
    found = find_buckets(tmp_path)
    assert [(each.topic, each.bucket_id) for each in found] == [("b", 0), ("z", 2), ("z", 10)]
    assert [each.folder for each in found] == [
        str(tmp_path / "b" / "bucket_0"),
        str(tmp_path / "a" / "bucket_2"),
        str(tmp_path / "a" / "bucket_10"),
    ]
    assert find_buckets(found[1].folder) == [found[1]]
    for backend in made:
        backend.close()
    assert len(persisting.verify(tmp_path)) == 6  # with their dead letters


def test_a_forked_child_is_told_to_open_its_own(tmp_path):
    """In a process of its own, which no test's threads share."""
    code = """
import os, sys, warnings, json
import persisting
from persisting.queue import PersistingBackend
warnings.simplefilter("ignore")
backend = PersistingBackend(0, sys.argv[1]).sync()
view = persisting.open_view(sys.argv[1])
child = os.fork()
if child == 0:
    try:
        view.total_count()
    except persisting.StorageError as error:
        os._exit(7 if "forked" in str(error) else 1)
    os._exit(2)
print(json.dumps(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])))
"""
    ended = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "bucket_0"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert json.loads(ended.stdout) == 7
