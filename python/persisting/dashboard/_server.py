"""The dashboard's HTTP server.

Guarantee: it reads and nothing else; it listens on this machine alone, and a page of another site
           that a browser of this machine shows cannot read its answers.
Elsewhere: what the answers hold, in _monitor.py and _bucket.py; the page itself, in static/.
"""

from __future__ import annotations

import http
import importlib.resources
import ipaddress
import json
import logging
import os
import socket
import sys
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import PurePath
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

from persisting.dashboard._monitor import Monitor

_log = logging.getLogger(__name__)

_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}

_HEADERS = {
    # Nothing from elsewhere, and no text of a record can become markup.
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}


def serve(
    path: str | os.PathLike[str],
    host: str = "127.0.0.1",
    port: int = 0,
    ready: Callable[[str], None] | None = None,
) -> None:
    """Show the buckets below `path` until the program is interrupted.

    Args:
        path: folder of a bucket, of a topic, or one above.
        host: an address of this machine that no other one reaches.
        port: 0 takes a free one.
        ready: called with the page's address once it can be opened.

    Raises:
        ValueError: `path` is no folder, or `host` no loopback address.
        OSError: the port cannot be had.
    """
    with Dashboard(path, host, port) as dashboard:
        if ready is not None:
            ready(dashboard.url)
        dashboard.run()


class Dashboard:
    """A dashboard that another thread can stop: `run` in one, `stop` in the other.

    Args and errors: as `serve`.
    """

    def __init__(
        self, path: str | os.PathLike[str], host: str = "127.0.0.1", port: int = 0
    ) -> None:
        _check_loopback(host)
        if not 0 <= port <= 65535:
            raise ValueError(f"port {port} is not among 0 to 65535")
        self._monitor = Monitor(path)
        try:
            self._server = _Server(host, port, self._monitor)
        except OSError as error:
            raise OSError(
                error.errno, f"cannot listen on {host} port {port}: {error.strerror}"
            ) from None
        shown = f"[{host}]" if ":" in host else host
        #: Where the page is.
        self.url = f"http://{shown}:{self._server.server_address[1]}/"

    def __enter__(self) -> Self:
        self._monitor.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.server_close()
        self._monitor.__exit__(kind, error, trace)

    def run(self) -> None:
        """Answer requests until `stop` is called."""
        self._server.serve_forever(poll_interval=0.1)

    def stop(self) -> None:
        """Make `run` return; call it from another thread, while `run` runs."""
        self._server.shutdown()


def _check_loopback(host: str) -> None:
    if not _is_loopback(host):
        raise ValueError(
            f"host {host} can be reached from other machines, and the page shows what records "
            "hold; use 127.0.0.1, and a tunnel such as ssh -L to look from elsewhere"
        )


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, host: str, port: int, monitor: Monitor) -> None:
        if ":" in host:
            self.address_family = socket.AF_INET6
        self.monitor = monitor
        self.pages = _static_files()
        super().__init__((host, port), _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002
        if not isinstance(sys.exception(), ConnectionError):  # the browser has gone: no error
            _log.exception("a request of the dashboard failed")


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.0"  # a connection is for one request: none outlives the server
    timeout = 60  # of a connection that asks nothing

    def do_GET(self) -> None:
        self._answer()

    def do_HEAD(self) -> None:
        self._answer()

    def _refuse(self) -> None:
        self._send_error(http.HTTPStatus.METHOD_NOT_ALLOWED, {"Allow": "GET, HEAD"})

    do_POST = do_PUT = do_PATCH = do_DELETE = _refuse  # noqa: N815 - http.server's names
    do_OPTIONS = do_TRACE = do_CONNECT = _refuse  # noqa: N815

    def _answer(self) -> None:
        if not self._comes_to_us():
            self._send_error(http.HTTPStatus.MISDIRECTED_REQUEST)
            return
        url = urlsplit(self.path)
        if url.path == "/api/buckets":
            self._send_json(self.server.monitor.overview())
        elif url.path == "/api/bucket":
            key = parse_qs(url.query).get("key", [""])[0]
            detail = self.server.monitor.detail(key)
            if detail is None:
                self._send_error(http.HTTPStatus.NOT_FOUND)
            else:
                self._send_json(detail)
        elif url.path in self.server.pages:
            self._send(http.HTTPStatus.OK, *self.server.pages[url.path])
        else:
            self._send_error(http.HTTPStatus.NOT_FOUND)

    def _comes_to_us(self) -> bool:
        """Whether the request names this machine.

        A site that lets its own name point here (DNS rebinding) makes a browser send that name.
        """
        try:
            name = urlsplit(f"//{self.headers.get('Host', '')}").hostname
        except ValueError:
            return False
        return name is not None and _is_loopback(name)

    def _send_json(self, value: Any) -> None:
        body = json.dumps(value, allow_nan=False, separators=(",", ":")).encode()
        self._send(http.HTTPStatus.OK, "application/json", body)

    def _send_error(self, status: http.HTTPStatus, headers: dict[str, str] | None = None) -> None:
        body = json.dumps({"error": status.phrase}).encode()
        self._send(status, "application/json", body, headers)

    def _send(
        self,
        status: http.HTTPStatus,
        kind: str,
        body: bytes,
        headers: dict[str, str] | None = None,
    ) -> None:
        self.send_response(status)
        for name, value in {**_HEADERS, **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def version_string(self) -> str:
        return "persisting"

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - http.server's name
        _log.debug(format, *args)


def _static_files() -> dict[str, tuple[str, bytes]]:
    """Return type and contents of each file of the page, by its path in the address.

    They are looked up and never opened by a path that a request names.
    """
    root = importlib.resources.files("persisting.dashboard") / "static"
    found: dict[str, tuple[str, bytes]] = {}
    pending = [("/", root)]
    while pending:
        prefix, folder = pending.pop()
        for entry in folder.iterdir():
            if entry.is_dir():
                pending.append((f"{prefix}{entry.name}/", entry))
            elif (kind := _TYPES.get(PurePath(entry.name).suffix)) is not None:
                found[prefix + entry.name] = (kind, entry.read_bytes())
    found["/"] = found["/index.html"]
    return found
