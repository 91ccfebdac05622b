"""The command line as a person meets it: through a pipe, and in a terminal of a fixed size."""

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import warnings
from dataclasses import dataclass

import pexpect

from persisting.queue import PersistingBackend

COMMAND = [sys.executable, "-m", "persisting"]
WIDTH = 100

_ESCAPES = re.compile(r"\x1b(?:\[[0-9;?]*[A-Za-z]|[=>]|\][^\x07]*\x07)")


@dataclass
class Ended:
    """What a command left."""

    status: int
    out: str
    err: str = ""

    @property
    def lines(self):
        """Its lines of JSON."""
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def line(self):
        """Its only one."""
        (line,) = self.lines
        return line


def run(*arguments, stdin=None, **more):
    """Run a command through pipes."""
    result = subprocess.run(
        [*COMMAND, *map(str, arguments)],
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
        timeout=90,
        **more,
    )
    return Ended(result.returncode, result.stdout, result.stderr)


def run_without_privileges(*arguments):
    """Run a command that may only what the files' modes allow, also where root runs the tests."""
    prefix = [] if os.geteuid() else ["setpriv", "--bounding-set=-all"]
    result = subprocess.run(
        [*prefix, *COMMAND, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=90,
    )
    return Ended(result.returncode, result.stdout, result.stderr)


def refused(*arguments, status=2, **more):
    """Run a command that does nothing, and return its only line on stderr."""
    ended = run(*arguments, **more)
    assert (ended.status, ended.out) == (status, ""), ended
    (line,) = ended.err.splitlines()
    assert line.startswith("persisting: ")
    assert "Traceback" not in line
    return line


@contextlib.contextmanager
def began(*arguments, **more):
    """A command that runs, with pipes; it is killed at the end if it has not ended."""
    with subprocess.Popen(
        [*COMMAND, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **more,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def terminal(*arguments, rows=40, columns=WIDTH, **env):
    """Begin a command in a terminal."""
    warnings.filterwarnings("ignore", "lance is not fork-safe")  # the child execs at once
    kept = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}
    return pexpect.spawn(
        COMMAND[0],
        [*COMMAND[1:], *map(str, arguments)],
        dimensions=(rows, columns),
        encoding="utf-8",
        timeout=60,
        env={**kept, "TERM": "xterm-256color", **env},
    )


def run_in_terminal(*arguments, **more):
    """Run a command in a terminal; `out` is what it showed, without colours."""
    child = terminal(*arguments, **more)
    child.expect(pexpect.EOF)
    child.close()
    assert child.signalstatus is None
    return Ended(child.exitstatus, plain(child.before))


def plain(text):
    """What a terminal got, without what moves its cursor or colours."""
    return _ESCAPES.sub("", text).replace("\r", "")


def left_behind(folder, *batches, bucket_id=0, each=False, **options):
    """A bucket as a dead process leaves it: all batches but the last are in the table.

    With `each` every record of that one was put by itself.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    live = folder.with_name(folder.name + ".live")
    with PersistingBackend(bucket_id, live, flush_interval=1e6, **options).sync() as backend:
        for i, batch in enumerate(batches):
            if i:
                backend.flush()
            if each and batch is batches[-1]:
                for record in batch:
                    backend.put(record)
            else:
                backend.put_batch(batch)
        shutil.copytree(live, folder)
    shutil.rmtree(live)
    return folder


@contextlib.contextmanager
def busy(folder, bucket_id=0):
    """Another process that holds a bucket, and puts each JSON record that it is sent."""
    program = (
        "import json, sys\n"
        "from persisting.queue import PersistingBackend\n"
        "options = {'flush_interval': 1e6, 'enable_metrics': True}\n"
        f"backend = PersistingBackend({bucket_id}, sys.argv[1], **options).sync()\n"
        "print('ready', flush=True)\n"
        "for line in sys.stdin:\n"
        "    if line.strip() == 'flush':\n"
        "        backend.flush()\n"
        "    else:\n"
        "        backend.put(json.loads(line))\n"
        "    print('done', flush=True)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        writer = Writer(process)
        try:
            writer.wait("ready")
            yield writer
        finally:
            process.stdin.close()
            process.kill()


class Writer:
    """The other end of a process that holds a bucket."""

    def __init__(self, process):
        self.pid = process.pid
        self._process = process

    def wait(self, word):
        assert self._process.stdout.readline().strip() == word

    def put(self, record):
        self._say(json.dumps(record))

    def flush(self):
        self._say("flush")

    def _say(self, line):
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        self.wait("done")


def read_all(folder, bucket_id=0):
    """The records of a closed bucket."""
    with PersistingBackend(bucket_id, folder).sync() as backend:
        return backend.get()
