"""What a crash around a commit leaves of a Lance table: judged before Lance reads it, never lost.

Each case is a bucket folder as a crash could leave it: log and checkpoint from before a flush, the
table from after it, with its newest manifest or data file damaged in one way.
"""

import shutil
from collections.abc import Callable
from pathlib import Path

import lance
import pytest

from helpers import emptied, halved, zero_filled
from persisting import StorageError
from persisting.queue import PersistingBackend

OLD = [{"id": i, "name": f"old {i}"} for i in range(20)]
NEW = [{"id": 20 + i, "name": f"new {i}"} for i in range(20)]


DAMAGE = [emptied, halved, zero_filled, Path.unlink]


async def crashed_bucket(folder: Path) -> tuple[Path, Path, Path]:
    """Return the folder of a bucket that stopped between commit and checkpoint of its second flush.

    And the manifest and the data file which that flush made.
    """
    live, crashed = folder / "live", folder / "crashed"
    async with PersistingBackend(0, live) as backend:
        await backend.put_batch(OLD)
        await backend.flush()
        await backend.put_batch(NEW)
        shutil.copytree(live, crashed)
        before = {path for path in (live / "data.lance").rglob("*") if path.is_file()}
        await backend.flush()
        shutil.rmtree(crashed / "data.lance")
        shutil.copytree(live / "data.lance", crashed / "data.lance")
    made = [path for path in (crashed / "data.lance").rglob("*") if path.is_file()]
    new = [path for path in made if live / path.relative_to(crashed) not in before]
    (manifest,) = [path for path in new if path.suffix == ".manifest"]
    (data,) = [path for path in new if path.suffix == ".lance"]
    return crashed, manifest, data


async def records_and_table(bucket: Path) -> tuple[list[dict[str, object]], int]:
    """Return what the queue reads, and how many rows the table held when it was opened."""
    async with PersistingBackend(0, bucket) as backend:
        persisted = (await backend.stats())["persisted_count"]
        return await backend.get(), persisted


async def test_a_whole_newer_version_is_accepted(tmp_path: Path) -> None:
    bucket, _, _ = await crashed_bucket(tmp_path)
    assert await records_and_table(bucket) == (OLD + NEW, len(OLD + NEW))
    assert not (bucket / "quarantine").exists()


@pytest.mark.parametrize("damage", DAMAGE)
async def test_a_damaged_newer_manifest_is_set_aside(
    tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    bucket, manifest, _ = await crashed_bucket(tmp_path)
    damage(manifest)
    damaged = manifest.read_bytes() if manifest.exists() else None
    assert await records_and_table(bucket) == (OLD + NEW, len(OLD))
    if damaged is not None:
        assert (bucket / "quarantine" / manifest.name).read_bytes() == damaged
    assert lance.dataset(bucket / "data.lance").count_rows() == len(OLD + NEW)


@pytest.mark.parametrize("damage", DAMAGE)
async def test_a_newer_version_with_damaged_data_is_set_aside(
    tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    bucket, manifest, data = await crashed_bucket(tmp_path)
    damage(data)
    assert await records_and_table(bucket) == (OLD + NEW, len(OLD))
    assert (bucket / "quarantine" / manifest.name).exists()


@pytest.mark.parametrize("damage", DAMAGE)
async def test_damage_to_the_known_version_is_an_error(
    tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    bucket = tmp_path / "bucket"
    async with PersistingBackend(0, bucket) as backend:
        await backend.put_batch(OLD)
    (manifest,) = (bucket / "data.lance" / "_versions").glob("*.manifest")
    damage(manifest)
    with pytest.raises(StorageError, match="manifest"):
        PersistingBackend(0, bucket)


async def test_a_compaction_by_another_tool_is_kept(tmp_path: Path) -> None:
    bucket = tmp_path / "bucket"
    async with PersistingBackend(0, bucket) as backend:
        for record in OLD:
            await backend.put(record)
            await backend.flush()
    table = lance.dataset(bucket / "data.lance")
    table.optimize.compact_files()
    assert len(lance.dataset(bucket / "data.lance").get_fragments()) == 1
    assert await records_and_table(bucket) == (OLD, len(OLD))
    async with PersistingBackend(0, bucket) as backend:
        await backend.put_batch(NEW)
    assert lance.dataset(bucket / "data.lance").to_table()["id"].to_pylist() == list(range(40))


async def test_a_compaction_while_the_bucket_is_open_is_kept(tmp_path: Path) -> None:
    bucket = tmp_path / "bucket"
    async with PersistingBackend(0, bucket, maintenance=False) as backend:
        for record in OLD:
            await backend.put(record)
            await backend.flush()
        lance.dataset(bucket / "data.lance").optimize.compact_files()
        await backend.put_batch(NEW)
        await backend.flush()
        assert await backend.get() == OLD + NEW
    assert await records_and_table(bucket) == (OLD + NEW, len(OLD + NEW))


async def test_rows_deleted_by_another_tool_are_noticed(tmp_path: Path) -> None:
    bucket = tmp_path / "bucket"
    async with PersistingBackend(0, bucket) as backend:
        await backend.put_batch(OLD)
    lance.dataset(bucket / "data.lance").delete("id = 3")
    assert (await records_and_table(bucket))[0] == OLD  # the version that the checkpoint knows
    assert list((bucket / "quarantine").iterdir())
