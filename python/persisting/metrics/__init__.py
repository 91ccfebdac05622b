"""Metrics of the open buckets, for Prometheus and OpenTelemetry, and traces of what they do.

    persisting.metrics.start_http_server(9464)    # http://127.0.0.1:9464/metrics
    persisting.metrics.enable()                   # or: beside the program's own Prometheus metrics
    persisting.metrics.enable_opentelemetry()     # or: to OpenTelemetry's global providers

Each exports all buckets of the process, those open already and later ones. The core counts anyway,
but for the durations of puts, which are measured while a bucket is exported; spans are made, and
puts wrapped for them, only while OpenTelemetry is on.

Failure:   ImportError names the extra that is missing; nothing is switched on then.
Threads:   thread-safe.
Elsewhere: what each metric means, in docs/monitoring.md; one bucket's, in its `get_metrics`.
"""

from persisting.metrics._opentelemetry import disable_opentelemetry, enable_opentelemetry
from persisting.metrics._prometheus import (
    PersistingCollector,
    disable,
    enable,
    start_http_server,
)

__all__ = [
    "PersistingCollector",
    "disable",
    "disable_opentelemetry",
    "enable",
    "enable_opentelemetry",
    "start_http_server",
]
