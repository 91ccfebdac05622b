"""top, serve-metrics, bench and doctor."""

import json
import signal
import socket
import time
import urllib.error
import urllib.request

import pytest

from cli_helpers import began, busy, left_behind, plain, refused, run, run_in_terminal, terminal
from persisting.cli import bench, disk, metrics, top
from persisting.cli.metrics import Sample, merged

#: Of a row of top for a bucket at work.
ROW = {
    *("topic", "bucket_id", "open", "put_per_second", "read_per_second", "bytes_per_second"),
    *("flush_lag_records", "flush_lag_seconds", "log_bytes", "fragments", "poisoned"),
    *("put_p50_seconds", "put_p99_seconds", "sync_p50_seconds", "sync_p99_seconds"),
    *("flush_p50_seconds", "flush_p99_seconds"),
}


def test_top_once_of_a_bucket_at_work(tmp_path):
    bucket = tmp_path / "bucket_0"
    with busy(bucket) as writer:
        with began("top", tmp_path, "--interval", "0.3") as work:
            work.stdout.readline()  # it has looked, and will look again
            for i in range(50):
                writer.put({"id": i})
            put = 0.0
            deadline = time.monotonic() + 60
            while put == 0 and time.monotonic() < deadline:
                row = json.loads(work.stdout.readline())
                put = row["put_per_second"]
            assert set(row) == ROW
            assert 0 < put < 1e6
            assert row["bytes_per_second"] == pytest.approx(5 * put)  # as MessagePack
            assert 0 < row["put_p50_seconds"] <= row["put_p99_seconds"] < 60
            assert 0 < row["sync_p50_seconds"] <= row["put_p99_seconds"] * 2
        row = run("top", tmp_path, "--once", "--interval", "0.1").line
        assert row["flush_lag_records"] == 50
        assert row["flush_lag_seconds"] > 0
        assert row["log_bytes"] > 500
        writer.flush()
        assert run("top", bucket, "--once", "--interval", "0.1").line["flush_lag_records"] == 0


def test_top_of_a_bucket_at_rest(tmp_path):
    left_behind(tmp_path / "t" / "bucket_0", [{"id": 1}], [{"id": 2}, {"id": 3}])
    row = run("top", tmp_path, "--once", "--interval", "0.05").line
    assert row["open"] is False
    assert row["flush_lag_records"] == 2
    assert row["fragments"] == 1
    shown = run_in_terminal("top", tmp_path, "--once", "--interval", "0.05", columns=130)
    assert shown.status == 0
    assert "no program has the bucket open" in shown.out


def test_top_in_a_terminal(tmp_path):
    left_behind(tmp_path / "t" / "bucket_1", [{"id": 1}], bucket_id=1)
    with busy(tmp_path / "t" / "bucket_0") as writer:
        writer.put({"id": 1})
        child = terminal("top", tmp_path, "--interval", "0.1", columns=140)
        for _ in range(3):  # it is drawn again and again
            child.expect("flush p99")
            child.expect("all ")
        child.sendintr()
        child.expect(r"\x1b\[\?1049l")  # the screen is as it was
        child.wait()
        assert child.exitstatus == 130
        assert "Traceback" not in plain(child.before)
        once = run_in_terminal("top", tmp_path, "--once", "--interval", "0.1", columns=140).out
        words = [line.split() for line in once.splitlines() if line.strip()]
        assert words[0][:6] == ["topic", "bucket", "put/s", "read/s", "bytes/s", "lag"]
        assert [each[:2] for each in words if each[0] == "t"] == [["t", "0"], ["t", "1"]]


def family(name, kind="counter", **sample):
    return {"name": f"persisting_{name}", "help": "", "kind": kind, "samples": [sample]}


def test_rates():
    before = Sample.of([family("records_total", value=100.0)])
    after = Sample.of([family("records_total", value=150.0)])
    assert after.rate("records_total", before, 2.0) == 25
    assert after.rate("records_total", None, 2.0) is None
    assert after.rate("nothing_total", before, 2.0) is None
    # A bucket that was opened anew counts from 0.
    assert before.rate("records_total", after, 2.0) == 50


def test_a_poisoned_bucket_is_told():
    row = {"topic": "t", "bucket_id": 0, "open": True, "poisoned": True}
    assert "takes no puts" in rendered([row])
    assert "takes no puts" not in rendered([{**row, "poisoned": False}])


def test_a_narrow_terminal_gets_fewer_columns_and_whole_numbers():
    row = {"topic": "t", "bucket_id": 0, "open": True, "put_per_second": 1234567.0}
    wide, narrow = rendered([row, row]), rendered([row, row], width=50)
    assert "flush p99" in wide
    assert "flush p99" not in narrow
    assert "2,469,134" in narrow
    assert max(map(len, narrow.splitlines())) <= 50


