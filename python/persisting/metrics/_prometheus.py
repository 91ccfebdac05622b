"""The way to Prometheus: a collector for prometheus_client, and a server in one call."""

import threading
import weakref
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, cast

from persisting.metrics._families import (
    Collect,
    Family,
    base_name,
    collect,
    label_names,
    optional,
    switch,
    unit,
)

if TYPE_CHECKING:
    from wsgiref.simple_server import WSGIServer

    from prometheus_client import CollectorRegistry
    from prometheus_client.metrics_core import Metric

_lock = threading.Lock()
_registered: "weakref.WeakKeyDictionary[CollectorRegistry, PersistingCollector]" = (
    weakref.WeakKeyDictionary()
)


def _client(module: str = "prometheus_client") -> Any:
    return optional(module, "prometheus_client", "metrics")


class PersistingCollector:
    """Hands the core's metrics to a registry of prometheus_client, read anew at each scrape.

    `enable` registers one. Made by yourself it shows the buckets that are exported: those opened
    with `enable_metrics=True`, or all after `enable`.

    Args:
        collect: where the families come from; the buckets of this process by default.
    """

    def __init__(self, collect: Collect = collect) -> None:
        self._collect = collect
        self._core = _client("prometheus_client.core")
        self._format = _client("prometheus_client.utils").floatToGoString

    def collect(self) -> "Iterator[Metric]":
        """Yield every metric with the samples of all buckets."""
        for family in self._collect():
            yield self._metric(family)

    def describe(self) -> "Iterator[Metric]":
        """Yield every metric without samples: what a registry checks names with."""
        for family in self._collect():
            yield self._metric({**family, "samples": []})

    def _metric(self, family: Family) -> "Metric":
        samples = family["samples"]
        kinds = {
            "counter": self._core.CounterMetricFamily,
            "gauge": self._core.GaugeMetricFamily,
            "histogram": self._core.HistogramMetricFamily,
        }
        metric: Any = kinds[family["kind"]](
            base_name(family), family["help"], labels=label_names(samples), unit=unit(family)
        )
        for sample in samples:
            labels = list(sample["labels"].values())
            if family["kind"] == "histogram":
                buckets = [(self._format(bound), count) for bound, count in sample["buckets"]]
                metric.add_metric(labels, buckets, sample["sum"])
            else:
                metric.add_metric(labels, sample["value"])
        return cast("Metric", metric)


def enable(registry: "CollectorRegistry | None" = None) -> None:
    """Show the metrics of all buckets in a registry. Doing so again changes nothing.

    Args:
        registry: of prometheus_client; its default one by default.

    Raises:
        ImportError: prometheus_client is not installed.
        ValueError: the registry has other metrics of these names.
    """
    registry = _client().REGISTRY if registry is None else registry
    with _lock:
        if registry not in _registered:
            collector = PersistingCollector()
            registry.register(collector)
            _registered[registry] = collector
    switch("prometheus", True)


def disable() -> None:
    """Take the metrics out of all registries.

    Buckets opened with `enable_metrics=True` stay exported; so do all while OpenTelemetry is on.
    """
    with _lock:
        for registry, collector in _registered.items():
            registry.unregister(collector)
        _registered.clear()
    switch("prometheus", False)


def start_http_server(
    port: int = 9464, addr: str = "127.0.0.1", registry: "CollectorRegistry | None" = None
) -> "tuple[WSGIServer, threading.Thread]":
    """Enable the metrics and serve them in a thread of its own, as prometheus_client does.

    Args:
        port: where `/metrics` is served; 0 takes a free one, which is the server's `server_port`.
        addr: the address to listen on. There is no password: leave it at this machine's own, or in
            a network that only Prometheus reaches.
        registry: as of `enable`.

    Returns:
        The server and its thread; `server.shutdown()` ends it.

    Raises:
        OSError: the port cannot be had.
        ImportError, ValueError: as `enable`.
    """
    client = _client()
    served = client.REGISTRY if registry is None else registry
    try:
        server, thread = client.start_http_server(port, addr, served)
    except OSError as error:
        raise OSError(
            error.errno,
            f"metrics cannot be served at {addr}:{port}: {error.strerror or error};"
            " give another port",
        ) from error
    try:
        enable(registry)
    except BaseException:
        server.shutdown()
        server.server_close()
        raise
    return server, thread
