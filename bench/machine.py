"""What the figures were taken on."""

import os
import platform
import re
import shutil
import sqlite3
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from peers import server, transfer_queue

PACKAGES = (
    "persisting",
    "pylance",
    "pyarrow",
    "pulsing",
    "msgpack",
    "redis",
    "nats-py",
)
PROGRAMS = {
    "redis-server": (["redis-server", "--version"], r"v=(\S+)"),
    "nats-server": (["nats-server", "--version"], r": v(\S+)"),
    "RocksDB": (["dpkg-query", "--show", "librocksdb-dev"], r"\t(\S+)"),
    "g++": (["g++", "-dumpfullversion"], r"(\S+)"),
}


def processor() -> str:
    """Return the processor's name."""
    names = re.findall(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return names[0] if names else platform.machine()


def memory_gib() -> float:
    """Return the machine's memory."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30


def file_system(folder: Path) -> str:
    """Return the kind of file system that the bench writes to."""
    if shutil.which("findmnt") is None:
        return "unknown"
    command = ["findmnt", "--noheadings", "--output", "FSTYPE", "--target", str(folder)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def describe(folder: Path) -> dict[str, str]:
    """Return machine and versions by name."""
    described = {
        "machine": f"{os.cpu_count()} cores ({processor()}), {memory_gib():.0f} GiB of memory,"
        f" {file_system(folder)}",
        "system": f"{platform.system()} {platform.release()}, {platform.machine()},"
        f" {' '.join(platform.libc_ver())}",
        "Python": platform.python_version(),
    }
    for name in PACKAGES:
        try:
            described[name] = version(name)
        except PackageNotFoundError:
            continue
    if (release := transfer_queue.version()) is not None:
        described["TransferQueue"] = release
    described["SQLite"] = sqlite3.sqlite_version
    for name, (command, pattern) in PROGRAMS.items():
        program = shutil.which(command[0], path=server.PATH)
        if program is None:
            continue
        done = subprocess.run([program, *command[1:]], capture_output=True, text=True, check=False)
        found = re.search(pattern, done.stdout)
        if found:
            described[name] = found[1]
    return described
