"""What the core counts and tells of a bucket with a real Lance table, seen from Python."""

import json
import logging
import os
import subprocess
import sys

import lance
import pytest

from helpers import log_end
from persisting import _core
from persisting.queue import LanceBackend, MemoryBackend, PersistingBackend, SchemaError

READ = """
import json, sys
from persisting import _core
print(json.dumps(_core.read_metrics(sys.argv[1])))
"""

HOLD = """
import asyncio, os, sys
from persisting.queue import PersistingBackend
async def main():
    backend = PersistingBackend(7, sys.argv[1])
    await backend.put_batch([{"id": i} for i in range(12)])
    print("ready", flush=True)
    sys.stdin.read()
    os._exit(0)
asyncio.run(main())
"""


def plain(families):
    """Families of one bucket as `get_metrics` gives them."""
    out = {}
    for family in families:
        [sample] = family["samples"]
        if family["kind"] == "histogram":
            out[family["name"]] = {key: sample[key] for key in ("buckets", "sum", "count")}
            out[family["name"]]["buckets"] = [tuple(each) for each in sample["buckets"]]
        else:
            out[family["name"]] = sample["value"]
    return out


def timeless(metrics):
    return {name: value for name, value in metrics.items() if "lag_seconds" not in name}


def read_elsewhere(folder):
    """What another process reads of the bucket."""
    ran = subprocess.run(
        [sys.executable, "-c", READ, str(folder)], capture_output=True, text=True, check=True
    )
    return json.loads(ran.stdout)


async def test_a_known_run(tmp_path):
    folder = tmp_path / "rollouts" / "bucket_3"
    backend = PersistingBackend(3, folder, enable_metrics=True)
    for i in range(10):
        await backend.put({"id": i})
    await backend.put_batch([{"id": i, "reward": 0.5} for i in range(10, 100)])
    with pytest.raises(SchemaError):
        await backend.put({"id": "text"})
    await backend.flush()
    await backend.put_batch([{"id": i} for i in range(100, 103)])
    assert len(await backend.get(50, 80)) == 23

    metrics = backend.get_metrics()
    dataset = lance.dataset(str(folder / "data.lance"))
    durations = {
        "persisting_put_duration_seconds": 12,
        "persisting_flush_duration_seconds": 1,
        "persisting_wal_sync_duration_seconds": None,
        "persisting_compaction_duration_seconds": 0,
    }
    values = {
        "persisting_records_total": 103,
        "persisting_rejected_records_total": 1,
        "persisting_read_records_total": 23,
        "persisting_buffer_size": 3,
        "persisting_flush_lag_records": 3,
        "persisting_flush_failures_total": 0,
        "persisting_recovered_records_total": 0,
        "persisting_fragments": len(dataset.get_fragments()),
        "persisting_versions": len(dataset.versions()),
        "persisting_compaction_failures_total": 0,
        "persisting_compaction_fragments_merged_total": 0,
        "persisting_compaction_versions_removed_total": 0,
        "persisting_maintenance_bytes_total": 0,
        "persisting_maintenance_running": 0,
        "persisting_maintenance_paused": 0,
        "persisting_schema_changes_total": 2,
        "persisting_poisoned": 0,
    }
    for name, value in values.items():
        assert metrics[name] == value, name
    for name, count in durations.items():
        histogram = metrics[name]
        assert count is None or histogram["count"] == count, name
        assert histogram["buckets"][-1] == (float("inf"), histogram["count"])
        assert (histogram["sum"] > 0) == (histogram["count"] > 0)
    groups = metrics["persisting_group_commit_records"]
    assert (groups["count"], groups["sum"]) == (12, 103)
    assert dict(groups["buckets"])[1.0] == 10
    assert metrics["persisting_wal_sync_duration_seconds"]["count"] >= 12
    log = sum(log_end(each) for each in (folder / "wal").iterdir())
    assert metrics["persisting_wal_size_bytes"] == log
    assert 0 < metrics["persisting_buffer_bytes"] < metrics["persisting_bytes_total"] < log * 100
    assert 0 < metrics["persisting_recovery_duration_seconds"] < 60
    assert 0 < metrics["persisting_flush_lag_seconds"] < 60
    others = {
        "persisting_group_commit_records",
        "persisting_wal_size_bytes",
        "persisting_buffer_bytes",
        "persisting_bytes_total",
        "persisting_recovery_duration_seconds",
        "persisting_flush_lag_seconds",
    }
    assert set(metrics) == {*values, *durations, *others}

    # Every way to look at them agrees.
    families = _core.collect_metrics()
    assert [each["samples"][0]["labels"] for each in families] == [
        {"topic": "rollouts", "bucket": "3"}
    ] * len(families)
    stats = await backend.stats()
    elsewhere = read_elsewhere(folder)
    for other in (plain(families), stats["metrics"], plain(elsewhere)):
        assert timeless(other) == timeless(metrics)
    assert stats["total_count"] == metrics["persisting_records_total"]
    assert stats["buffer_count"] == metrics["persisting_flush_lag_records"]
    assert stats["wal_size"] == metrics["persisting_wal_size_bytes"]
    assert stats["rejected"] == metrics["persisting_rejected_records_total"]
    await backend.close()
    assert not _core.collect_metrics()[0]["samples"]
    assert read_elsewhere(folder) is None


