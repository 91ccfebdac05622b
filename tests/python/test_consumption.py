"""Consumption by tasks: as Pulsing 0.1.2's memory backend and bucket actor together."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers import ids
from persisting._core import FieldRuns
from persisting.queue import MemoryBackend, PersistingBackend
from persisting.queue.consumption import ConsumedOffsets

FIELD_SETS = [("a",), ("a", "b"), ("b", "_private"), ("a", "b", "c")]


@given(
    recovered=st.integers(0, 5),
    puts=st.lists(st.tuples(st.integers(0, 3), st.integers(1, 4), st.booleans()), max_size=20),
    order=st.randoms(use_true_random=False),
    fields=st.sets(st.sampled_from(["a", "b", "c", "_private", "d"]), max_size=3),
    low=st.integers(0, 30),
    bound=st.integers(0, 60),
)
def test_runs_against_a_list(recovered, puts, order, fields, low, bound):
    runs = FieldRuns(recovered)
    model = [None] * recovered
    noted = []
    for shape, count, ours in puts:
        names = FIELD_SETS[shape]
        if ours:
            noted.append((len(model), shape, count))
        model += [names if ours else None] * count
    # Neighbours may be noted in the other order.
    for i in range(0, len(noted) - 1, 2):
        if order.random() < 0.3:
            noted[i], noted[i + 1] = noted[i + 1], noted[i]
    for first, shape, count in noted:
        record = dict.fromkeys(FIELD_SETS[shape])
        if count == 1:
            runs.note(first, record)
        else:
            told = order.random() < 0.5
            runs.note_batch(first, [record] * count, shape + 1 if told else 0)
    bound = min(bound, len(model))
    expected = [
        offset
        for offset in range(low, bound)
        if not any(field.startswith("_") for field in fields)
        and (model[offset] is None or fields <= set(model[offset]))
    ]
    assert [
        offset for run in runs.ready(list(fields), low, bound) for offset in range(*run)
    ] == expected


def test_many_records_of_one_kind_are_one_run():
    runs = FieldRuns(0)
    for offset in range(1000):
        runs.note(offset, {"a": 1, "b": 2})
    runs.note_batch(1000, [{"a": 1, "b": 2}] * 1000)
    assert runs.ready(["a"], 0, 2000) == [(0, 2000)]


@given(st.lists(st.integers(0, 30)))
def test_consumed_offsets_against_a_set(offsets):
    consumed = ConsumedOffsets()
    for offset in offsets:
        consumed.add([offset])
    assert [offset in consumed for offset in range(32)] == [
        offset in set(offsets) for offset in range(32)
    ]


def test_a_task_that_reads_in_order_keeps_only_a_watermark():
    consumed = ConsumedOffsets()
    for offset in range(1000):
        consumed.add([offset])
    assert consumed.low == 1000
    assert not consumed._above


@pytest.fixture
async def backend(storage):
    async with MemoryBackend(0) as backend:
        yield backend


async def chosen(backend, *fields, size=100, task="t", **kwargs):
    meta = await backend.get_meta(list(fields), size, task, **kwargs)
    assert [sample["global_index"] for sample in meta["samples"]] == meta["global_indexes"]
    return meta["global_indexes"]


async def test_the_answers_shape(backend):
    await backend.put({"prompt": "p"})
    assert await backend.get_meta(
        fields=["prompt"], batch_size=1, task_name="t", partition_id="x"
    ) == {
        "samples": [
            {
                "partition_id": "x",
                "global_index": 0,
                "fields": {
                    "prompt": {
                        "name": "prompt",
                        "dtype": None,
                        "shape": None,
                        "production_status": "ready",
                    }
                },
            }
        ],
        "global_indexes": [0],
    }


async def test_only_records_with_all_fields_are_ready(backend):
    await backend.put_batch([{"a": 1}, {"a": 1, "b": 2}, {"b": 2}, {"a": None, "b": None}])
    assert await chosen(backend, "a", "b") == [1, 3]
    assert await chosen(backend, "a", task="u") == [0, 1, 3]
    assert await chosen(backend, task="v") == [0, 1, 2, 3]
    assert await chosen(backend, "c", task="w") == []


async def test_a_record_changed_before_its_acknowledgement_tells_nothing_of_later_ones(tmp_path):
    async with PersistingBackend(0, tmp_path / "bucket") as backend:
        await backend.put({"a": 0})
        batch = [{"a": 1}]
        put = asyncio.create_task(backend.put_batch(batch))
        await asyncio.sleep(0)  # its put has begun
        batch[0]["b"] = 1
        await put
        await backend.put_batch([{"a": 2}])
        await backend.put_batch([{"a": 3}])
        assert not {2, 3} & set(await chosen(backend, "b"))


async def test_names_with_an_underscore_are_never_ready(backend):
    await backend.put({"a": 1, "_secret": 2})
    assert await chosen(backend, "_secret") == []
    assert await chosen(backend, "a", "_secret") == []


async def test_each_task_gets_each_record_once(backend):
    await backend.put_batch([{"a": i} for i in range(5)])
    assert await chosen(backend, "a", size=2) == [0, 1]
    assert await chosen(backend, "a", size=2) == [2, 3]
    assert await chosen(backend, "a", size=2) == [4]
    assert await chosen(backend, "a", size=2) == []
    assert await chosen(backend, "a", size=2, task="other") == [0, 1]


async def test_a_sampler_chooses_and_marks(backend):
    await backend.put_batch([{"a": i} for i in range(6)])

    class Last:
        def sample(self, ready, batch_size, *, mark):
            assert isinstance(ready, list)
            return ready[-batch_size:], ready[-batch_size:] if mark else []

    assert await chosen(backend, "a", size=2, sampler=Last(), mark=False) == [4, 5]
    assert await chosen(backend, "a", size=2, sampler=Last(), mark=True) == [4, 5]
    assert await chosen(backend, "a", size=2, sampler=Last(), mark=True) == [2, 3]


async def test_mark_and_reset(backend):
    await backend.put_batch([{"a": i} for i in range(4)])
    await backend.mark_consumed("t", [0, 2, 9])
    assert await chosen(backend, "a") == [1, 3]
    await backend.reset_consumption("t")
    assert await chosen(backend, "a") == [0, 1, 2, 3]
    with pytest.raises(ValueError, match="global index"):
        await backend.mark_consumed("t", [-1])


async def test_get_data_and_get_by_indices(backend):
    await backend.put_batch([{"id": i, "b": -i} for i in range(5)])
    meta = await backend.get_meta(["id"], 3)
    assert await backend.get_data(meta) == [{"id": i, "b": -i} for i in range(3)]
    assert await backend.get_data(meta, fields=["b"]) == [{"b": 0}, {"b": -1}, {"b": -2}]
    assert await backend.get_data({"samples": meta["samples"]}, ["id"]) == [
        {"id": i} for i in range(3)
    ]

    class Meta:
        global_indexes = (4, 1)

    assert ids(await backend.get_data(Meta())) == [4, 1]
    assert ids(await backend.get_by_indices([3, 0, 1, 2, 2, 77, -1])) == [3, 0, 1, 2, 2]
    assert await backend.get_by_indices([]) == []


async def test_put_tensor(backend):
    assert await backend.put_tensor({"id": 0}, partition_id="p") == {"size": 1}
    assert await backend.put_tensor([{"id": 1}, {"id": 2}]) == {"size": 2}
    assert ids(await backend.get(9, 0)) == [0, 1, 2]
    assert await chosen(backend, "id") == [0, 1, 2]
    with pytest.raises(TypeError, match="int"):
        await backend.put_tensor(3)


async def test_concurrent_puts_keep_their_own_fields(storage):
    async with PersistingBackend(0, str(storage / "bucket_0")) as backend:
        shapes = [
            {"id": i, **({"even": True} if i % 2 == 0 else {"odd": True})} for i in range(100)
        ]
        await asyncio.gather(*(backend.put(shape) for shape in shapes))
        even = await chosen(backend, "even", size=1000)
        assert [record["id"] % 2 for record in await backend.get_by_indices(even)] == [0] * 50
        assert len(await chosen(backend, "odd", size=1000, task="u")) == 50


async def test_a_record_is_not_ready_before_its_fields_are_known(storage):
    async with PersistingBackend(0, str(storage / "bucket_0")) as backend:
        for _ in range(100):
            putting = asyncio.create_task(backend.put({"a": 1}))
            while not putting.done():
                assert await chosen(backend, "b") == []
                await asyncio.sleep(0)


async def test_recovered_records_are_ready_with_every_field(storage):
    folder = str(storage / "bucket_0")
    async with PersistingBackend(0, folder) as backend:
        await backend.put({"a": 1})
        assert await chosen(backend, "a") == [0]
    async with PersistingBackend(0, folder) as backend:
        await backend.put({"b": 1})
        assert await chosen(backend, "a") == [0]
        assert await chosen(backend, "b", task="u") == [0, 1]


async def test_the_blocking_view_notes_fields_too(backend):
    backend.sync().put({"a": 1})
    backend.sync().put_batch([{"b": 1}, {"a": 1}])
    assert await chosen(backend, "a") == [0, 2]
