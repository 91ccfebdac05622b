"""import and export: what goes through each format, how failures are told, bounded memory."""

import json
import os
import signal
import subprocess
import sys

import pyarrow as pa
import pytest
from pyarrow import parquet

from cli_helpers import (
    COMMAND,
    began,
    busy,
    left_behind,
    plain,
    read_all,
    refused,
    run,
    run_in_terminal,
    terminal,
)
from helpers import same_records, seeded
from persisting.queue import PersistingBackend
from type_table import ROWS, exact

DECLARED = {row.name: row.declared for row in ROWS if row.declared}

#: What a cell of CSV can say.
IN_CSV = [
    *("bool", "int", "float", "str", "aware", "naive", "date", "decimal", "uuid"),
    *(f"scalar_{kind}{bits}" for kind in ("int", "uint") for bits in (8, 16, 32, 64)),
    *("scalar_float32", "scalar_float64"),
]


def records_of(rows):
    """Records with a field for each row of the table, as many as the longest has values."""
    count = max(len(row.values) for row in rows)
    return [
        {row.name: row.values[i] if i < len(row.values) else None for row in rows}
        for i in range(count)
    ]


def names_in(folder):
    return sorted(each.name for each in folder.iterdir())


def schema_of(folder):
    with PersistingBackend(0, folder).sync() as backend:
        return {field["name"]: field["type"] for field in backend.schema()}


@pytest.mark.parametrize("name", ["x.arrow", "x.feather", "x.parquet", "x.jsonl"])
def test_every_type_goes_through(tmp_path, name):
    records = records_of(ROWS)
    options = {"schema": {**DECLARED, "*": "any"}}
    old = left_behind(tmp_path / "old", records[:2], records[2:], **options)
    exported = run("export", old, tmp_path / name)
    assert (exported.status, exported.err) == (0, "")
    assert exported.line["records"] == len(records)
    new = tmp_path / "new"
    if name == "x.jsonl":  # has values, and no columns that could be declared
        PersistingBackend(0, new, **options).sync().close()
    imported = run("import", tmp_path / name, new)
    assert (imported.status, imported.err) == (0, "")
    assert imported.line["records"] == len(records)
    assert (imported.line["first_offset"], imported.line["end_offset"]) == (0, len(records))
    assert schema_of(new) == schema_of(old)
    for before, after in zip(read_all(old), read_all(new), strict=True):
        for field, value in before.items():
            assert exact(after[field]) == exact(value), field


@pytest.mark.parametrize("declared", [True, False])
def test_what_csv_can_hold_goes_through(tmp_path, declared):
    rows = [row for row in ROWS if row.name in IN_CSV]
    assert len(rows) == len(IN_CSV)
    records = [*records_of(rows), {"str": "NA"}, {"str": 'a "quoted", one\nand a line'}]
    old = left_behind(tmp_path / "old", records[:2], records[2:])
    assert run("export", old, tmp_path / "x.csv").status == 0
    new = tmp_path / "new"
    options = []
    if declared:  # the types of a bucket are those of the columns
        PersistingBackend(0, new, schema=schema_of(old)).sync().close()
    else:
        types = {"decimal": "string", "uuid": "uuid", "naive": "timestamp[us]"}
        types |= {"aware": "timestamp with zone"}
        types |= {row.name: row.name[7:] for row in rows if row.name.startswith("scalar_")}
        types["scalar_float64"] = "double"
        options = [each for name, kind in types.items() for each in ("--type", f"{name}={kind}")]
    imported = run("import", tmp_path / "x.csv", new, *options)
    assert (imported.status, imported.err) == (0, "")
    nan_payload = {"float", "scalar_float32", "scalar_float64"}
    for before, after in zip(read_all(old), read_all(new), strict=True):
        for field, value in before.items():
            if not declared and field == "decimal":
                continue  # Arrow has no word for the type
            if field in nan_payload and value is not None and value != value:
                assert after[field] != after[field]
                continue
            assert exact(after[field]) == exact(value), field


def test_csv_refuses_what_it_cannot_hold(tmp_path):
    bucket = left_behind(tmp_path / "b", [{"id": 1, "tags": ["a"], "data": b"x"}])
    line = refused("export", bucket, tmp_path / "x.csv")
    assert "tags (list<item: string>), data (binary)" in line
    assert names_in(tmp_path) == ["b"]


