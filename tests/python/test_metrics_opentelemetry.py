"""persisting.metrics and the OpenTelemetry SDK: metrics as they are collected, and spans."""

import asyncio
import logging
import time

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode
from prometheus_client import CollectorRegistry

from cluster import eventually
from metric_families import LABELS, families
from persisting import SchemaError, _logging, metrics
from persisting._logging import CoreEvent
from persisting.metrics._opentelemetry import Instruments
from persisting.metrics._tracing import on_event
from persisting.queue import MemoryBackend, PersistingBackend, write_queue
from persisting.queue.backends import NativeStorage
from persisting.queue.sync import SyncBackend


def collected(reader):
    """Every point of a collection: name and attributes to value."""
    data = reader.get_metrics_data()
    return {
        (metric.name, *sorted(point.attributes.items())): point.value
        for resource in (data.resource_metrics if data else [])
        for scope in resource.scope_metrics
        for metric in scope.metrics
        for point in metric.data.data_points
    }


@pytest.fixture
def reader():
    return InMemoryMetricReader()


@pytest.fixture
def meters(reader):
    provider = MeterProvider([reader])
    yield provider
    provider.shutdown()


@pytest.fixture
def spans():
    """The finished spans, by way of `get_finished_spans`."""
    return InMemorySpanExporter()


@pytest.fixture
def tracers(spans):
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    yield provider
    provider.shutdown()


@pytest.fixture
def enabled(meters, tracers):
    metrics.enable_opentelemetry(meters, tracers)
    yield
    metrics.disable_opentelemetry()


def named(spans, name):
    return [span for span in spans.get_finished_spans() if span.name == name]


class TestMetrics:
    def test_every_value_is_collected(self, reader, meters):
        Instruments(meters.get_meter("test"), families)
        first, second = (tuple(sorted(labels.items())) for labels in LABELS)
        bounds = {"0.00025": 1, "0.001": 3, "1.0": 3, "+Inf": 4}
        assert collected(reader) == {
            ("persisting_records", *first): 12,
            ("persisting_records", *second): 0,
            ("persisting_wal_size_bytes", *first): 1e6,
            ("persisting_wal_size_bytes", *second): 64,
            ("persisting_poisoned", *second): 1,
            **{
                ("persisting_put_duration_seconds.bucket", *sorted((*first, ("le", le)))): count
                for le, count in bounds.items()
            },
            ("persisting_put_duration_seconds.count", *first): 4,
            ("persisting_put_duration_seconds.sum", *first): 2.5,
        }

    def test_kinds_units_and_descriptions(self, reader, meters):
        Instruments(meters.get_meter("test"), families)
        [resource] = reader.get_metrics_data().resource_metrics
        [scope] = resource.scope_metrics
        found = {
            each.name: (type(each.data).__name__, each.unit, each.description)
            for each in scope.metrics
        }
        about_put = "From the call to the acknowledgement."
        assert found == {
            "persisting_records": ("Sum", "{record}", "Records acknowledged."),
            "persisting_wal_size_bytes": ("Gauge", "By", "Size of the log."),
            "persisting_poisoned": ("Gauge", "1", "Whether puts are refused."),
            "persisting_put_duration_seconds.sum": ("Sum", "s", about_put),
            "persisting_put_duration_seconds.count": ("Sum", "1", about_put),
            "persisting_put_duration_seconds.bucket": ("Sum", "1", about_put),
        }
        assert all(
            each.data.is_monotonic for each in scope.metrics if type(each.data).__name__ == "Sum"
        )

    def test_each_collection_reads_the_core_once(self, reader, meters):
        reads = []

        def collect():
            reads.append(len(reads))
            current = families()
            for family in current:
                for sample in family["samples"]:
                    sample["value"] = float(len(reads))
            return current

        Instruments(meters.get_meter("test"), collect)
        for expected in (2, 3, 4):  # 1: to make the instruments
            points = collected(reader)
            values = {v for name, v in points.items() if "put_duration" not in name[0]}
            assert values == {expected}

    @pytest.mark.usefixtures("enabled")
    async def test_of_real_buckets(self, reader, tmp_path):
        async with PersistingBackend(4, tmp_path / "traced" / "bucket_4") as backend:
            await backend.put_batch([{"id": i} for i in range(9)])
            labels = (("bucket", "4"), ("topic", "traced"))
            assert collected(reader)["persisting_records", *labels] == 9
            await backend.put({"id": 9})
            points = collected(reader)
            assert points["persisting_records", *labels] == 10
            assert points["persisting_put_duration_seconds.count", *labels] == 2

    def test_off_and_on_again(self, reader, meters, tracers, tmp_path):
        with PersistingBackend(0, tmp_path / "traced" / "bucket_0").sync() as backend:
            metrics.enable_opentelemetry(meters, tracers)
            backend.put({"id": 0})
            metrics.disable_opentelemetry()
            assert collected(reader) == {}
            metrics.enable_opentelemetry(meters, tracers)
            try:
                points = collected(reader)
            finally:
                metrics.disable_opentelemetry()
            assert points["persisting_records", ("bucket", "0"), ("topic", "traced")] == 1
            assert backend.stats().get("metrics") is None

    def test_off_it_is_silent_of_buckets_that_stay_exported(self, reader, meters, tracers):
        with MemoryBackend(0, enable_metrics=True).sync() as backend:
            metrics.enable_opentelemetry(meters, tracers)
            backend.put({"id": 0})
            assert collected(reader) != {}
            metrics.disable_opentelemetry()
            assert collected(reader) == {}

    @pytest.mark.usefixtures("enabled")
    def test_prometheus_is_switched_apart(self, reader):
        with MemoryBackend(0).sync() as backend:
            backend.put({"id": 0})
            metrics.enable(CollectorRegistry())
            metrics.disable()
            assert collected(reader) != {}


