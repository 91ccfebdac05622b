"""TransferQueue with its default storage, in memory in Ray's processes: nothing survives.

It wants PyTorch and Ray, gigabytes, so it has an environment of its own outside this repository,
and is left out where that is missing.
"""

import re
import subprocess

from framework import MissingPeerError
from native import ROOT
from peers.server import CACHE

ENVIRONMENT = CACHE / "transfer-queue"
PYTHON = ENVIRONMENT / "bin" / "python"
PROGRAM = ROOT / "bench" / "programs" / "transfer_queue_peer.py"
SECONDS = 300


def version() -> str | None:
    """Return the installed release; None where there is none."""
    for found in ENVIRONMENT.glob("lib/*/site-packages/transferqueue-*.dist-info"):
        return found.name.removeprefix("transferqueue-").removesuffix(".dist-info")
    return None


def put_rate(count: int, lists: int) -> float:
    """Return how many records of a list a second it puts."""
    # Set up last: an environment without it is not complete.
    if not (ENVIRONMENT / "complete").exists():
        raise MissingPeerError("TransferQueue is not installed: scripts/setup transfer-queue")
    command = [str(PYTHON), str(PROGRAM), str(count), str(lists)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    found = re.search(r"^rate (\S+)$", done.stdout, re.MULTILINE)
    if done.returncode != 0 or found is None:
        raise RuntimeError(f"TransferQueue failed: {done.stderr[-2000:]}")
    return float(found[1])
