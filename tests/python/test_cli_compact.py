"""compact, through a pipe and in a terminal. A busy bucket: test_cli_errors.py."""

import pytest

from cli_helpers import read_all, run, run_in_terminal
from persisting.queue import PersistingBackend


@pytest.fixture
def bucket(tmp_path):
    """A bucket of many small fragments."""
    folder = tmp_path / "t" / "bucket_0"
    with PersistingBackend(0, folder, flush_interval=1e6).sync() as backend:
        for i in range(6):
            backend.put_batch([{"id": 10 * i + j} for j in range(10)])
            backend.flush()
    return folder


def test_compact(bucket):
    before = run("ls", bucket).line
    assert before["fragments"] > 1
    ended = run("compact", bucket)
    assert (ended.status, ended.err) == (0, "")
    line = ended.line
    assert line["folder"] == str(bucket)
    assert line["fragments_before"] == before["fragments"]
    assert line["fragments_after"] == 1 == run("ls", bucket).line["fragments"]
    assert line["versions_removed"] > 0
    assert line["duration_seconds"] > 0
    assert read_all(bucket) == [{"id": i} for i in range(60)]
    assert run("verify", bucket).status == 0


def test_compact_in_a_terminal(bucket):
    shown = run_in_terminal("compact", bucket, columns=200)
    assert shown.status == 0
    assert "fragments are 1 now" in shown.out
    assert "compacting" in shown.out
    quiet = run_in_terminal("compact", bucket, "--quiet", columns=200)
    assert "compacting" not in quiet.out
    assert "1 fragments are 1 now" in quiet.out
