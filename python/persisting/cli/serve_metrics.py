"""``serve-metrics``: a Prometheus exporter for the buckets of other processes."""

from __future__ import annotations

import functools
import threading
from pathlib import Path

from persisting.cli import output
from persisting.cli.errors import CommandError
from persisting.cli.metrics import read_families


def serve_metrics(path: Path, *, port: int, addr: str) -> None:
    """Serve until interrupted; every scrape looks for buckets and reads their pages anew."""
    try:
        import prometheus_client
    except ModuleNotFoundError as error:
        raise CommandError(
            "serve-metrics needs prometheus_client; install persisting[metrics]"
        ) from error
    from persisting.metrics import PersistingCollector

    if not path.is_dir():  # told now, not by empty scrapes; buckets may come later
        raise CommandError(f"{path} is no folder")
    registry = prometheus_client.CollectorRegistry()
    registry.register(PersistingCollector(functools.partial(read_families, path)))
    try:
        server, _ = prometheus_client.start_http_server(port, addr, registry)
    except OSError as error:
        raise CommandError(f"{addr}:{port}: {error.strerror or error}") from error
    host = f"[{addr}]" if ":" in addr else addr
    url = f"http://{host}:{server.server_port}/metrics"
    if output.is_for_people(as_json=False):
        output.show_line(f"serving {path} at {url}; Ctrl-C ends it")
    else:
        output.print_line({"url": url})
    try:
        threading.Event().wait()
    finally:
        server.shutdown()
