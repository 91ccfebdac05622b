"""The way to OpenTelemetry: an observable instrument for each metric, spans in _tracing.py.

A counter becomes an observable counter, a gauge an observable gauge. The core has counted its
histograms already, and OpenTelemetry's API has no way to hand over a finished one. So a histogram
becomes three observable counters, NAME.count, NAME.sum and NAME.bucket with the attribute `le`:
nothing is lost, and quantiles can be had from them as from Prometheus' histograms.
"""

import threading
import weakref
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from persisting.metrics import _tracing
from persisting.metrics._families import (
    Collect,
    Family,
    Sample,
    base_name,
    collect,
    optional,
    switch,
    unit,
)

if TYPE_CHECKING:
    from opentelemetry.metrics import CallbackOptions, Meter, MeterProvider, Observation
    from opentelemetry.trace import TracerProvider

_NAME = "persisting"

# OpenTelemetry writes units in UCUM, and what is counted in braces.
_UCUM = {"seconds": "s", "bytes": "By", "records": "{record}", "": "1"}

_lock = threading.Lock()
_instruments: "weakref.WeakKeyDictionary[MeterProvider, Instruments]" = weakref.WeakKeyDictionary()


class Instruments:
    """The instruments of one meter. OpenTelemetry cannot remove any: switched off, they are mute.

    Args:
        meter: that makes them.
        collect: where the families come from.
    """

    def __init__(self, meter: "Meter", collect: Collect = collect) -> None:
        self.is_on = True
        self._collect = collect
        self._observation: type[Observation] = optional(
            "opentelemetry.metrics", "opentelemetry-api", "opentelemetry"
        ).Observation
        self._lock = threading.Lock()
        self._families: dict[str, Family] = {}
        # Who has seen the families as they are.
        self._seen: set[str] = set()
        for family in collect():
            self._make(meter, family)

    def _make(self, meter: "Meter", family: Family) -> None:
        name, about = base_name(family), {"unit": _UCUM[unit(family)]}
        about["description"] = family["help"]
        if family["kind"] == "gauge":
            meter.create_observable_gauge(name, [self._callback(family, name, _value)], **about)
        elif family["kind"] == "counter":
            meter.create_observable_counter(name, [self._callback(family, name, _value)], **about)
        else:
            for part, values in (("sum", _sum), ("count", _count), ("bucket", _buckets)):
                about["unit"] = _UCUM[unit(family)] if part == "sum" else "1"
                callback = self._callback(family, f"{name}.{part}", values)
                meter.create_observable_counter(f"{name}.{part}", [callback], **about)

    def _callback(
        self, family: Family, instrument: str, values: "Callable[[Sample], _Values]"
    ) -> "Callable[[CallbackOptions], Iterable[Observation]]":
        def observe(_options: "CallbackOptions") -> "Iterator[Observation]":
            for sample in self._read(family["name"], instrument):
                labels = sample["labels"]
                for value, more in values(sample):
                    yield self._observation(value, {**labels, **more})

        return observe

    def _read(self, name: str, instrument: str) -> list[Sample]:
        """Return a family's samples.

        A collection asks every instrument once. So the one that asks again begins the next
        collection: all metrics are read from the core together, and only once each time.
        """
        if not self.is_on:
            return []
        with self._lock:
            if not self._seen or instrument in self._seen:
                self._families = {family["name"]: family for family in self._collect()}
                self._seen.clear()
            self._seen.add(instrument)
            family = self._families.get(name)
        return family["samples"] if family else []


_Values = Iterable[tuple[float, dict[str, str]]]


def _value(sample: Sample) -> _Values:
    return [(sample["value"], {})]


def _sum(sample: Sample) -> _Values:
    return [(sample["sum"], {})]


def _count(sample: Sample) -> _Values:
    return [(sample["count"], {})]


def _buckets(sample: Sample) -> _Values:
    return [(count, {"le": _bound(bound)}) for bound, count in sample["buckets"]]


def _bound(bound: float) -> str:
    """Return a bound as Prometheus writes it."""
    return "+Inf" if bound == float("inf") else repr(float(bound))


def enable_opentelemetry(
    meter_provider: "MeterProvider | None" = None, tracer_provider: "TracerProvider | None" = None
) -> None:
    """Hand metrics and spans of all buckets to OpenTelemetry. Again, it changes nothing.

    Spans: `persisting.put` and `persisting.put_batch` around these calls, in the caller's trace;
    `persisting.flush`, `persisting.recovery` and `persisting.compaction` as traces of their own.

    Args:
        meter_provider: takes the metrics; the global one by default.
        tracer_provider: takes the spans; the global one by default.

    Raises:
        ImportError: opentelemetry-api is not installed.
    """
    metrics: Any = optional("opentelemetry.metrics", "opentelemetry-api", "opentelemetry")
    trace: Any = optional("opentelemetry.trace", "opentelemetry-api", "opentelemetry")
    meters = meter_provider or metrics.get_meter_provider()
    with _lock:
        if meters not in _instruments:
            _instruments[meters] = Instruments(meters.get_meter(_NAME))
        _instruments[meters].is_on = True
        _tracing.enable((tracer_provider or trace.get_tracer_provider()).get_tracer(_NAME))
    switch("opentelemetry", True)


def disable_opentelemetry() -> None:
    """Hand nothing to OpenTelemetry any more, and make no spans."""
    with _lock:
        for instruments in _instruments.values():
            instruments.is_on = False
        _tracing.disable()
    switch("opentelemetry", False)
