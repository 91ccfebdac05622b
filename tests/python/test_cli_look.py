"""ls, stat, schema, get and tail: through a pipe and in a terminal."""

import json
import signal
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from cli_helpers import COMMAND, began, busy, left_behind, refused, run, run_in_terminal, terminal

FLUSHED = [{"id": i, "name": f"record {i}", "score": i / 4} for i in range(150)]
UNFLUSHED = [{"id": i, "name": None if i % 2 else "late", "score": i / 4} for i in range(150, 200)]
ALL = FLUSHED + UNFLUSHED


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    path = tmp_path_factory.mktemp("queues")
    left_behind(path / "events" / "bucket_0", FLUSHED, UNFLUSHED)
    left_behind(path / "events" / "bucket_1", [{"id": 1}], bucket_id=1)
    return path


@pytest.fixture
def bucket(original):
    """Nobody changes it: these commands only look."""
    return original / "events" / "bucket_0"


def test_ls_through_a_pipe(original):
    ended = run("ls", original)
    assert (ended.status, ended.err) == (0, "")
    first, second = ended.lines
    assert first["folder"] == str(original / "events" / "bucket_0")
    assert (first["topic"], first["bucket_id"]) == ("events", 0)
    assert (first["records"], first["flushed"], first["unflushed"]) == (200, 150, 50)
    assert first["fragments"] == 1
    assert first["holder"] is None
    assert first["log_bytes"] > 500
    assert first["table_bytes"] > 1000
    assert (second["bucket_id"], second["records"], second["unflushed"]) == (1, 1, 1)


def test_ls_in_a_terminal(original):
    ended = run_in_terminal("ls", original)
    assert ended.status == 0
    head = next(line for line in ended.out.splitlines() if "topic" in line)
    assert head.split() == [
        *("topic", "bucket", "records", "flushed", "unflushed", "log", "table", "fragments"),
        "holder",
    ]
    row = next(line for line in ended.out.splitlines() if line.split()[:2] == ["events", "0"])
    assert row.split()[2:5] == ["200", "150", "50"]
    assert "{" not in ended.out


def test_ls_names_the_holder(tmp_path):
    with busy(tmp_path / "bucket_0") as writer:
        writer.put({"id": 1})
        line = run("ls", tmp_path).line
        assert line["holder"] == writer.pid
        assert line["records"] == 1


def test_ls_goes_on_after_a_bucket_that_cannot_be_read(original, tmp_path):
    whole = left_behind(tmp_path / "t" / "bucket_0", [{"id": 1}])
    broken = left_behind(tmp_path / "t" / "bucket_1", [{"id": 1}], bucket_id=1)
    (segment,) = (broken / "wal").glob("*.wal")
    contents = bytearray(segment.read_bytes())
    contents[:8] = b"\xff" * 8
    segment.write_bytes(contents)
    ended = run("ls", tmp_path)
    assert ended.status == 2
    assert ended.line["folder"] == str(whole)
    assert segment.name in ended.err
    assert len(ended.err.splitlines()) == 1


def test_stat(bucket):
    stats = run("stat", bucket).line
    assert stats["total_count"] == 200
    assert stats["persisted_count"] == 150
    assert stats["fields"] == 3
    assert stats["storage_path"] == str(bucket)
    shown = run_in_terminal("stat", bucket).out
    assert "total_count" in shown
    assert f"({stats['table_bytes']:,} bytes)" in shown
    assert json.loads(run_in_terminal("stat", bucket, "--json", columns=2000).out) == stats


def test_schema(bucket):
    assert run("schema", bucket).lines == [
        {"name": "id", "type": "int64", "default": None},
        {"name": "name", "type": "string", "default": None},
        {"name": "score", "type": "double", "default": None},
    ]
    history = run("schema", bucket, "--history").lines
    assert [(each["change"], each["field"], each["offset"]) for each in history] == [
        ("added", "id", 0),
        ("added", "name", 0),
        ("added", "score", 0),
    ]
    assert "int64" in run_in_terminal("schema", bucket).out
    assert "added" in run_in_terminal("schema", bucket, "--history").out


