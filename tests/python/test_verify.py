"""verify and repair over real Lance, as functions and as commands."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import lance
import pytest

import persisting
from helpers import check_table, contents_of
from persisting import StorageError
from persisting.queue import PersistingBackend

# Enough rows for several pages of a data file.
FIRST = [{"id": i, "name": f"record {i}", "score": i / 7} for i in range(3000)]
SECOND = [{"id": i, "name": f"record {i}", "tags": ["a", str(i)]} for i in range(3000, 5000)]
UNFLUSHED = [{"id": i, "name": f"record {i}"} for i in range(5000, 5100)]
ALL = FIRST + SECOND + UNFLUSHED


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    """A bucket of two flushes with records in its log, as a dead process leaves it."""
    live = tmp_path_factory.mktemp("live") / "bucket_0"
    copy = tmp_path_factory.mktemp("original") / "bucket_0"
    with PersistingBackend(0, live).sync() as backend:
        backend.put_batch(FIRST)
        backend.flush()
        backend.put_batch(SECOND)
        backend.flush()
        for record in UNFLUSHED:
            backend.put(record)
        shutil.copytree(live, copy)
    return copy


@pytest.fixture
def bucket(original, tmp_path):
    shutil.copytree(original, tmp_path / "events" / "bucket_0")
    return tmp_path / "events" / "bucket_0"


def flip(file, byte):
    contents = bytearray(file.read_bytes())
    contents[byte] ^= 0x10
    file.write_bytes(contents)


def data_files(bucket):
    """Data files in the order of their rows."""
    fragments = lance.dataset(bucket / "data.lance").get_fragments()
    return [bucket / "data.lance" / "data" / each.metadata.files[0].path for each in fragments]


def read_all(folder):
    with PersistingBackend(0, folder).sync() as backend:
        return backend.get()


def command(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "persisting", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_a_whole_bucket(bucket):
    before = contents_of(bucket)
    (report,) = persisting.verify(bucket)
    assert report.whole
    assert report.findings == []
    assert report.records == len(ALL)
    assert report.bytes > 50_000
    assert contents_of(bucket) == before


@pytest.mark.parametrize("where", [0.0, 0.3, 0.5, 0.7, 1.0])
@pytest.mark.parametrize("file", [0, 1])
def test_damage_inside_a_data_file_is_found_and_costs_only_its_rows(bucket, tmp_path, file, where):
    """Lance itself reads most of these without noticing."""
    damaged = data_files(bucket)[file]
    flip(damaged, int(where * (damaged.stat().st_size - 1)))
    (report,) = persisting.verify(bucket)
    (finding,) = report.findings
    assert finding.damage
    assert finding.file == str(damaged)
    rows = [(0, len(FIRST)), (len(FIRST), len(FIRST) + len(SECOND))][file]
    assert finding.at_stake == rows

    before = contents_of(bucket)
    saved = persisting.repair(bucket, tmp_path / "new")
    assert contents_of(bucket) == before
    assert saved.lost == [rows]
    kept = ALL[: rows[0]] + ALL[rows[1] :]
    assert saved.records == len(kept)
    assert [each["id"] for each in read_all(tmp_path / "new")] == [each["id"] for each in kept]
    assert persisting.verify(tmp_path / "new")[0].findings == []


def test_damage_in_the_log_is_found_to_the_byte(bucket, tmp_path):
    (segment,) = (bucket / "wal").glob("*.wal")
    # Behind its frames a log may hold room, where damage costs nothing.
    middle = len(segment.read_bytes().rstrip(b"\0")) // 2
    flip(segment, middle)
    (report,) = persisting.verify(bucket)
    assert not report.whole
    finding = next(each for each in report.findings if each.byte is not None)
    assert finding.file == str(segment)
    assert finding.byte <= middle < finding.byte + 200
    assert finding.at_stake[1] - finding.at_stake[0] == 1
    with pytest.raises(persisting.WALError, match=r"byte \d+.*persisting repair"):
        PersistingBackend(0, bucket)
    saved = persisting.repair(bucket, tmp_path / "new")
    assert saved.lost == [finding.at_stake]
    kept = [each for i, each in enumerate(ALL) if i != finding.at_stake[0]]
    assert [each["id"] for each in read_all(tmp_path / "new")] == [each["id"] for each in kept]


@pytest.mark.parametrize("name", ["BUCKET", "CHECKPOINT"])
@pytest.mark.parametrize("missing", [False, True])
def test_a_damaged_small_file_costs_no_record(bucket, tmp_path, name, missing):
    file = bucket / name
    if missing:
        file.unlink()
    else:
        flip(file, 30)
    (report,) = persisting.verify(bucket)
    assert [each.file for each in report.findings if each.damage] == [str(file)]
    saved = persisting.repair(bucket, tmp_path / "new")
    assert saved.lost == []
    assert [each["id"] for each in read_all(tmp_path / "new")] == [each["id"] for each in ALL]
    check_table(tmp_path / "new", read_all(tmp_path / "new"))


def test_times_survive_a_repair(bucket, tmp_path):
    before = lance.dataset(bucket / "data.lance").to_table()["_ts"].to_pylist()
    persisting.repair(bucket, tmp_path / "new")
    after = lance.dataset(tmp_path / "new" / "data.lance").to_table()["_ts"].to_pylist()
    assert after[: len(before)] == before
    assert len(set(after[len(before) :])) > 1


def test_an_open_bucket_is_busy(bucket):
    with PersistingBackend(0, bucket).sync():
        with pytest.raises(StorageError, match=r"held by process \d+, which is this one"):
            persisting.verify(bucket)
        result = command("verify", bucket)
    assert result.returncode == 3
    assert "is held by process" in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_the_commands(bucket, tmp_path):
    result = command("verify", bucket.parent)
    assert (result.returncode, result.stderr) == (0, "")
    assert f"{bucket}: whole; read {len(ALL)} records" in result.stdout

    damaged = data_files(bucket)[0]
    flip(damaged, 1000)
    result = command("verify", bucket.parent)
    assert (result.returncode, result.stderr) == (1, "")
    assert f"damaged: {damaged}: its contents differ" in result.stdout
    assert "offsets 0 to 3000 are at stake" in result.stdout
    (report,) = json.loads(command("verify", bucket, "--json").stdout)
    assert report["whole"] is False
    assert report["findings"][0]["file"] == str(damaged)

    result = command("repair", bucket, "--into", tmp_path / "new")
    assert (result.returncode, result.stderr) == (1, "")
    assert "lost: offsets 0 to 3000" in result.stdout
    assert f"{len(ALL) - 3000} records saved" in result.stdout
    assert command("verify", tmp_path / "new").returncode == 0
    result = command("repair", bucket, "--into", tmp_path / "new")
    assert result.returncode == 2
    assert "is there already" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["verify", "nowhere"], "nowhere is no folder"),
        (["verify", "."], "holds no bucket"),
        (["repair", "nowhere", "--into", "new"], "nowhere is no bucket"),
    ],
)
def test_wrong_paths(tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    result = command(*arguments)
    assert result.returncode == 2
    assert message in result.stderr
    assert list(Path().iterdir()) == []
