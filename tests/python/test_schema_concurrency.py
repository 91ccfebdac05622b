"""Schemas that change under producers and readers: nothing is lost, doubled, reordered or mixed."""

import asyncio
import threading

import numpy as np
import pyarrow as pa
import pytest

from helpers import check_pylance, types_of
from persisting.queue import PersistingBackend

CHANGES = 100
PRODUCERS = 4
OPTIONS = {"flush_threshold": 50, "wal_sync_interval": 0}

# Producer `p` puts records with its name, a number that counts up, the number once more in `wide`
# (of ever wider types) and a few other fields.


def record(producer, number):
    made = {"producer": producer, "number": number}
    kinds = [np.int8, np.int16, np.int32, int, float]
    made["wide"] = kinds[min(number // 12, len(kinds) - 1)](number % 120)
    if number % 3 == 0:
        made["temporary"] = number
    if number % 5 == 0:
        made["list"] = [] if number < 30 else [number]
    if number % 7 == 0:
        made["struct"] = {f"m{number % 4}": number}
    return made


def arrow(records):
    return pa.table(
        {
            "producer": [each["producer"] for each in records],
            "number": pa.array([each["number"] for each in records], pa.int32()),
            "wide": [float(each["wide"]) for each in records],
        }
    )


class Progress:
    """What producers have done, so that the changes spread over their work."""

    def __init__(self):
        self.stopping = False
        self.acknowledged = [0] * PRODUCERS

    def batches(self, producer):
        """Batches to put, until the changes are done."""
        number = 0
        while not self.stopping or number < 60:
            count = 1 + number % 3
            records = [record(producer, number + i) for i in range(count)]
            yield records
            number += count
            self.acknowledged[producer] = number


def changes():
    """Names for the changes: (method, arguments), over again."""
    for turn in range(CHANGES):
        kind = turn % 4
        if kind == 0:
            yield "put", ({"producer": -1, "number": turn // 4, f"new{turn}": turn},)
        elif kind == 1:
            yield "rename_field", (f"new{turn - 1}", f"old{turn - 1}")
        elif kind == 2:
            yield "drop_field", ("temporary",)
        else:
            yield "drop_field", (f"old{turn - 3}",)


def check_page(page):
    """All of a page has one schema: the same fields, and one type in each."""
    assert len({tuple(each) for each in page}) == 1
    for name in page[0]:
        kinds = {type(each[name]) for each in page if each[name] is not None}
        assert len(kinds) <= 1, (name, kinds)


def check_all(records, acknowledged):
    for producer in range(PRODUCERS):
        mine = [each for each in records if each["producer"] == producer]
        assert [each["number"] for each in mine] == list(range(acknowledged[producer]))
        for each in mine:
            put = record(producer, each["number"])
            # A record put as Arrow data has these fields alone.
            assert each["wide"] == put["wide"]
            for name in ("temporary", "list"):
                assert each.get(name) in (None, put.get(name))
            struct = each.get("struct")
            if struct is not None:
                assert {k: v for k, v in struct.items() if v is not None} == put["struct"]
    changed = [each["number"] for each in records if each["producer"] == -1]
    assert changed == list(range(CHANGES // 4))


def check_at_the_end(folder, acknowledged):
    with PersistingBackend(0, folder).sync() as bucket:
        records = bucket.get()
        check_page(records)
        check_all(records, acknowledged)
        assert len(records) == sum(acknowledged) + CHANGES // 4
        known = types_of(bucket)
        assert known["wide"] == "double"
        assert not [name for name in known if name.startswith(("new", "old"))]
        counts = {}
        for change in bucket.schema_history():
            counts[change["change"]] = counts.get(change["change"], 0) + 1
        assert counts["renamed"] == CHANGES // 4
        assert counts["dropped"] >= CHANGES // 4
        offsets = [change["offset"] for change in bucket.schema_history()]
        assert offsets == sorted(offsets)
        bucket.flush()
        check_pylance(folder, bucket)


@pytest.mark.slow
def test_threads(tmp_path):
    folder = tmp_path / "bucket_0"
    progress = Progress()
    failures = []
    with PersistingBackend(0, folder, **OPTIONS).sync() as bucket:

        def guarded(work, *arguments):
            try:
                work(*arguments)
            except BaseException as error:
                failures.append(error)
                raise

        def produce(producer):
            for turn, records in enumerate(progress.batches(producer)):
                if turn % 4 == 0:
                    bucket.put_batch(arrow(records))
                elif len(records) == 1:
                    bucket.put(records[0])
                else:
                    bucket.put_batch(records)

        def read(reads_arrow):
            position = 0
            while not progress.stopping:
                position = position if position < bucket.total_count() else 0
                page = bucket.get(100, position)
                if reads_arrow:
                    table = bucket.get_arrow(100, position)
                    table.validate(full=True)
                    assert table.num_rows >= len(page)
                if page:
                    check_page(page)
                position += len(page)

        producers = [threading.Thread(target=guarded, args=(produce, i)) for i in range(PRODUCERS)]
        readers = [threading.Thread(target=guarded, args=(read, i == 1)) for i in range(2)]
        for thread in [*producers, *readers]:
            thread.start()
        try:
            for method, arguments in changes():
                apply_change(bucket, method, arguments)
        finally:
            progress.stopping = True
            for thread in [*producers, *readers]:
                thread.join()
    assert not failures
    check_at_the_end(folder, progress.acknowledged)


def apply_change(bucket, method, arguments):
    try:
        getattr(bucket, method)(*arguments)
    except ValueError:
        # Nobody has put it again since it was dropped.
        assert arguments == ("temporary",)


@pytest.mark.slow
async def test_tasks(tmp_path):
    folder = tmp_path / "bucket_0"
    progress = Progress()
    async with PersistingBackend(0, folder, **OPTIONS) as bucket:

        async def produce(producer):
            for turn, records in enumerate(progress.batches(producer)):
                if turn % 4 == 0:
                    await bucket.put_batch(arrow(records))
                elif len(records) == 1:
                    await bucket.put(records[0])
                else:
                    await bucket.put_batch(records)

        async def read():
            seen = -1
            while not progress.stopping:
                numbers = [0] * PRODUCERS
                async for page in bucket.get_stream():
                    check_page(page)
                    for each in page:
                        if each["producer"] >= 0:
                            assert each["number"] == numbers[each["producer"]]
                            numbers[each["producer"]] += 1
                assert sum(numbers) >= seen
                seen = sum(numbers)
                await asyncio.sleep(0)

        async def change():
            try:
                for method, arguments in changes():
                    try:
                        await getattr(bucket, method)(*arguments)
                    except ValueError:
                        assert arguments == ("temporary",)
            finally:
                progress.stopping = True

        await asyncio.gather(change(), read(), read(), *(produce(i) for i in range(PRODUCERS)))
    check_at_the_end(folder, progress.acknowledged)
