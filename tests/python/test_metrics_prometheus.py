"""persisting.metrics and prometheus_client: what a scrape shows, and switching it on and off."""

import shutil
import subprocess
import sys
import urllib.request

import prometheus_client
import pytest
from prometheus_client import CollectorRegistry, Counter, generate_latest
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_open
from prometheus_client.parser import text_string_to_metric_families as parse
from prometheus_client.utils import floatToGoString

from metric_families import LABELS, families
from persisting import metrics
from persisting.metrics import PersistingCollector
from persisting.queue import MemoryBackend, PersistingBackend

BUCKETS = [("0.00025", 1), ("0.001", 3), ("1.0", 3), ("+Inf", 4)]


@pytest.fixture
def registry():
    yield CollectorRegistry()
    metrics.disable()


def samples(text):
    """Every sample of a scrape: name and labels to value."""
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in parse(text)
        for sample in family.samples
    }


def scrape(server):
    with urllib.request.urlopen(
        f"http://127.0.0.1:{server.server_port}/metrics", timeout=10
    ) as got:
        return got.read().decode()


def of(bucket, topic):
    return (("bucket", str(bucket)), ("topic", topic))


class TestCollector:
    def test_every_value_is_in_the_scrape(self, registry):
        registry.register(PersistingCollector(families))
        first, second = (tuple(sorted(labels.items())) for labels in LABELS)
        assert samples(generate_latest(registry).decode()) == {
            ("persisting_records_total", *first): 12,
            ("persisting_records_total", *second): 0,
            ("persisting_wal_size_bytes", *first): 1e6,
            ("persisting_wal_size_bytes", *second): 64,
            ("persisting_poisoned", *second): 1,
            **{
                ("persisting_put_duration_seconds_bucket", *sorted((*first, ("le", le)))): count
                for le, count in BUCKETS
            },
            ("persisting_put_duration_seconds_count", *first): 4,
            ("persisting_put_duration_seconds_sum", *first): 2.5,
        }

    def test_types_help_and_units_in_openmetrics(self, registry):
        registry.register(PersistingCollector(families))
        text = openmetrics.generate_latest(registry).decode()
        found = [(each.name, each.type, each.unit, each.documentation) for each in parse_open(text)]
        assert found == [
            ("persisting_records", "counter", "records", "Records acknowledged."),
            ("persisting_wal_size_bytes", "gauge", "bytes", "Size of the log."),
            ("persisting_poisoned", "gauge", "", "Whether puts are refused."),
            (
                "persisting_put_duration_seconds",
                "histogram",
                "seconds",
                "From the call to the acknowledgement.",
            ),
        ]

    def test_it_describes_what_it_collects(self):
        collector = PersistingCollector(families)
        described = [(each.name, each.type, each.samples) for each in collector.describe()]
        assert described == [(each.name, each.type, []) for each in collector.collect()]

    def test_each_scrape_reads_anew(self, registry):
        current = families()
        registry.register(PersistingCollector(lambda: current))
        generate_latest(registry)
        current[0]["samples"][0]["value"] = 13.0
        assert 13 in samples(generate_latest(registry).decode()).values()