def rendered(rows, width=160):
    from rich.console import Console

    console = Console(width=width, record=True, file=open("/dev/null", "w"))  # noqa: PTH123, SIM115
    console.print(top.render(rows, width))
    return console.export_text()


def scrape(url):
    with urllib.request.urlopen(url, timeout=30) as answer:
        return answer.read().decode()


def test_serve_metrics(tmp_path):
    left_behind(tmp_path / "t" / "bucket_5", [{"id": 1}], bucket_id=5)
    with began("serve-metrics", tmp_path, "--port", "0") as server:
        url = json.loads(server.stdout.readline())["url"]
        assert url.startswith("http://127.0.0.1:")
        assert "persisting_records_total{" not in scrape(url)
        # Buckets that come after it are found; two of them are two samples of one metric.
        with (
            busy(tmp_path / "t" / "bucket_0") as first,
            busy(tmp_path / "t" / "bucket_1", 1) as other,
        ):
            for i in range(3):
                first.put({"id": i})
            other.put({"id": 1})
            text = scrape(url)
            assert text.count("# TYPE persisting_records_total counter") == 1
            for bucket, count in ((0, 3.0), (1, 1.0)):
                line = f'persisting_records_total{{bucket="{bucket}",topic="t"}} {count}'
                swapped = f'persisting_records_total{{topic="t",bucket="{bucket}"}} {count}'
                assert line in text or swapped in text
            assert "persisting_put_duration_seconds_bucket{" in text
            assert 'bucket="5"' not in text
        assert "persisting_records_total{" not in scrape(url)
        server.send_signal(signal.SIGINT)
        assert server.wait(30) == 130
        assert server.stderr.read() == ""
    with pytest.raises(urllib.error.URLError):
        scrape(url)


def test_buckets_of_one_topic_and_number_are_added_up():
    def bucket(value, counts):
        labels = {"topic": "t", "bucket": "0"}
        buckets = list(zip([1.0, float("inf")], counts, strict=True))
        return [
            family("records_total", labels=labels, value=value),
            family(
                "put_seconds", "histogram", labels=labels, buckets=buckets, sum=0.5, count=counts[1]
            ),
        ]

    first, second = bucket(3.0, [1, 2]), bucket(4.0, [0, 5])
    assert merged([first, second]) == [
        family("records_total", labels=first[0]["samples"][0]["labels"], value=7.0),
        family(
            "put_seconds",
            "histogram",
            labels=first[0]["samples"][0]["labels"],
            buckets=[(1.0, 1), (float("inf"), 7)],
            sum=1.0,
            count=7,
        ),
    ]
    assert first[0]["samples"][0]["value"] == 3.0  # what was read stays as it is


def test_serve_metrics_where_it_cannot(tmp_path):
    assert "is no folder" in refused("serve-metrics", tmp_path / "nowhere")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        line = refused("serve-metrics", tmp_path, "--port", port)
        assert f"127.0.0.1:{port}: Address already in use" in line
    assert "--port" in refused("serve-metrics", tmp_path, "--port", 65536)


def test_serve_metrics_without_the_package(tmp_path, monkeypatch, capsys):
    from persisting.cli import main

    monkeypatch.setitem(__import__("sys").modules, "prometheus_client", None)
    with pytest.raises(SystemExit) as ended:
        main(["serve-metrics", str(tmp_path)])
    assert ended.value.code == 2
    assert "install persisting[metrics]" in capsys.readouterr().err


def test_families_of_several_buckets_become_one():
    one = [family("records_total", labels={"bucket": "0"}, value=1.0)]
    two = [family("records_total", labels={"bucket": "1"}, value=2.0)]
    (merged,) = metrics.merged([one, [], two])
    assert [each["value"] for each in merged["samples"]] == [1.0, 2.0]
    assert len(one[0]["samples"]) == 1


def test_bench(tmp_path):
    ended = run("bench", tmp_path, "--seconds", "0.05")
    assert (ended.status, ended.err) == (0, "")
    rates = {each["name"]: each for each in ended.lines}
    for each in rates.values():
        assert each["per_second"] > 0
        if each["yardstick"] is not None:
            peer = next(p for name, p in rates.items() if name.startswith(each["yardstick"]))
            assert each["ratio"] == pytest.approx(each["per_second"] / peer["per_second"])
    assert sum(each["yardstick"] is not None for each in rates.values()) == 6
    assert list(tmp_path.iterdir()) == []
    shown = run_in_terminal("bench", tmp_path, "--seconds", "0.05")
    assert shown.status == 0
    assert "(yardstick)" in shown.out
    assert "is no folder" in refused("bench", tmp_path / "nowhere")