def lines_of(records, first=0):
    return [{"_offset": i, **record} for i, record in enumerate(records, first)]


@pytest.mark.parametrize(
    ("options", "first", "end"),
    [
        ([], 0, 200),
        (["--offset", 148], 148, 200),
        (["--offset", 148, "--limit", 5], 148, 153),
        (["--limit", 0], 0, 0),
        (["--offset", 200], 200, 200),
        (["--offset", 1000], 200, 200),
    ],
)
def test_get(bucket, options, first, end):
    ended = run("get", bucket, *options)
    assert (ended.status, ended.err) == (0, "")
    assert ended.lines == lines_of(ALL[first:end], first)


@pytest.mark.parametrize(
    ("where", "fits"),
    [
        ("id = 7", lambda r: r["id"] == 7),
        ("score > 37 and score <= 38", lambda r: 37 < r["score"] <= 38),
        ("name is null", lambda r: r["name"] is None),
        ("name = 'late' or id in (1, 2)", lambda r: r["name"] == "late" or r["id"] in {1, 2}),
        ("name like 'record 14%'", lambda r: (r["name"] or "").startswith("record 14")),
        ("_offset between 149 and 150", lambda r: 149 <= r["id"] <= 150),
        ("false", lambda r: False),
    ],
)
def test_get_where_takes_flushed_and_unflushed_alike(bucket, where, fits):
    assert run("get", bucket, "--where", where).lines == [
        each for each in lines_of(ALL) if fits(each)
    ]


def test_get_where_with_offset_and_limit(bucket):
    ended = run("get", bucket, "--where", "id % 10 = 0", "--offset", 5, "--limit", 16)
    assert [each["id"] for each in ended.lines] == list(range(10, 170, 10))


def test_where_finds_every_type(tmp_path):
    when = datetime(2020, 5, 17, 12, tzinfo=UTC)
    record = {"t": when, "v": np.arange(3, dtype="f4"), "s": {"a": 1}, "e": {}, "n": None, "l": []}
    bucket = left_behind(tmp_path / "b", [record], [record])
    for where in (
        "t = timestamp '2020-05-17 12:00:00'",
        "s.a = 1",
        "v is not null",
        "n is null",
        "t is not null and _offset < 5",
    ):
        assert len(run("get", bucket, "--where", where).lines) == 2, where


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("nope = 1", "No field named nope"),
        ("id =", "Expected: an expression"),
        ("id", "does not return a boolean"),
        ("id = 'x'", "could not convert"),
        ("__import__('os').system('true')", "--where"),
    ],
)
def test_a_wrong_expression(bucket, where, message):
    line = refused("get", bucket, "--where", where)
    assert message in line
    assert "rust" not in line
    assert ".rs" not in line
    assert message in refused("get", bucket, "--where", where, "--offset", 1000)


def test_get_in_a_terminal(bucket):
    ended = run_in_terminal("get", bucket, "--offset", 148, "--limit", 3)
    rows = [line.split() for line in ended.out.splitlines() if line.strip()]
    assert rows[0] == ["_offset", "id", "name", "score"]
    assert rows[2:] == [
        ["148", "148", "record", "148", "37.0"],
        ["149", "149", "record", "149", "37.25"],
        ["150", "150", "late", "37.5"],
    ]
    as_json = run_in_terminal("get", bucket, "--limit", 1, "--json")
    assert as_json.line == {"_offset": 0, **ALL[0]}


def test_a_record_cannot_act_on_the_terminal(tmp_path):
    nasty = {"text": "\x1b[31mred\x9b31m\x07", "[bold]": "[red]markup[/red]"}
    bucket = left_behind(tmp_path / "b", [nasty])
    child = terminal("get", bucket, NO_COLOR="1")
    shown = child.read()
    assert "\x1b[31m" not in shown
    assert "\x9b" not in shown
    assert "\x07" not in shown
    assert "[red]markup[/red]" in shown
    assert "[bold]" in shown
    through_pipe = run("get", bucket)
    assert through_pipe.line == {"_offset": 0, **nasty}
    assert "\x9b" not in through_pipe.out