class TestSwitch:
    async def test_it_counts_open_buckets_and_later_ones(self, registry, tmp_path):
        async with PersistingBackend(0, tmp_path / "early" / "bucket_0") as early:
            await early.put({"id": 0})
            metrics.enable(registry)
            async with PersistingBackend(1, tmp_path / "late" / "bucket_1") as late:
                for i in range(3):
                    await early.put({"id": i})
                await late.put_batch([{"id": i} for i in range(5)])
                found = samples(generate_latest(registry).decode())
        assert found["persisting_records_total", *of(0, "early")] == 4
        assert found["persisting_records_total", *of(1, "late")] == 5
        # Durations are measured from then on.
        assert found["persisting_put_duration_seconds_count", *of(0, "early")] == 3
        assert found["persisting_put_duration_seconds_count", *of(1, "late")] == 1

    async def test_off_it_shows_nothing(self, registry, tmp_path):
        metrics.enable(registry)
        metrics.disable()
        async with PersistingBackend(0, tmp_path / "scraped" / "bucket_0") as backend:
            await backend.put({"id": 0})
            assert generate_latest(registry) == b""
            metrics.enable(registry)
            found = samples(generate_latest(registry).decode())
            assert found["persisting_records_total", *of(0, "scraped")] == 1

    async def test_one_bucket_by_its_option(self, registry, tmp_path):
        registry.register(PersistingCollector())
        async with (
            PersistingBackend(0, tmp_path / "scraped" / "bucket_0", enable_metrics=True) as shown,
            PersistingBackend(1, tmp_path / "scraped" / "bucket_1") as hidden,
        ):
            await shown.put({"id": 0})
            await hidden.put({"id": 0})
            found = samples(generate_latest(registry).decode())
        assert found["persisting_records_total", *of(0, "scraped")] == 1
        assert ("persisting_records_total", *of(1, "scraped")) not in found

    async def test_the_scrape_is_what_get_metrics_tells(self, registry, tmp_path):
        metrics.enable(registry)
        async with PersistingBackend(0, tmp_path / "scraped" / "bucket_0") as backend:
            for i in range(20):
                await backend.put({"id": i})
            await backend.flush()
            await backend.put({"id": 20})
            await backend.get()
            told = backend.get_metrics()
            assert (await backend.stats())["metrics"].keys() == told.keys()
            found = samples(generate_latest(registry).decode())
        del told["persisting_flush_lag_seconds"]  # it has grown meanwhile
        for name, value in told.items():
            if isinstance(value, float):
                assert found[name, *of(0, "scraped")] == value
                continue
            assert found[f"{name}_sum", *of(0, "scraped")] == value["sum"]
            assert found[f"{name}_count", *of(0, "scraped")] == value["count"]
            counts = [
                found[f"{name}_bucket", ("bucket", "0"), ("le", floatToGoString(bound)), topic]
                for topic in [("topic", "scraped")]
                for bound, _ in value["buckets"]
            ]
            assert counts == [count for _, count in value["buckets"]]

    def test_twice_is_once(self, registry):
        metrics.enable(registry)
        metrics.enable(registry)
        text = generate_latest(registry).decode()
        assert text.count("# TYPE persisting_poisoned ") == 1

    def test_two_registries(self, registry):
        other = CollectorRegistry()
        metrics.enable(registry)
        metrics.enable(other)
        assert generate_latest(registry) == generate_latest(other) != b""

    def test_the_default_registry(self):
        metrics.enable()
        try:
            assert b"persisting_poisoned" in generate_latest()
        finally:
            metrics.disable()
        assert b"persisting_poisoned" not in generate_latest()

    def test_names_that_are_taken(self, registry):
        Counter("persisting_records", "Somebody else's.", registry=registry)
        with pytest.raises(ValueError, match="persisting_records"):
            metrics.enable(registry)


class TestServer:
    async def test_one_call(self, registry, tmp_path):
        server, thread = metrics.start_http_server(0, registry=registry)
        try:
            async with PersistingBackend(3, tmp_path / "scraped" / "bucket_3") as backend:
                await backend.put_batch([{"id": i} for i in range(7)])
                found = samples(scrape(server))
        finally:
            server.shutdown()
            server.server_close()
        thread.join(10)
        assert found["persisting_records_total", *of(3, "scraped")] == 7

    def test_a_port_that_is_taken(self, registry):
        server, _ = prometheus_client.start_http_server(0, "127.0.0.1", registry)
        try:
            with pytest.raises(OSError, match=rf"127.0.0.1:{server.server_port}: Address already"):
                metrics.start_http_server(server.server_port, registry=registry)
        finally:
            server.shutdown()
            server.server_close()
        assert generate_latest(registry) == b""

    def test_names_that_are_taken(self, registry):
        Counter("persisting_records", "Somebody else's.", registry=registry)
        with pytest.raises(ValueError, match="persisting_records"):
            metrics.start_http_server(0, registry=registry)


def test_promtool_finds_nothing_to_mend(registry, tmp_path):
    metrics.enable(registry)
    with PersistingBackend(0, tmp_path / "scraped" / "bucket_0").sync() as backend:
        backend.put({"id": 0})
        backend.flush()
        text = generate_latest(registry)
    assert text.count(b"_bucket{") > 20
    command = [shutil.which("promtool"), "check", "metrics"]
    done = subprocess.run(command, input=text, capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


@pytest.mark.parametrize(
    ("call", "missing", "extra"),
    [
        ("metrics.enable()", "prometheus_client", "metrics"),
        ("metrics.start_http_server(0)", "prometheus_client", "metrics"),
        ("metrics.PersistingCollector()", "prometheus_client", "metrics"),
        ("metrics.enable_opentelemetry()", "opentelemetry-api", "opentelemetry"),
    ],
)
def test_a_missing_package_is_named_with_its_extra(call, missing, extra):
    program = f"""
import sys
sys.modules["prometheus_client"] = sys.modules["opentelemetry"] = None
from persisting import metrics
from persisting.queue import MemoryBackend
try:
    {call}
except ImportError as error:
    print(error)
backend = MemoryBackend(0).sync()
backend.put({{"id": 0}})
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert missing in done.stdout
    assert f"'persisting[{extra}]'" in done.stdout
    assert MemoryBackend(0).total_count() == 0