def test_a_bench_that_is_interrupted_leaves_nothing(tmp_path):
    with began("bench", tmp_path, "--seconds", "30") as work:
        deadline = time.monotonic() + 60
        while not list(tmp_path.iterdir()) and time.monotonic() < deadline:
            time.sleep(0.01)
        work.send_signal(signal.SIGINT)
        assert work.wait(60) == 130
    assert list(tmp_path.iterdir()) == []
    assert bench.bench


def test_doctor(tmp_path):
    ended = run("doctor", tmp_path)
    assert ended.err == ""
    checks = {each["name"]: each for each in ended.lines}
    problems = [each for each in ended.lines if each["verdict"] == "problem"]
    assert ended.status == (1 if problems else 0)
    for name in ("persisting", "pylance", "pyarrow", "rich", "python", "file system", "free space"):
        assert checks[name]["value"]
    assert checks["Lance engine"]["value"] == "works"
    assert "p50" in checks["fdatasync of 4 KiB"]["value"]
    assert checks["honest fsync"]["reason"]
    assert list(tmp_path.iterdir()) == []
    shown = run_in_terminal("doctor", tmp_path)
    assert shown.status == ended.status
    assert "honest fsync" in shown.out
    assert "is no folder" in refused("doctor", tmp_path / "nowhere")


def test_doctor_of_memory(memory_folder):
    """A disk in memory is a problem, whatever it says."""
    ended = run("doctor", memory_folder)
    checks = {each["name"]: each for each in ended.lines}
    if not checks["file system"]["value"].startswith("tmpfs"):
        pytest.skip("no tmpfs here")
    assert ended.status == 1
    assert checks["honest fsync"]["value"] == "NO"
    assert "nothing survives" in checks["honest fsync"]["reason"]


def test_doctor_where_libeatmydata_is(tmp_path):
    ended = run(
        "doctor", tmp_path, env={**__import__("os").environ, "LD_PRELOAD": "libeatmydata.so"}
    )
    (preload,) = [each for each in ended.lines if each["name"] == "LD_PRELOAD"]
    assert preload["verdict"] == "problem"
    assert ended.status == 1


def a_disk(**more):
    return disk.Disk(
        **{"mount": "/", "file_system": "ext4", "options": ("rw",), "device": "sda"} | more
    )


@pytest.mark.parametrize(
    ("made", "p50", "verdict"),
    [
        (a_disk(rotational=False), 1e-3, "ok"),
        (a_disk(rotational=True), 8e-3, "ok"),
        (a_disk(rotational=True), 0.5e-3, "problem"),  # cannot have turned
        (a_disk(rotational=False), 5e-6, "problem"),
        (a_disk(rotational=False), 50e-6, "note"),  # only with power-loss protection
        (a_disk(device="vda", is_virtual=True, rotational=True), 1e-3, "note"),
        (a_disk(device="vda", is_virtual=True), 2e-6, "problem"),
        (a_disk(device=None), 1e-3, "note"),
        (a_disk(file_system="tmpfs"), 1e-3, "problem"),
        (a_disk(file_system="nfs4"), 1e-3, "problem"),
        (a_disk(options=("rw", "nobarrier")), 8e-3, "problem"),
        (a_disk(file_system="overlay", options=("rw", "volatile")), 8e-3, "problem"),
    ],
)
def test_the_verdict(made, p50, verdict):
    found, reason = disk.fsync_verdict(made, p50)
    assert found == verdict
    assert reason


MOUNTS = r"""
21 1 254:0 / / rw,relatime shared:1 - ext4 /dev/root rw,discard
22 21 0:20 / /data rw master:3 - overlay overlay rw,lowerdir=/l,upperdir=/u,workdir=/w,volatile
23 21 0:21 / /with\040space rw - tmpfs none rw
24 22 8:1 / /data/disk rw - xfs /dev/sda1 rw,nobarrier
25 22 8:2 / /data/disk rw - ext4 /dev/sda2 rw
""".strip()


@pytest.mark.parametrize(
    ("path", "device", "kind", "risky"),
    [
        ("/", "254:0", "ext4", []),
        ("/home/me", "254:0", "ext4", []),
        ("/data", "0:20", "overlay", ["volatile"]),
        ("/database", "254:0", "ext4", []),
        ("/with space/x", "0:21", "tmpfs", []),
        ("/data/disk/x", "8:1", "xfs", ["nobarrier"]),
        ("/data/disk/x", "8:2", "ext4", []),
        ("/data/disk/x", "0:99", "ext4", []),  # the one on top
    ],
)
def test_the_mount_of_a_path(path, device, kind, risky):
    found = disk.find_mount(MOUNTS, path, device)
    assert (found.file_system, found.risky_options) == (kind, risky)
