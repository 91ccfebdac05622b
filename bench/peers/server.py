"""Peers that are servers: found, started in a folder of their own, waited for, and ended."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from framework import MissingPeerError

#: Where scripts/setup bench puts what no package of Debian has.
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "persisting-bench"
PATH = f"{CACHE / 'bin'}:{os.environ['PATH']}"
START_SECONDS = 20


def find_program(name: str, hint: str) -> str:
    """Return the path of a program."""
    found = shutil.which(name, path=PATH)
    if found is None:
        raise MissingPeerError(f"{name} is not installed; {hint}")
    return found


def free_port() -> int:
    """Return a port of the loopback interface that nothing listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


@contextmanager
def running(command: list[str], folder: Path, is_ready: Callable[[], bool]) -> Iterator[None]:
    """Run a server while the block runs; its output goes into a file of its folder."""
    log = folder / "server.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=folder, stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )
    try:
        deadline = time.monotonic() + START_SECONDS
        while not is_ready():
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{command[0]} did not start: {log.read_text()[-2000:]}")
            time.sleep(0.02)
        yield
    finally:
        process.terminate()
        process.wait()
