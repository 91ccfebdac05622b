"""The order of system calls behind a put and a flush, with the real Lance, as strace saw them.

Lance syncs nothing itself, so what a power cut leaves depends on this order alone.
"""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).parent / "programs" / "two_flushes.py"
CALLS = "fsync,fdatasync,rename,renameat,renameat2,link,linkat,unlink,unlinkat,write"

# (what happens, the call as strace prints it), each after the one before.
PUT = [
    ("the log's frames are synced", r"fdatasync\(\d+<[^>]*/wal/[^>]*\.wal>"),
    ("its new segment is in the folder", r"fsync\(\d+<[^>]*/wal>"),
    ("the put is acknowledged", r'"ACKNOWLEDGED'),
]
FLUSH = [
    ("data is synced", r"fsync\(\d+<[^>]*/data\.lance/data/[^>]*\.lance>"),
    ("the data folder is synced", r"fsync\(\d+<[^>]*/data\.lance/data>"),
    ("the version is committed", r'(?:link|rename)\w*\(.*/_versions/\d+\.manifest"'),
    ("the transaction is synced", r"fsync\(\d+<[^>]*/_transactions/[^>]*\.txn>"),
    ("the manifest is synced", r"fsync\(\d+<[^>]*/_versions/\d+\.manifest>"),
    ("the folder of versions is synced", r"fsync\(\d+<[^>]*/_versions>"),
    ("the checkpoint is synced", r"f(?:data)?sync\(\d+<[^>]*/CHECKPOINT\.tmp>"),
    ("the checkpoint is replaced", r'rename\w*\(.*/CHECKPOINT"'),
    ("the bucket's folder is synced", r"fsync\(\d+<[^>]*/bucket>"),
    ("the log lets go", r'unlink\w*\(.*/wal/[^"]*\.wal"'),
    ("flush returns", r'"END'),
]


@pytest.fixture
def trace(tmp_path):
    """The system calls between BEGIN and END."""
    if shutil.which("strace") is None:
        pytest.skip("there is no strace")
    output = tmp_path / "trace"
    command = ["strace", "-f", "-y", "-qq", "-s", "40", "-e", f"trace={CALLS}", "-o", str(output)]
    done = subprocess.run(
        [*command, sys.executable, str(PROGRAM), str(tmp_path / "bucket")],
        capture_output=True,
        text=True,
        check=False,
    )
    if "ptrace" in done.stderr:
        pytest.skip(f"strace may not trace here: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr
    return output.read_text().partition('"BEGIN')[2].splitlines()


def test_a_put_is_acknowledged_after_its_sync_and_a_flush_goes_in_its_order(trace):
    at = 0
    for what, call in PUT + FLUSH:
        found = [i for i, line in enumerate(trace) if re.search(call, line)]
        later = [i for i in found if i >= at]
        assert later, f"{what}: not seen after line {at} of\n" + "\n".join(trace)
        at = later[0] + 1
    for what, call in [PUT[0], *FLUSH[:2], FLUSH[2], FLUSH[6], FLUSH[9]]:
        assert sum(bool(re.search(call, line)) for line in trace) == 1, f"{what}: more than once"
