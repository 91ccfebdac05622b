"""System calls of a put and a flush that fail, or are the last one, with the real Lance: by strace.

A put returns or raises, and whatever was refused or killed, the next opening has every record that
was acknowledged, once and in order, and can flush.

strace counts the calls of each thread by itself, and Lance takes any of several threads. So "the
n-th call" may be one in each thread, and n grows until no thread makes as many. Where a file's name
is known beforehand, only calls about it count. What is left out is an error from `write` to data
and transaction files, whose names are random: Lance wakes its threads by `write` too, and strace
cannot tell the two apart. The process is killed there, though.
"""

import os
import re
import shutil
import signal
import subprocess
import sys

import pytest

from helpers import PROGRAMS, check_table, ids, lives_of, same_records
from persisting.queue import PersistingBackend

sys.path.insert(0, str(PROGRAMS))

from numbered import record

#: More than any thread makes of one kind in three flushes would take long and show nothing new.
MOST_CALLS = 14

# The calls; the only files that they are to be about, if their names can be known; and what must
# have been hit. A manifest is written under a name with #1 first, and so committed by a link.
RENAMES = "rename,renameat,renameat2"
GROUPS = {
    "log written": ("pwritev", None, {"N.wal"}),
    "data renamed": (RENAMES, None, {"N.lance"}),
    "manifest written": ("write,pwrite64", "manifest#1", {"N.manifest#N"}),
    "manifest linked": ("link,linkat", "manifest#1", {"N.manifest"}),
    "manifest synced": ("fsync,fdatasync", "manifest", {"N.manifest"}),
    "checkpoint written": ("pwritev", "CHECKPOINT.tmp", {"CHECKPOINT.tmp"}),
    "checkpoint synced": ("fsync,fdatasync", "CHECKPOINT.tmp", {"CHECKPOINT.tmp"}),
    "checkpoint renamed": (RENAMES, "CHECKPOINT.tmp", {"CHECKPOINT"}),
    "all synced": ("fsync,fdatasync", None, {"N.wal", "N.lance", "_versions", "wal"}),
    "all written": ("write,pwrite64,pwritev", None, set()),
}

FAULTS = ["error=EIO", "error=ENOSPC", "signal=KILL"]


def cases():
    for group in GROUPS:
        for fault in FAULTS:
            if group == "all written" and fault != "signal=KILL":
                continue  # the wake-ups of threads would fail, which no disk does
            if "synced" in group and fault == "error=ENOSPC":
                continue  # no other than EIO to us
            yield group, fault


pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def program():
    """Lives of the program that is to meet faults."""
    if shutil.which("strace") is None:
        pytest.skip("there is no strace")
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as other:
        strace, said = attach(other.pid, ["-e", "trace=none", "-o", os.devnull])
        other.stdin.close()
        strace.communicate()
    if "attached" not in said:
        pytest.skip(f"strace may not attach here: {said.strip()}")
    with lives_of("faulty.py") as lives:
        yield lives


def paths_of(bucket, only):
    """Return the files that calls are to be about; Lance names a manifest by what its version is
    short of 2^64 - 1.
    """
    if only is None:
        return []
    if only.startswith("manifest"):
        versions = bucket / "data.lance" / "_versions"
        return [versions / f"{2**64 - 1 - version}.{only}" for version in range(1, 10)]
    return [bucket / only]


def attach(pid, options):
    """Trace a process from now on; also return what strace says to that."""
    strace = subprocess.Popen(
        ["strace", "-f", "-y", "-s", "0", *options, "-p", str(pid)],
        stderr=subprocess.PIPE,
        text=True,
    )
    return strace, strace.stderr.readline()


def hit_files(trace, fault):
    """What the calls that met the fault were about: the last path in each, numbers as N."""
    mark = r"\(INJECTED\)" if fault.startswith("error") else r"<unfinished|\) += \?|INJECTED"
    names = set()
    for line in trace.splitlines():
        paths = re.findall(r"/[^\"<>]*/([^/\"<>]+)[\">]", line)
        if re.search(mark, line) and paths:
            name = re.sub(r"^\d+-[-0-9a-f]+(?=\.)|^[0-9a-f]+(?=\.)|(?<=#)\d+", "N", paths[-1])
            names.add(name)
    return names


def run_with_fault(program, folder, group, fault, n):
    """Return the files whose calls met the fault, and whether there was any."""
    calls, only, _ = GROUPS[group]
    bucket, fifo, output = folder / "bucket", folder / "fifo", folder / "trace"
    folder.mkdir()
    os.mkfifo(fifo)
    gate = os.open(fifo, os.O_RDWR)
    program.begin(str(bucket), str(fifo))
    assert program.line() == ["ready"]
    options = ["-o", str(output), "-e", f"trace={calls}", "-e", f"inject={calls}:{fault}:when={n}"]
    options += [word for path in paths_of(bucket, only) for word in ("-P", str(path))]
    strace, said = attach(program.pid, options)
    assert "attached" in said
    os.close(gate)
    told = list(program)
    strace.communicate()
    trace = output.read_text()
    is_kill = fault.startswith("signal")
    was_hit = program.ended == -signal.SIGKILL if is_kill else "(INJECTED)" in trace
    assert program.ended == 0 or (is_kill and was_hit), program.stderr()

    submitted = [0, 1] + [int(words[1]) for words in told if words[0] == "s"]
    acknowledged = [0, 1] + [int(words[1]) for words in told if words[0] == "a"]
    what = f"{group}, {fault}, {n}: {told}\n{trace}"
    with PersistingBackend(0, bucket).sync() as backend:
        stored = ids(backend.get())
        assert stored == submitted[: len(stored)], f"no prefix of what was submitted: {what}"
        assert set(acknowledged) <= set(stored), f"{stored} lacks what was acknowledged: {what}"
        records = [record(number) for number in [*stored, 99]]
        backend.put(record(99))
        assert same_records(backend.get(), records), what
        backend.flush()
    assert check_table(bucket, records) == len(records), what
    shutil.rmtree(folder)
    return hit_files(trace, fault), was_hit


@pytest.mark.timeout(180)
@pytest.mark.parametrize(("group", "fault"), list(cases()))
def test_each_call_of_a_flush_meets_a_fault(program, memory_folder, group, fault):
    calls, _, expected = GROUPS[group]
    hit = set()
    for n in range(1, MOST_CALLS + 1):
        files, was_hit = run_with_fault(program, memory_folder / str(n), group, fault, n)
        hit |= files
        if not was_hit:
            break
    assert n > 1, f"none of {calls} was seen"
    print(f"{n - 1} rounds hit {sorted(hit)}")  # noqa: T201
    if fault != "signal=KILL":
        assert expected <= hit
