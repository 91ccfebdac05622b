"""What becomes of records that differ from those before them, rule by rule."""

import datetime as dt

import lance
import numpy as np
import pytest

import evolution_table
from evolution_table import (
    ADDED,
    BEGIN,
    CASES,
    PAGE,
    REWRITTEN,
    in_page,
    markdown,
    records,
)
from helpers import (
    PROGRAMS,
    check_pylance,
    ends_by_kill,
    exactly,
    history,
    opened,
    types_of,
    values,
)
from persisting.queue import (
    LanceBackend,
    MemoryBackend,
    PersistingBackend,
    SchemaError,
)

UTC = dt.UTC
BACKENDS = pytest.mark.parametrize("backend", [MemoryBackend, LanceBackend, PersistingBackend])
DURABLE = pytest.mark.parametrize("backend", [LanceBackend, PersistingBackend])


@pytest.fixture
def folder(memory_folder):
    """Where a bucket goes."""
    return memory_folder / "bucket_0"


def test_the_documentations_table_is_that_of_the_rules():
    page = PAGE.read_text()
    assert BEGIN in page
    assert in_page(page) == markdown(), f"run python {evolution_table.__file__}"


def check_case(case, bucket):
    if case.refused is not None:
        before, _ = records(case)
        assert exactly(bucket.get()) == exactly([each | {} for each in before])
        return
    assert bucket.total_count() == len(case.reads)
    assert exactly(values(bucket)) == exactly(case.reads)
    assert types_of(bucket)["f"] == case.type


def put_case(case, bucket, between=lambda: None):
    before, brings = records(case)
    bucket.put_batch(before)
    between()
    if case.refused is None:
        bucket.put_batch(brings)
        return
    known = bucket.schema(), bucket.schema_history()
    with pytest.raises(SchemaError, match=case.refused) as caught:
        bucket.put_batch(brings)
    assert "record " in str(caught.value)
    assert (bucket.schema(), bucket.schema_history()) == known


@pytest.mark.parametrize(("rule", "case"), CASES, ids=range(len(CASES)))
def test_a_rule(folder, rule, case):
    with MemoryBackend(0).sync() as bucket:
        put_case(case, bucket)
        check_case(case, bucket)
    with opened(folder / "lance", LanceBackend) as bucket:
        put_case(case, bucket)
        check_case(case, bucket)
        bucket.flush()
        check_case(case, bucket)
    with opened(folder / "both") as bucket:
        put_case(case, bucket, bucket.flush)
        check_case(case, bucket)
        files = {path.name for path in (folder / "both" / "data.lance" / "data").iterdir()}
        before = lance.dataset(str(folder / "both" / "data.lance"))
        bucket.flush()
        check_case(case, bucket)
        now = lance.dataset(str(folder / "both" / "data.lance"))
        used = {file.path for part in now.get_fragments() for file in part.data_files()}
        assert files.isdisjoint(used) == (rule.table == REWRITTEN and case.refused is None)
        assert (before.schema != now.schema) == (
            case.refused is None and (rule.table == ADDED or is_another_column(case))
        )
        check_pylance(folder / "both", bucket)
        changes = bucket.schema_history()
    for backend in (PersistingBackend, LanceBackend):
        with opened(folder / "both", backend) as bucket:
            check_case(case, bucket)
            assert bucket.schema_history() == changes


def is_another_column(case):
    """Whether the field's type is another one than after the records before."""
    with MemoryBackend(0).sync() as bucket:
        bucket.put_batch(records(case)[0])
        kind = types_of(bucket).get("f", "undecided")
    return kind != case.type and case.type != "undecided"


@pytest.mark.parametrize("before_the_kill", ["logged", "flushed"])
def test_the_rules_after_a_kill(memory_folder, before_the_kill):
    ends_by_kill(PROGRAMS / "evolution_kill.py", memory_folder, before_the_kill, timeout=100)
    for number, (_, case) in enumerate(CASES):
        folder = memory_folder / str(number)
        with opened(folder) as bucket:
            check_case(case, bucket)
            bucket.flush()
            check_case(case, bucket)
            check_pylance(folder, bucket)


@BACKENDS
def test_what_grows_within_one_batch(folder, backend):
    with opened(folder, backend) as bucket:
        bucket.put_batch([{"f": None}, {"f": np.int8(1)}, {"f": 2**40}, {"f": 0.5, "g": []}])
        bucket.put_batch([{"g": [{"a": np.float32(1)}]}, {"g": [{"b": True}]}])
        for _ in range(2):
            assert exactly(values(bucket)) == exactly([None, 1.0, 2.0**40, 0.5, None, None])
            assert exactly(values(bucket, "g")[3:]) == exactly(
                [[], [{"a": np.float32(1), "b": None}], [{"a": None, "b": True}]]
            )
            bucket.flush()
        assert [change[:3] for change in history(bucket)] == [
            (0, "added", "f"),
            (1, "decided", "f"),
            (2, "widened", "f"),
            (3, "widened", "f"),
            (3, "added", "g"),
            (4, "decided", "g[]"),
            (5, "added", "g[].b"),
        ]


@BACKENDS
def test_a_batch_that_is_refused_leaves_nothing(folder, backend):
    with opened(folder, backend) as bucket:
        bucket.put({"f": 1})
        with pytest.raises(SchemaError, match=r"record 2 of the batch \(offset 3\): field 'f'"):
            bucket.put_batch([{"f": 0.5}, {"new": 1}, {"f": "x"}])
        assert bucket.get() == [{"f": 1}]
        assert types_of(bucket) == {"f": "int64"}
        assert bucket.stats()["rejected"] == 3
        bucket.put({"new": "text"})  # its type was not decided


@pytest.mark.parametrize(
    ("held", "given"),
    [(1, np.uint64(2**60)), (np.uint64(1), 2**60), (np.uint64(1), np.int64(2**60))],
)
def test_large_integers_of_64_bits_and_either_sign(held, given):
    with MemoryBackend(0).sync() as bucket:
        bucket.put({"f": held})
        bucket.put({"f": given})
        assert values(bucket) == [held, given]