def test_types_of_csv_can_be_told(tmp_path):
    file = tmp_path / "x.csv"
    file.write_text("zip,when\n01234,2020-01-01\n00001,2020-01-02\n")
    assert run("import", file, tmp_path / "b", "--type", "zip=string").status == 0
    assert [each["zip"] for each in read_all(tmp_path / "b")] == ["01234", "00001"]
    assert schema_of(tmp_path / "b")["when"] == "date"
    assert "is no type of Arrow" in refused("import", file, tmp_path / "c", "--type", "zip=zap")
    assert "COLUMN=TYPE" in refused("import", file, tmp_path / "c", "--type", "zip")
    assert not (tmp_path / "c").exists()


def test_a_bucket_in_use_is_exported(tmp_path):
    with busy(tmp_path / "bucket_0") as writer:
        for i in range(5):
            writer.put({"id": i})
            if i == 2:
                writer.flush()
        assert run("export", tmp_path / "bucket_0", tmp_path / "x.parquet").line["records"] == 5
    assert parquet.read_table(tmp_path / "x.parquet").to_pylist() == [{"id": i} for i in range(5)]


def test_ranges(tmp_path):
    bucket = left_behind(tmp_path / "b", [{"id": i} for i in range(3000)], [{"id": 3000}])
    file = tmp_path / "x.jsonl"
    assert run("export", bucket, file, "--offset", 2990, "--limit", 5).line["records"] == 5
    assert [json.loads(line)["id"] for line in file.open()] == list(range(2990, 2995))
    assert "--overwrite" in refused("export", bucket, file)
    assert run("export", bucket, file, "--overwrite", "--offset", 2999).line["records"] == 2
    assert run("import", file, tmp_path / "c", "--skip", 1).line["records"] == 1
    assert read_all(tmp_path / "c") == [{"id": 3000}]


def test_through_pipes(tmp_path):
    records = [{"id": i, "text": "é" * (i % 50)} for i in range(500)]
    bucket = left_behind(tmp_path / "b", records[:300], records[300:])
    for name in ("jsonl", "csv"):
        out = run("export", bucket, "-", "--format", name).out
        new = tmp_path / name
        assert run("import", "-", new, "--format", name, stdin=out).line["records"] == 500
        assert read_all(new) == records
    # What get prints can be put as it is.
    found = run("get", bucket, "--where", "id % 2 = 0").out
    assert run("import", "-", tmp_path / "even", "--format", "jsonl", stdin=found).status == 0
    assert read_all(tmp_path / "even") == records[::2]
    assert "needs a file" in refused("export", bucket, "-", "--format", "parquet")


def test_arrow_streams_and_other_types_are_taken(tmp_path):
    table = pa.table(
        {
            "id": pa.array([1, 2, 3], pa.int32()),
            "name": pa.array(["a", "b", "a"]).dictionary_encode(),
            "at": pa.array([1, 2, None], pa.timestamp("ms")),
        }
    )
    with (
        pa.OSFile(str(tmp_path / "x.arrow"), "wb") as out,
        pa.ipc.new_stream(out, table.schema) as w,
    ):
        w.write_table(table)
    assert run("import", tmp_path / "x.arrow", tmp_path / "b").line["records"] == 3
    assert [each["name"] for each in read_all(tmp_path / "b")] == ["a", "b", "a"]


def test_large_random_records_in_every_format(tmp_path):
    random = seeded()
    records = [
        {
            "id": i,
            "text": random.randbytes(random.randrange(20_000)).hex(),
            "real": None if random.random() < 0.2 else random.gauss(0, 1e9),
        }
        for i in range(1500)
    ]
    bucket = left_behind(tmp_path / "b", records[:700], records[700:])
    for name in ("x.arrow", "x.parquet", "x.jsonl", "x.csv"):
        assert run("export", bucket, tmp_path / name).line["records"] == len(records)
        new = tmp_path / f"new-{name}"
        assert run("import", tmp_path / name, new).status == 0
        assert same_records(read_all(new), records)


# Runs the command and tells the most memory of its own that it had, in MiB; what it maps of a file
# is the kernel's to keep or drop.
MEASURED = """
import re, runpy, sys, threading

peak, ended = 0, threading.Event()

def watch():
    global peak
    while not ended.wait(0.01):
        with open("/proc/self/status") as status:
            peak = max(peak, int(re.search(r"RssAnon:\\s*(\\d+)", status.read())[1]))

watcher = threading.Thread(target=watch)
watcher.start()
sys.argv[0] = "persisting"
try:
    runpy.run_module("persisting", run_name="__main__", alter_sys=True)
finally:
    ended.set()
    watcher.join()
    print(peak // 1024, file=sys.stderr)
"""