def test_records_too_wide_for_a_table_are_lines(tmp_path):
    record = {f"field_{i:02}": "some long text" for i in range(30)}
    bucket = left_behind(tmp_path / "b", [record])
    shown = run_in_terminal("get", bucket).out.replace("\n", "")
    assert json.loads(shown.removeprefix("0  ")) == record


def test_no_colour(bucket):
    assert "\x1b[1m" in terminal("ls", bucket).read()
    assert "\x1b[" not in terminal("ls", bucket, NO_COLOR="1").read()
    assert "\x1b[" not in terminal("ls", bucket, TERM="dumb").read()


def test_other_encodings_get_ascii(tmp_path, monkeypatch):
    bucket = left_behind(tmp_path / "b", [{"text": "日本語"}])
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    ended = run("get", bucket)
    assert ended.out.isascii()
    assert ended.line["text"] == "日本語"


def test_tail(original, bucket):
    assert run("tail", bucket).lines == lines_of(ALL)[-10:]
    assert run("tail", bucket, "-n", 55).lines == lines_of(ALL)[-55:]
    assert run("tail", bucket, "--number", 0).lines == []
    of_both = run("tail", original, "-n", 1).lines
    assert [(each["_bucket"], each["_offset"]) for each in of_both] == [
        (str(bucket), 199),
        (str(bucket.with_name("bucket_1")), 0),
    ]
    shown = run_in_terminal("tail", original, "-n", 1).out
    assert str(bucket) in shown
    assert "199" in shown


@pytest.mark.parametrize("other", [False, True])
def test_tail_follows_another_process(tmp_path, other):
    """Also several buckets at once, and over a flush."""
    bucket = tmp_path / "bucket_0"
    if other:
        left_behind(tmp_path / "bucket_1", [{"id": -1}], bucket_id=1)
    with busy(bucket) as writer:
        writer.put({"id": 0})
        with began("tail", "-f", tmp_path if other else bucket) as tail:

            def ids(count):
                return sorted(json.loads(tail.stdout.readline())["id"] for _ in range(count))

            assert ids(1 + other) == ([-1, 0] if other else [0])
            for i in range(1, 6):
                writer.put({"id": i})
                assert ids(1) == [i]
                if i % 2:
                    writer.flush()
            tail.send_signal(signal.SIGINT)
            assert tail.wait(30) == 130
            assert tail.stderr.read() == ""


def test_tail_follows_in_a_terminal(tmp_path):
    bucket = tmp_path / "bucket_0"
    with busy(bucket) as writer:
        writer.put({"id": 0})
        child = terminal("tail", "-f", bucket)
        child.expect("_offset")
        writer.put({"word": "later"})
        child.expect('1  {"id": null, "word": "later"}')
        child.sendintr()
        child.expect("\\S*$")
        child.wait()
        assert child.exitstatus == 130


def test_the_reader_of_the_output_may_go_away(tmp_path):
    bucket = left_behind(tmp_path / "b", [{"text": "x" * 1000} for _ in range(5000)])
    get = subprocess.Popen(
        [*COMMAND, "get", bucket], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    head = subprocess.run(
        ["head", "-1"], stdin=get.stdout, capture_output=True, text=True, check=True, timeout=60
    )
    get.stdout.close()
    assert get.stderr.read() == ""
    assert get.wait(60) == 141
    get.stderr.close()
    assert json.loads(head.stdout)["_offset"] == 0


def test_a_full_output_device_is_told(bucket):
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run(
            [*COMMAND, "get", bucket],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            timeout=60,
        )
    assert ended.returncode == 2
    assert ended.stderr == "persisting: No space left on device\n"


def test_an_empty_bucket(tmp_path):
    bucket = left_behind(tmp_path / "b")
    assert run("ls", bucket).line["records"] == 0
    assert run("get", bucket).lines == []
    assert run("tail", bucket).lines == []
    assert run("schema", bucket).lines == []
    assert run("get", bucket, "--where", "_offset > 3").lines == []
    assert run_in_terminal("get", bucket).out.strip() == ""
    assert run_in_terminal("ls", bucket).status == 0