class TestPutSpans:
    @pytest.mark.usefixtures("enabled")
    async def test_put_and_put_batch(self, spans):
        backend = MemoryBackend(2)
        await backend.put({"id": 0})
        await backend.put_batch([{"id": 1}, {"id": 2}])
        await backend.put(record={"id": 3})
        found = [
            (each.name, each.kind, dict(each.attributes)) for each in spans.get_finished_spans()
        ]
        expected = [("put", 1), ("put_batch", 2), ("put", 1)]
        assert found == [
            (
                f"persisting.{name}",
                SpanKind.PRODUCER,
                {
                    "persisting.bucket": 2,
                    "persisting.storage_path": "",
                    "persisting.records": count,
                },
            )
            for name, count in expected
        ]

    @pytest.mark.usefixtures("enabled")
    async def test_they_are_in_the_callers_trace(self, spans, tracers, storage):
        async with await write_queue(None, "traced", num_buckets=2, storage_path=storage) as writer:
            with tracers.get_tracer("test").start_as_current_span("outer") as outer:
                await writer.put([{"id": i} for i in range(10)])
        puts = named(spans, "persisting.put_batch")
        assert sum(span.attributes["persisting.records"] for span in puts) == 10
        assert {span.parent.span_id for span in puts} == {outer.get_span_context().span_id}

    @pytest.mark.usefixtures("enabled")
    async def test_an_error_is_in_the_span_and_comes_through(self, spans):
        backend = MemoryBackend(0)
        await backend.put({"id": 0})
        with pytest.raises(SchemaError):
            await backend.put({"id": "text"})
        [good, bad] = named(spans, "persisting.put")
        assert good.status.status_code is StatusCode.UNSET
        assert bad.status.status_code is StatusCode.ERROR
        assert [event.name for event in bad.events] == ["exception"]

    @pytest.mark.usefixtures("enabled")
    def test_blocking_puts(self, spans):
        backend = MemoryBackend(1).sync()
        backend.put({"id": 0})
        backend.put_batch([{"id": 1}])
        names = [span.name for span in spans.get_finished_spans()]
        assert names == ["persisting.put", "persisting.put_batch"]

    @pytest.mark.pulsing
    async def test_of_actors_made_before(self, spans, meters, tracers, system, storage):
        async with await write_queue(
            system, "traced", num_buckets=1, storage_path=storage
        ) as writer:
            await writer.put({"id": 0})
            metrics.enable_opentelemetry(meters, tracers)
            try:
                await writer.put({"id": 1})
            finally:
                metrics.disable_opentelemetry()
            await writer.put({"id": 2})
        assert len(named(spans, "persisting.put")) == 1

    async def test_off_nothing_is_wrapped(self, meters, tracers, spans):
        classes = (NativeStorage, SyncBackend)
        before = [(each.put, each.put_batch) for each in classes]
        listening = list(_logging.listeners)
        metrics.enable_opentelemetry(meters, tracers)
        metrics.enable_opentelemetry(meters, tracers)
        metrics.disable_opentelemetry()
        assert [(each.put, each.put_batch) for each in classes] == before
        assert _logging.listeners == listening
        await MemoryBackend(0).put({"id": 0})
        assert spans.get_finished_spans() == ()


class TestEventSpans:
    @pytest.mark.usefixtures("enabled")
    def test_times_and_attributes(self, spans):
        fields = {"begin_ns": 10**18, "duration_seconds": 0.25, "records": 5, "odd": [1]}
        on_event(CoreEvent("flush", "traced", 3, fields))
        on_event(CoreEvent("slow_flush", "traced", 3, fields))  # of the same flush
        on_event(CoreEvent("poison", "traced", 3, fields))
        [span] = spans.get_finished_spans()
        assert (span.name, span.start_time, span.end_time) == (
            "persisting.flush",
            10**18,
            10**18 + 250_000_000,
        )
        assert dict(span.attributes) == {
            "persisting.topic": "traced",
            "persisting.bucket": 3,
            "persisting.records": 5,
        }

    @pytest.mark.usefixtures("enabled")
    def test_a_failed_flush(self, spans):
        on_event(CoreEvent("flush_failed", "traced", 3, {"reason": "disk full"}))
        [span] = spans.get_finished_spans()
        assert span.status.status_code is StatusCode.ERROR
        assert span.status.description == "disk full"

    @pytest.mark.usefixtures("enabled")
    async def test_of_a_real_bucket(self, spans, tmp_path):
        begin = time.time_ns()
        folder = tmp_path / "rollouts" / "bucket_6"
        async with PersistingBackend(6, folder) as backend:
            await backend.put_batch([{"id": i} for i in range(10)])
            await backend.flush()
        async with PersistingBackend(6, folder):
            pass
        flushes = eventually(lambda: named(spans, "persisting.flush"))
        recoveries = eventually(lambda: named(spans, "persisting.recovery"))
        for span in [*flushes, *recoveries]:
            assert span.attributes["persisting.topic"] == "rollouts"
            assert span.attributes["persisting.bucket"] == 6
            assert begin <= span.start_time <= span.end_time <= time.time_ns()

    @pytest.mark.usefixtures("enabled")
    async def test_other_handlers_see_no_more_than_before(self, spans, caplog, tmp_path):
        with caplog.at_level(logging.INFO):
            async with PersistingBackend(0, tmp_path / "traced" / "bucket_0") as backend:
                await backend.put({"id": 0})
                await backend.flush()
            await asyncio.to_thread(eventually, lambda: named(spans, "persisting.flush"))
        assert [each for each in caplog.records if each.levelno < logging.INFO] == []