@pytest.mark.slow
@pytest.mark.parametrize("name", ["x.arrow", "x.parquet", "x.jsonl"])
def test_memory_is_bounded(tmp_path, name):
    """The file is larger than what the command may add to what an empty bucket takes."""

    def peak(*arguments):
        ended = subprocess.run(
            [sys.executable, "-c", MEASURED, *map(str, arguments)],
            capture_output=True,
            text=True,
            check=True,
            timeout=110,
        )
        return int(ended.stderr)  # MiB

    bucket = tmp_path / "b"
    with PersistingBackend(0, bucket).sync() as backend:
        for i in range(16):
            backend.put_batch([{"id": i, "text": os.urandom(50_000).hex()} for _ in range(200)])
    little = peak("export", bucket, tmp_path / f"little-{name}", "--limit", 100)
    assert peak("export", bucket, tmp_path / name) < little + 250
    assert (tmp_path / name).stat().st_size > 300 << 20
    little = peak("import", tmp_path / f"little-{name}", tmp_path / "little")
    assert peak("import", tmp_path / name, tmp_path / "new") < little + 250


@pytest.mark.parametrize("name", ["x.jsonl", "x.parquet", "x.arrow", "x.csv"])
def test_a_row_that_does_not_fit_is_named(tmp_path, name):
    """What comes before it is in the bucket, and --skip goes on behind it."""
    bucket = left_behind(tmp_path / "b", [{"id": 0, "v": 1.5}])
    rows = [{"id": i, "v": None if i < 8000 else "x"} for i in range(8003)]
    other = left_behind(tmp_path / "o", rows)
    assert run("export", other, tmp_path / name).status == 0
    types = ["--type", "v=string"] if name == "x.csv" else []
    line = refused("import", tmp_path / name, bucket, *types)
    assert f"{name}: row 8001: " in line
    assert "field 'v' is string, but the bucket holds double" in line
    assert "8000 rows are in the bucket, and --skip 8000 goes on behind them" in line
    assert read_all(bucket) == [{"id": 0, "v": 1.5}, *rows[:8000]]
    line = refused("import", tmp_path / name, bucket, *types, "--skip", 8001)
    assert f"{name}: row 8002: " in line
    assert "nothing was imported" in line


@pytest.mark.parametrize(
    ("name", "contents", "message"),
    [
        ("x.jsonl", '{"id": 1}\n{"id": \n', "line 2"),
        ("x.jsonl", '{"id": 1}\n[1]\n', "line 2: a record is an object"),
        ("x.jsonl", '{"id": 1}\n{"id": {"$bytes": 1}}\n', "line 2"),
        ("x.jsonl", b'{"id": 1}\n{"id": "\xff"}\n', "line 2"),
        ("x.csv", "id\n1\n2,3\n", "Expected 1 columns, got 2"),
        ("x.parquet", "no parquet", "x.parquet"),
        ("x.arrow", "no arrow", "x.arrow"),
    ],
)
def test_files_that_are_damaged(tmp_path, name, contents, message):
    file = tmp_path / name
    file.write_bytes(contents if isinstance(contents, bytes) else contents.encode())
    line = refused("import", file, tmp_path / "b")
    assert str(file) in line
    assert message in line


