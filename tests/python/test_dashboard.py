"""The dashboard over real HTTP: what it answers, and what it refuses."""

import contextlib
import http.client
import json
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from urllib.parse import quote, urlsplit

import pytest

from helpers import emptied
from persisting import StorageError, _core, open_view
from persisting.dashboard import Dashboard, _bucket, _monitor, serve
from persisting.queue import PersistingBackend

PATIENCE = 30


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Look more often than for people."""
    monkeypatch.setattr(_monitor, "WATCHED", 0.05)
    monkeypatch.setattr(_bucket, "RETRY", 0.1)


class Page:
    """A dashboard that runs, and what a browser would ask it."""

    def __init__(self, dashboard):
        self.dashboard = dashboard
        self.url = urlsplit(dashboard.url)

    def ask(self, path, method="GET", **headers):
        connection = http.client.HTTPConnection(self.url.hostname, self.url.port, timeout=PATIENCE)
        with contextlib.closing(connection):
            connection.request(method, path, headers=headers)
            answer = connection.getresponse()
            return answer.status, dict(answer.headers), answer.read()

    def json(self, path):
        status, headers, body = self.ask(path)
        assert (status, headers["Content-Type"]) == (200, "application/json")
        return json.loads(body)

    def rows(self):
        return self.json("/api/buckets")["buckets"]

    def row(self, **wanted):
        """The row that has these values, as soon as there is one."""
        return until(lambda: find(self.rows(), wanted), self.rows)

    def detail(self, key):
        return self.json(f"/api/bucket?key={quote(key, safe='')}")


def find(rows, wanted):
    return next((row for row in rows if wanted.items() <= row.items()), None)


def until(attempt, seen=None):
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if found := attempt():
            return found
        time.sleep(0.02)
    raise AssertionError(f"waited in vain; last seen: {seen and seen()}")


@contextlib.contextmanager
def shown(path, **options):
    with Dashboard(path, **options) as dashboard:
        thread = threading.Thread(target=dashboard.run)
        thread.start()
        page = Page(dashboard)
        try:
            page.rows()  # it runs, so it can be stopped
            yield page
        finally:
            dashboard.stop()
            thread.join()


def is_closed(view):
    try:
        view.total_count()
    except StorageError as error:
        return "closed" in str(error)
    return False


def put(folder, records, bucket_id=0, **options):
    with PersistingBackend(bucket_id, folder, **options).sync() as bucket:
        bucket.put_batch(records)


def test_a_folder_without_buckets(tmp_path):
    with shown(tmp_path) as page:
        answer = page.json("/api/buckets")
        assert answer["path"] == str(tmp_path)
        assert answer["buckets"] == []
        assert answer["error"] is None


def test_buckets_come_and_go(tmp_path, monkeypatch):
    views = {}
    monkeypatch.setattr(
        _bucket, "open_view", lambda folder: views.setdefault(folder, open_view(folder))
    )
    with shown(tmp_path) as page:
        put(tmp_path / "b" / "bucket_0", [{"id": 1}])
        page.row(key="b/bucket_0", records=1, state="closed")
        put(tmp_path / "a" / "bucket_1", [{"id": 1}] * 3, bucket_id=1)
        page.row(key="a/bucket_1", records=3)
        assert [(row["topic"], row["bucket"]) for row in page.rows()] == [("a", 1), ("b", 0)]
        shutil.rmtree(tmp_path / "b")
        until(lambda: [row["key"] for row in page.rows()] == ["a/bucket_1"])
        assert page.ask("/api/bucket?key=b%2Fbucket_0")[0] == 404
        until(lambda: is_closed(views[str(tmp_path / "b" / "bucket_0")]))
        assert not is_closed(views[str(tmp_path / "a" / "bucket_1")])
    assert all(map(is_closed, views.values()))


def test_a_bucket_that_is_written_now(tmp_path):
    folder = tmp_path / "topic" / "bucket_0"
    with shown(tmp_path) as page, PersistingBackend(0, folder, flush_interval=1e6).sync() as bucket:
        bucket.put_batch([{"id": 1}])
        row = page.row(key="topic/bucket_0", records=1, unflushed=1, state="open")
        assert row["holder"] > 0
        assert row["log_bytes"] > 0
        bucket.flush()
        page.row(key="topic/bucket_0", records=1, unflushed=0, fragments=1)
        bucket.put_batch([{"id": 2}] * 100)
        until(lambda: any(page.row(key="topic/bucket_0")["trace"][1:]))
        assert page.row(key="topic/bucket_0", records=101)["rate"] > 0


def test_one_bucket_in_detail(tmp_path):
    folder = tmp_path / "topic" / "bucket_0"
    put(folder, [{"id": i, "blob": b"\0" * 1000} for i in range(20)])
    put(folder, [{"id": 0.5}], defaults={"blob": b"none"})
    with shown(tmp_path) as page:
        page.row(key="topic/bucket_0", records=21)
        detail = page.detail("topic/bucket_0")
        assert detail["folder"] == str(folder)
        assert detail["stats"]["total_count"] == 21
        assert [field["name"] for field in detail["schema"]] == ["id", "blob"]
        assert detail["schema"][1]["default"] == "b'none'"
        changes = [(change["field"], change["change"]) for change in detail["schema_history"]]
        assert ("id", "widened") in changes
        first, records = detail["first_offset"], detail["last_records"]
        assert first + len(records) == 21
        assert records[-1]["id"] == "0.5"
        assert records[0]["id"] == f"{float(first)}"
        assert records[0]["blob"].endswith("1000 bytes")
        assert detail["metrics"] == []
        assert "has the bucket open" in detail["unmeasured"]
        lengths = {len(column) for column in detail["series"].values()}
        assert len(lengths) == 1
        assert lengths != {0}


def test_a_path_that_is_a_bucket(tmp_path):
    put(tmp_path / "topic" / "bucket_0", [{"id": 1}])
    with shown(tmp_path / "topic" / "bucket_0") as page:
        page.row(key=".", records=1)
        assert page.detail(".")["schema"][0]["name"] == "id"


def test_metrics_of_a_writer(tmp_path):
    folder = tmp_path / "topic" / "bucket_0"
    options = {"enable_metrics": True, "flush_interval": 1e6}
    with shown(tmp_path) as page, PersistingBackend(0, folder, **options).sync() as bucket:
        page.row(key="topic/bucket_0")

        def latest(name):
            bucket.put({"id": 1})
            return next(
                (each for each in page.detail("topic/bucket_0")["series"][name] if each), None
            )

        assert 0 < until(lambda: latest("put_p50")) < 10
        assert latest("put_p50") <= until(lambda: latest("put_p99"))
        assert 0 < until(lambda: latest("sync_p99")) < 10
        assert until(lambda: latest("lag_seconds")) > 0
        bucket.flush()
        assert 0 < until(lambda: latest("flush_mean")) < 10
        detail = page.detail("topic/bucket_0")
        metrics = {each["name"]: each for each in detail["metrics"]}
        assert metrics["persisting_records_total"]["value"] > 0
        assert metrics["persisting_put_duration_seconds"]["count"] > 0
        assert metrics["persisting_put_duration_seconds"]["help"]
        assert detail["puts_measured"]
        assert detail["unmeasured"] is None


def test_puts_that_the_writer_does_not_time(tmp_path):
    folder = tmp_path / "topic" / "bucket_0"
    with shown(tmp_path) as page, PersistingBackend(0, folder, flush_interval=1e6).sync() as bucket:
        bucket.put({"id": 1})
        page.row(key="topic/bucket_0", records=1)
        until(lambda: page.detail("topic/bucket_0")["metrics"])
        detail = page.detail("topic/bucket_0")
        assert not detail["puts_measured"]
        assert detail["unmeasured"] is None


def test_metrics_that_cannot_be_read_are_no_damage(tmp_path, monkeypatch):
    def of_another_version(folder):
        raise StorageError("process 1 runs another version of Persisting")

    monkeypatch.setattr(_core, "read_metrics", of_another_version)
    folder = tmp_path / "topic" / "bucket_0"
    with shown(tmp_path) as page, PersistingBackend(0, folder).sync() as bucket:
        bucket.put({"id": 1})
        page.row(key="topic/bucket_0", records=1, state="open", error=None)
        assert "another version" in page.detail("topic/bucket_0")["unmeasured"]


def test_damage_is_shown_beside_the_others(tmp_path):
    for name in ("hurt", "well"):
        put(tmp_path / name / "bucket_0", [{"id": 1}])
    with shown(tmp_path) as page:
        page.row(topic="hurt", records=1)
        emptied(tmp_path / "hurt" / "bucket_0" / "CHECKPOINT")
        row = page.row(topic="hurt", state="damaged")
        assert "CHECKPOINT" in row["error"]
        assert "CHECKPOINT" in page.detail(row["key"])["error"]
        put(tmp_path / "well" / "bucket_0", [{"id": 2}])
        page.row(topic="well", records=2, state="closed")


def test_a_bucket_that_is_damaged_from_the_start(tmp_path):
    put(tmp_path / "hurt" / "bucket_0", [{"id": 1}])
    emptied(tmp_path / "hurt" / "bucket_0" / "CHECKPOINT")
    with shown(tmp_path) as page:
        row = page.row(bucket=0, state="damaged")
        assert page.detail(row["key"])["stats"] == {}


def test_the_folder_goes_and_comes_back(tmp_path):
    root = tmp_path / "root"
    put(root / "topic" / "bucket_0", [{"id": 1}])
    with shown(root) as page:
        page.row(records=1)
        root.rename(tmp_path / "away")
        until(lambda: "no folder" in (page.json("/api/buckets")["error"] or ""))
        assert page.rows() == []
        (tmp_path / "away").rename(root)
        page.row(records=1)
        assert page.json("/api/buckets")["error"] is None


def test_nothing_is_written(tmp_path):
    folder = tmp_path / "topic" / "bucket_0"
    put(folder, [{"id": i} for i in range(10)])

    def state():
        return {
            path: (path.stat().st_mtime_ns, path.stat().st_size) for path in tmp_path.rglob("*")
        }

    before = state()
    with shown(tmp_path) as page:
        page.row(records=10)
        page.detail("topic/bucket_0")
    assert state() == before


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"])
@pytest.mark.parametrize("path", ["/", "/api/buckets"])
def test_only_reading_methods(tmp_path, method, path):
    with shown(tmp_path) as page:
        status, headers, _ = page.ask(path, method)
        assert (status, headers["Allow"]) == (405, "GET, HEAD")


def test_head_is_get_without_its_body(tmp_path):
    with shown(tmp_path) as page:
        status, headers, body = page.ask("/", "HEAD")
        assert (status, body) == (200, b"")
        assert int(headers["Content-Length"]) == len(page.ask("/")[2])


@pytest.mark.parametrize("host", [
    "evil.example", "evil.example:80", "127.0.0.1.evil.example", "localhost.evil.example",
    "10.0.0.1", "", "[", "::1",
])  # fmt: skip
def test_requests_under_another_name_are_refused(tmp_path, host):
    with shown(tmp_path) as page:
        for path in ("/", "/app.js", "/api/buckets", "/api/bucket?key=x"):
            assert page.ask(path, Host=host)[0] == 421


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "localhost:9999", "LOCALHOST", "[::1]"])
def test_names_of_this_machine_are_served(tmp_path, host):
    with shown(tmp_path) as page:
        assert page.ask("/api/buckets", Host=host)[0] == 200


def test_a_request_without_host_is_refused(tmp_path):
    with (
        shown(tmp_path) as page,
        socket.create_connection((page.url.hostname, page.url.port), PATIENCE) as connection,
    ):
        connection.sendall(b"GET /api/buckets HTTP/1.0\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.0 421 ")


@pytest.mark.parametrize("path", [
    "/../_server.py", "/%2e%2e/_server.py", "/vendor/../../_server.py", "//etc/passwd",
    "/..%2f..%2f_server.py", "/vendor", "/vendor/", "/_server.py", "/index.html/",
    "/api/bucket?key=../secret", "/api/bucket?key=%2Fetc", "/api/bucket", "/api/", "/nothing",
])  # fmt: skip
def test_no_path_leads_out(tmp_path, path):
    put(tmp_path / "secret", [{"id": 1}])
    (tmp_path / "root").mkdir()
    with shown(tmp_path / "root") as page:
        status, _, body = page.ask(path)
        assert status == 404
        assert b"id" not in body


def test_every_answer_forbids_what_is_not_ours(tmp_path):
    with shown(tmp_path) as page:
        for path in ("/", "/app.js", "/style.css", "/icon.svg", "/api/buckets", "/nothing"):
            headers = page.ask(path)[1]
            policy = headers["Content-Security-Policy"]
            assert policy.startswith("default-src 'none'; script-src 'self';")
            assert "require-trusted-types-for 'script'; trusted-types 'none'" in policy
            assert "unsafe" not in policy
            assert "http" not in policy
            assert headers["X-Content-Type-Options"] == "nosniff"
            assert "Access-Control-Allow-Origin" not in headers


def test_the_page_and_what_it_needs_are_in_the_package(tmp_path):
    with shown(tmp_path) as page:
        for path, kind in {
            "/": "text/html",
            "/app.js": "text/javascript",
            "/style.css": "text/css",
            "/icon.svg": "image/svg+xml",
            "/vendor/uplot/uPlot.iife.min.js": "text/javascript",
            "/vendor/uplot/uPlot.min.css": "text/css",
        }.items():
            status, headers, body = page.ask(path)
            assert status == 200
            assert headers["Content-Type"].startswith(kind)
            assert body


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.0.1", "example.com", ""])
def test_only_this_machine_may_look(tmp_path, host):
    with pytest.raises(ValueError, match="can be reached from other machines"):
        serve(tmp_path, host=host)


def test_it_listens_on_this_machine_alone(tmp_path):
    with shown(tmp_path) as page:
        assert page.dashboard._server.socket.getsockname()[0] == "127.0.0.1"


def test_a_path_that_is_no_folder(tmp_path):
    with pytest.raises(ValueError, match="no folder"):
        serve(tmp_path / "nothing")


def test_a_port_that_is_taken(tmp_path):
    with shown(tmp_path) as page, pytest.raises(OSError, match=f"port {page.url.port}"):
        serve(tmp_path, port=page.url.port)


def test_the_command_ends_by_ctrl_c(tmp_path):
    with subprocess.Popen(
        [sys.executable, "-m", "persisting", "dashboard", tmp_path],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as command:
        url = urlsplit(json.loads(command.stdout.readline())["url"])
        connection = http.client.HTTPConnection(url.hostname, url.port, timeout=PATIENCE)
        with contextlib.closing(connection):
            connection.request("GET", "/api/buckets")
            assert json.load(connection.getresponse())["path"] == str(tmp_path)
        command.send_signal(signal.SIGINT)
        _, errors = command.communicate(timeout=PATIENCE)
    assert (command.returncode, errors) == (130, "")


def test_the_command_says_what_is_wrong(tmp_path):
    command = [sys.executable, "-m", "persisting", "dashboard", tmp_path / "nothing"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert ended.returncode == 2
    assert ended.stderr.startswith("persisting: ")
    assert len(ended.stderr.splitlines()) == 1
