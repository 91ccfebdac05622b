"""What earlier releases wrote opens: buckets kept in tests/golden, with the records they hold."""

import sys
import tarfile
from pathlib import Path

import pytest

import persisting
from helpers import same_records, table_rows, without_system_columns
from persisting.queue import PersistingBackend

sys.path.insert(0, str(Path(__file__).parent.parent / "golden"))

import records_v1

GOLDEN = Path(records_v1.__file__).parent


@pytest.fixture
def bucket_v1(tmp_path):
    """A copy of the bucket of format version 1, as its writer's death left it."""
    folder = tmp_path / "bucket_0"
    with tarfile.open(GOLDEN / "bucket-v1.tar.gz") as archive:
        archive.extractall(folder, filter="data")
    return folder


def test_a_bucket_of_version_1(bucket_v1):
    records = records_v1.expected()
    with PersistingBackend(0, bucket_v1, flush_interval=0).sync() as bucket:
        assert bucket.stats()["persisted_count"] == records_v1.FLUSHED
        assert same_records(bucket.get(), records)
        records.append({"id": records_v1.COUNT, "added": "by a later library"})
        bucket.put(records[-1])
        assert same_records(bucket.get(), records)
    with PersistingBackend(0, bucket_v1).sync() as bucket:  # closing has flushed it
        assert bucket.stats()["persisted_count"] == len(records)
        assert same_records(bucket.get(), records)
    assert [row["id"] for row in table_rows(bucket_v1)] == list(range(len(records)))


def test_pylance_reads_the_table_of_version_1(bucket_v1):
    rows = table_rows(bucket_v1)
    assert [row["_offset"] for row in rows] == list(range(records_v1.FLUSHED))
    assert all(row["_ts"].tzinfo is not None for row in rows)
    rows = without_system_columns(rows)
    assert same_records(rows, records_v1.in_table())
    assert not {"nothing", "only_in_log", "decided_in_log"} & rows[0].keys()


def test_verify_and_repair_read_a_bucket_of_version_1(bucket_v1, tmp_path):
    [report] = persisting.verify(bucket_v1)
    assert report.whole
    assert report.findings == []
    assert report.records == records_v1.COUNT
    repaired = tmp_path / "repaired"
    assert persisting.repair(bucket_v1, repaired).lost == []
    with PersistingBackend(0, repaired).sync() as bucket:
        assert same_records(bucket.get(), records_v1.expected())
