"""A real disk that is full, and one that nobody may write: a clear error, and nothing is lost.

Both are file systems of this test's own; where it may not mount them (that takes root) it is
skipped.
"""

import shutil
import subprocess
from pathlib import Path

import pytest

from persisting import StorageError, WALError
from persisting.queue import PersistingBackend


def mount(folder, options):
    """Mount a file system in memory, or skip the test."""
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"cannot mount a file system: {done.stderr.strip()}")


@pytest.fixture
def disk(tmp_path):
    """An empty disk of one megabyte."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if shutil.which("mount") is None:
        pytest.skip("there is no mount command")
    mount(folder, "size=1m")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


async def test_a_full_disk_loses_nothing_acknowledged(disk: Path, tmp_path: Path) -> None:
    backend = PersistingBackend(0, disk / "bucket", flush_interval=3600.0)
    acknowledged = []

    async def put_until_refused() -> None:
        while True:
            record = {"id": len(acknowledged), "text": "x" * 5000}
            await backend.put(record)
            acknowledged.append(record)

    with pytest.raises(WALError, match="No space left on device"):
        await put_until_refused()
    assert acknowledged
    assert await backend.get() == acknowledged
    with pytest.raises(WALError, match="opened again"):
        await backend.put({"id": -1, "text": ""})
    with pytest.raises(StorageError):
        await backend.close()  # the flush finds no space either

    # Somebody gives it room.
    shutil.copytree(disk / "bucket", tmp_path / "larger")
    async with PersistingBackend(0, tmp_path / "larger") as moved:
        assert await moved.get() == acknowledged


def test_a_disk_that_is_full_from_the_start(disk: Path) -> None:
    (disk / "filler").write_bytes(b"x" * (1 << 20))
    with pytest.raises(StorageError, match="No space left on device"):
        PersistingBackend(0, disk / "bucket")


def test_a_read_only_disk(disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    with pytest.raises(StorageError, match="Read-only file system"):
        PersistingBackend(0, disk / "bucket")