def test_a_type_that_no_record_holds(tmp_path):
    parquet.write_table(
        pa.table({"id": [1], "d": pa.array([5], pa.duration("s"))}), tmp_path / "x.pq"
    )
    line = refused("import", tmp_path / "x.pq", tmp_path / "b")
    assert "row 1: column 'd' is duration" in line


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["import", "nothing.csv", "b"], "nothing.csv: No such file or directory"),
        (["import", "x.txt", "b"], "'.txt' tells no format"),
        (["import", "x.txt", "b", "--format", "xml"], "'xml' is none of arrow"),
        (["import", "x.csv", "full"], "full holds no bucket"),
        (["export", "full", "y.csv"], "full holds no bucket"),
        (["export", "nothing", "y.csv"], "nothing does not exist"),
        (["export", "x.csv", "y.csv"], "x.csv is no folder"),
    ],
)
def test_wrong_arguments(tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x.csv").write_text("id\n1\n")
    (tmp_path / "x.txt").write_text("id\n1\n")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").write_text("")
    assert message in refused(*arguments)
    assert names_in(tmp_path) == ["full", "x.csv", "x.txt"]


def test_an_export_that_fails_leaves_no_file(tmp_path):
    bucket = left_behind(tmp_path / "b", [{"id": 1}])
    refused("export", bucket, tmp_path / "nowhere" / "x.csv")
    (tmp_path / "x.csv").mkdir()
    assert "x.csv" in refused("export", bucket, tmp_path / "x.csv", "--overwrite")
    assert names_in(tmp_path) == ["b", "x.csv"]


def test_importing_into_a_busy_bucket(tmp_path):
    (tmp_path / "x.csv").write_text("id\n1\n")
    with busy(tmp_path / "bucket_0") as writer:
        line = refused("import", tmp_path / "x.csv", tmp_path / "bucket_0", status=3)
        assert f"held by process {writer.pid}" in line


def test_the_id_of_a_new_bucket_is_that_of_its_folder(tmp_path):
    (tmp_path / "x.csv").write_text("id\n1\n")
    assert run("import", tmp_path / "x.csv", tmp_path / "t" / "bucket_7").status == 0
    assert run("ls", tmp_path).line["bucket_id"] == 7
    assert run("import", tmp_path / "x.csv", tmp_path / "t" / "bucket_7").line["end_offset"] == 2


def test_an_interrupted_import_says_how_far_it_came(tmp_path):
    """The file is a pipe that gives some rows and no end."""
    with began("import", "-", tmp_path / "b", "--format", "jsonl", stdin=subprocess.PIPE) as work:
        work.stdin.write('{"id": 1}\n' * 10_000)  # a whole batch
        work.stdin.flush()
        for _ in range(10_000):
            if (tmp_path / "b").exists() and run("ls", tmp_path / "b").out.count(
                '"records": 10000'
            ):
                break
        work.send_signal(signal.SIGINT)
        assert work.wait(60) == 130
        (line,) = work.stderr.read().splitlines()
    assert "interrupted; 10000 rows are in the bucket, and --skip 10000 goes on" in line
    assert len(read_all(tmp_path / "b")) == 10_000


def test_progress_in_a_terminal_alone(tmp_path):
    bucket = left_behind(tmp_path / "b", [{"id": i} for i in range(1000)])
    assert run("export", bucket, tmp_path / "x.parquet").err == ""
    for arguments in (
        ["export", bucket, tmp_path / "y.parquet"],
        ["import", tmp_path / "x.parquet", tmp_path / "c"],
    ):
        shown = run_in_terminal(*arguments, columns=150)
        assert shown.status == 0
        assert "100 %" in shown.out
        assert "1,000 records" in shown.out
        assert "{" not in shown.out
    quiet = run_in_terminal("export", bucket, tmp_path / "z.parquet", "-q", columns=150)
    assert "%" not in quiet.out
    assert "1,000 records are in" in quiet.out
    as_json = run_in_terminal("export", bucket, tmp_path / "w.csv", "--json", "-q", columns=500)
    assert as_json.line["records"] == 1000


def test_interrupted_in_a_terminal(tmp_path):
    fifo = tmp_path / "x.jsonl"
    os.mkfifo(fifo)
    child = terminal("import", fifo, tmp_path / "b", "--format", "jsonl")
    with fifo.open("w") as out:
        out.write('{"id": 1}\n' * 10_000)
        out.flush()
        child.expect("10,000 records", timeout=60)
        child.sendintr()
        child.expect("interrupted; 10000 rows")
    child.wait()
    assert child.exitstatus == 130
    assert "Traceback" not in plain(child.before)


def test_export_to_a_reader_that_goes_away(tmp_path):
    bucket = left_behind(tmp_path / "b", [{"text": "x" * 1000} for _ in range(5000)])
    work = (
        f"{' '.join(COMMAND)} export {bucket} - --format jsonl | head -1; echo ${{PIPESTATUS[0]}}"
    )
    ended = subprocess.run(
        ["bash", "-c", work], capture_output=True, text=True, check=False, timeout=60
    )
    assert ended.stderr == ""
    first, status = ended.stdout.splitlines()
    assert json.loads(first) == {"text": "x" * 1000}
    assert status == "141"