@pytest.mark.parametrize("backend_class", [MemoryBackend, LanceBackend, PersistingBackend])
async def test_every_backend_exports_when_asked(backend_class, tmp_path):
    folder = tmp_path / "topic" / "bucket_0"
    backend = backend_class(0, folder, enable_metrics=True)
    await backend.put_batch([{"id": 1}, {"id": 2}])
    by_name = {family["name"]: family for family in _core.collect_metrics()}
    [sample] = by_name["persisting_records_total"]["samples"]
    assert sample == {"labels": {"topic": "topic", "bucket": "0"}, "value": 2.0}
    await backend.close()
    other = backend_class(0, tmp_path / "other" / "bucket_0")
    assert not _core.collect_metrics()[0]["samples"]
    assert "metrics" not in await other.stats()
    await other.close()


def test_metrics_of_a_bucket_that_another_process_has(tmp_path):
    """Without the option too: they are always counted."""
    folder = tmp_path / "t" / "bucket_7"
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert holder.stdout.readline() == "ready\n"
        metrics = plain(_core.read_metrics(str(folder)))
        assert metrics["persisting_records_total"] == 12
        assert metrics["persisting_group_commit_records"]["count"] == 1
        assert metrics["persisting_put_duration_seconds"]["count"] == 0  # no clock was read
    finally:
        holder.kill()
        holder.wait()
        holder.stdin.close()
        holder.stdout.close()
    assert _core.read_metrics(str(folder)) is None


def test_no_bucket_has_no_metrics(tmp_path):
    with pytest.raises(ValueError, match="no bucket's folder"):
        _core.read_metrics(str(tmp_path))


@pytest.mark.filterwarnings("ignore:lance is not fork-safe")
def test_a_forked_child_exports_none_of_its_parents_buckets(tmp_path):
    backend = PersistingBackend(0, tmp_path / "t" / "bucket_0", enable_metrics=True).sync()
    backend.put({"id": 1})
    child = os.fork()
    if child == 0:
        os._exit(len(_core.collect_metrics()[0]["samples"]))
    assert os.waitpid(child, 0)[1] == 0
    assert plain(_core.collect_metrics())["persisting_records_total"] == 1
    backend.close()


async def test_events_reach_the_log_with_topic_and_bucket(tmp_path, caplog):
    caplog.set_level(logging.DEBUG, "persisting")
    folder = tmp_path / "rollouts" / "bucket_5"
    async with PersistingBackend(5, folder, slow_flush=0) as backend:
        await backend.put({"id": 1})
        await backend.flush()
    told = {record.event: record for record in caplog.records if record.name == "persisting"}
    assert {"recovery", "schema_change", "flush", "slow_flush"} <= set(told)
    for record in told.values():
        assert (record.topic, record.bucket) == ("rollouts", 5)
        assert str(folder) in record.message
    assert told["slow_flush"].levelno == logging.WARNING
    assert told["slow_flush"].fields["records"] == 1
    assert told["slow_flush"].fields["duration_seconds"] > 0
    assert told["recovery"].levelno == told["flush"].levelno == logging.DEBUG


async def test_bad_option(tmp_path):
    with pytest.raises(TypeError, match="'enable_metrics' must be bool, not str"):
        MemoryBackend(0, tmp_path, enable_metrics="yes")
    with pytest.raises(TypeError, match=r"'slow_flush' must be a number of seconds .*, not str"):
        PersistingBackend(0, tmp_path / "b", slow_flush="5")


async def test_a_record_that_waits_for_its_flush_grows_older(tmp_path):
    async with PersistingBackend(0, tmp_path / "t" / "bucket_0") as backend:
        await backend.put({"id": 1})
        lags = [backend.get_metrics()["persisting_flush_lag_seconds"] for _ in range(1000)]
        assert 0 <= lags[0] < lags[-1]


async def test_memory_does_not_lag_behind_a_table(tmp_path):
    async with MemoryBackend(0, tmp_path / "t" / "bucket_0") as backend:
        await backend.put_batch([{"id": 0}, {"id": 1}])
        metrics = backend.get_metrics()
    assert metrics["persisting_buffer_size"] == 2
    assert metrics["persisting_flush_lag_records"] == metrics["persisting_flush_lag_seconds"] == 0


async def test_a_compaction_is_counted_and_told(tmp_path, caplog):
    caplog.set_level(logging.INFO, "persisting")
    folder = tmp_path / "rollouts" / "bucket_0"
    async with PersistingBackend(0, folder) as backend:
        for i in range(5):
            await backend.put({"id": i})
            await backend.flush()
        report = await backend.compact()
        metrics = backend.get_metrics()
    assert metrics["persisting_compaction_duration_seconds"]["count"] == 1
    assert metrics["persisting_compaction_duration_seconds"]["sum"] == pytest.approx(
        report["duration_seconds"]
    )
    assert metrics["persisting_compaction_fragments_merged_total"] == 4
    assert metrics["persisting_compaction_versions_removed_total"] == report["versions_removed"] > 4
    dataset = lance.dataset(str(folder / "data.lance"))
    assert metrics["persisting_fragments"] == len(dataset.get_fragments()) == 1
    assert metrics["persisting_versions"] == len(dataset.versions())
    [told] = [record for record in caplog.records if getattr(record, "event", "") == "compaction"]
    assert (told.topic, told.bucket, told.levelno) == ("rollouts", 0, logging.INFO)
    assert told.fields["fragments_before"] == 5
    assert told.fields["duration_seconds"] == pytest.approx(report["duration_seconds"])
