"""Every exit status, and errors as one line."""

import re
import subprocess
from pathlib import Path

import pytest

import persisting
from cli_helpers import (
    COMMAND,
    busy,
    left_behind,
    read_all,
    refused,
    run,
    run_in_terminal,
    run_without_privileges,
)
from helpers import log_end
from persisting.cli import errors, main

ONE_BUCKET = ["stat", "schema", "get", "recover", "compact"]
BUCKETS = ["ls", "tail", "top", "verify"]


@pytest.fixture
def bucket(tmp_path):
    return left_behind(tmp_path / "t" / "bucket_0", [{"id": 1}], [{"id": 2}])


@pytest.mark.parametrize("command", [*ONE_BUCKET, *BUCKETS])
def test_paths_without_a_bucket(tmp_path, command):
    file = tmp_path / "file"
    file.write_text("")
    empty = tmp_path / "empty"
    empty.mkdir()
    for path in (tmp_path / "nowhere", file, empty):
        assert str(path) in refused(command, path)
    assert list(empty.iterdir()) == []


@pytest.mark.parametrize("command", ONE_BUCKET)
def test_a_folder_above_is_no_bucket(bucket, command):
    assert f"such as {bucket}" in refused(command, bucket.parent)


@pytest.mark.parametrize("command", [*ONE_BUCKET, *BUCKETS])
@pytest.mark.parametrize("above", [True, False])
def test_no_permission(bucket, command, above):
    closed = bucket.parent if above else bucket
    closed.chmod(0)
    try:
        ended = run_without_privileges(command, bucket)
    finally:
        closed.chmod(0o700)
    assert (ended.status, ended.out) == (2, "")
    (line,) = ended.err.splitlines()
    assert str(bucket) in line
    assert re.search("Permission denied|not readable", line)


def test_a_file_that_may_not_be_read(tmp_path):
    file = tmp_path / "x.csv"
    file.write_text("id\n1\n")
    file.chmod(0)
    ended = run_without_privileges("import", file, tmp_path / "b")
    assert ended.status == 2
    assert f"{file}' is not readable" in ended.err
    assert not (tmp_path / "b").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nonsense"], "No such command 'nonsense'"),
        (["ls"], "Missing argument 'PATH'"),
        (["ls", ".", "."], "unexpected extra argument"),
        (["ls", ".", "--nope"], "No such option: --nope"),
        (["get", ".", "--limit", "x"], "--limit"),
        (["get", ".", "--offset", "-1"], "--offset"),
        (["top", ".", "--interval", "0"], "--interval"),
        (["repair", "."], "Missing option '--into'"),
    ],
)
def test_usage(arguments, message):
    line = refused(*arguments)
    assert message in line
    assert "--help)" in line


def test_without_a_command():
    ended = run()
    assert (ended.status, ended.out) == (2, "")
    assert "Usage: persisting" in ended.err


def test_version():
    ended = run("--version")
    assert (ended.status, ended.out) == (0, f"persisting {persisting.__version__}\n")


def test_debug_gives_the_traceback(tmp_path):
    ended = run("--debug", "ls", tmp_path)
    assert ended.status == 2
    assert ended.err.startswith("Traceback (most recent call last):\n")
    assert ended.err.splitlines()[-1].startswith("persisting: ")
    refused("ls", tmp_path)


def test_damage(tmp_path):
    """Looking fails with 2, verify has found something (1)."""
    bucket = left_behind(tmp_path / "b", [{"id": i} for i in range(50)], each=True)
    (segment,) = (bucket / "wal").glob("*.wal")
    contents = bytearray(segment.read_bytes())
    contents[log_end(segment) // 2] ^= 0x10
    segment.write_bytes(contents)
    for command in ("recover", "get", "stat", "export"):
        line = refused(command, bucket, *([tmp_path / "x.csv"] if command == "export" else []))
        assert str(segment) in line
        assert "byte" in line
    assert not (tmp_path / "x.csv").exists()
    ended = run("verify", bucket)
    assert (ended.status, ended.err) == (1, "")
    assert "DAMAGED" in ended.out


@pytest.mark.parametrize("command", ["recover", "compact"])
def test_a_busy_bucket(tmp_path, command):
    bucket = tmp_path / "bucket_0"
    with busy(bucket) as writer:
        writer.put({"id": 1})
        assert f"held by process {writer.pid}" in refused(command, bucket, status=3)
        # verify and repair need the lock too; those that look do not.
        assert f"process {writer.pid}" in refused("verify", bucket, status=3)
        assert "process" in refused("repair", bucket, "--into", tmp_path / "new", status=3)
        for looks in ("ls", "stat", "schema", "get", "tail"):
            assert run(looks, bucket).status == 0
    assert read_all(bucket) == [{"id": 1}]


def test_recover(bucket):
    ended = run("recover", bucket)
    assert ended.status == 0
    assert (ended.line["recovered"], ended.line["records"]) == (1, 2)
    assert run("ls", bucket).line["unflushed"] == 0
    again = run_in_terminal("recover", bucket)
    assert again.status == 0
    assert "0 records went from the log into the table, which holds all 2 now" in again.out


def test_interrupted_at_once(bucket):
    """Also before the command has begun in earnest, and without a word."""
    work = subprocess.Popen(
        [*COMMAND, "top", bucket], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert '"topic"' in work.stdout.readline()
    work.send_signal(2)
    _, err = work.communicate(timeout=60)
    assert work.returncode == 130
    assert err == ""


def test_a_bug_is_one_line_too(monkeypatch, capsys):
    def broken(*_arguments, **_options):
        raise KeyError("x")

    monkeypatch.setattr("persisting.cli.look.list_buckets", broken)
    with pytest.raises(SystemExit) as ended:
        main(["ls", "."])
    assert ended.value.code == 2
    assert "unexpected KeyError: 'x'; run persisting --debug" in capsys.readouterr().err


def test_the_statuses_are_documented():
    page = (Path(__file__).parents[2] / "docs" / "cli.md").read_text()
    for status in errors.Status:
        assert f"| {status.value} |" in page
        assert f" {status.value} " in f" {errors.STATUS_HELP}"
