"""``doctor``: facts about the machine that decide what an acknowledgement is worth."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import resource
import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from persisting.cli import output
from persisting.cli.disk import Disk, disk_of, fsync_verdict
from persisting.cli.errors import CommandError, Status

_SYNCS = 200
_PACKAGES = ("pylance", "pyarrow", "numpy", "typer", "rich")
#: The releases that the tests run against.
_PULSING = ("0.1.0", "0.1.2")
_LEAST_FREE = 1 << 30
_LEAST_FILES = 1024
_MARKS = {"ok": "green", "note": "yellow", "problem": "red"}


@dataclass(frozen=True)
class Check:
    """One fact, what to think of it ("ok", "note", "problem"), and why."""

    name: str
    value: str
    verdict: str = "ok"
    reason: str = ""


def doctor(path: Path, *, as_json: bool) -> Status:
    """Print every check; FOUND where one is a problem."""
    if not path.is_dir():
        raise CommandError(f"{path} is no folder")
    checks = [*_software(), *_limits(), *_storage(path)]
    if output.is_for_people(as_json):
        _show(checks)
    else:
        output.print_lines(asdict(each) for each in checks)
    return Status.FOUND if any(each.verdict == "problem" for each in checks) else Status.OK


def _show(checks: list[Check]) -> None:
    from rich.text import Text

    made = output.table(["", "", "", ""])
    made.show_header = False
    for each in checks:
        made.add_row(
            each.name,
            output.safe(each.value),
            Text(each.verdict, style=_MARKS[each.verdict]),
            output.safe(each.reason),
        )
    output.show(made)


def _software() -> Iterator[Check]:
    from persisting import __version__

    yield Check("persisting", __version__)
    yield Check("python", platform.python_version())
    yield Check("system", f"{platform.system()} {platform.release()} {platform.machine()}")
    for name in _PACKAGES:
        version = _version(name)
        if version is not None:
            yield Check(name, version)
        else:
            yield Check(name, "not installed", "problem", "install it")
    yield _optional("prometheus_client", "metrics")
    yield _pulsing()
    yield _lance_engine()


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _optional(name: str, extra: str) -> Check:
    version = _version(name)
    if version is not None:
        return Check(name, version)
    return Check(name, "not installed", "ok", f"optional; install persisting[{extra}]")


def _pulsing() -> Check:
    found = _optional("pulsing", "pulsing")
    if found.reason or found.value in _PULSING:
        return found
    return Check(found.name, found.value, "note", f"tested are {', '.join(_PULSING)}")


def _lance_engine() -> Check:
    """Write and read a table through the engine, as a bucket does."""
    from persisting.queue import PersistingBackend

    try:
        with (
            tempfile.TemporaryDirectory() as folder,
            PersistingBackend(0, folder).sync() as backend,
        ):
            backend.put({"id": 1})
            backend.flush()
            read = backend.get()
    except Exception as error:  # noqa: BLE001 - whatever it is, it is the finding
        return Check("Lance engine", "fails", "problem", f"{type(error).__name__}: {error}")
    if read != [{"id": 1}]:
        return Check("Lance engine", "reads something else", "problem", repr(read))
    return Check("Lance engine", "works", "ok", "a record was put, flushed and read")


def _limits() -> Iterator[Check]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    few = 0 <= soft < _LEAST_FILES
    yield Check(
        "open files",
        f"{soft} (at most {hard})",
        "note" if few else "ok",
        "a bucket needs about ten; raise it by ulimit -n" if few else "",
    )
    largest, _ = resource.getrlimit(resource.RLIMIT_FSIZE)
    if largest != resource.RLIM_INFINITY:
        yield Check("file size", output.size(largest), "note", "a limit (ulimit -f) fails flushes")
    preload = os.environ.get("LD_PRELOAD", "")
    if "eatmydata" in preload or _is_mapped("libeatmydata"):
        yield Check("LD_PRELOAD", preload, "problem", "libeatmydata makes every fsync do nothing")


def _is_mapped(library: str) -> bool:
    try:
        return library in Path("/proc/self/maps").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False


def _storage(path: Path) -> Iterator[Check]:
    disk = disk_of(path)
    yield Check("path", str(path.resolve()))
    yield _file_system(disk)
    yield _mount_options(disk)
    yield _free_space(path)
    if disk.device is not None:
        kind = {True: "rotating", False: "solid state", None: "of unknown kind"}[disk.rotational]
        yield Check("device", f"{disk.device} ({'virtual' if disk.is_virtual else kind})")
        cache = disk.write_cache or "unknown"
        yield Check(
            "write cache",
            cache,
            "ok",
            "the kernel sends flushes to the disk"
            if cache == "write back"
            else "the kernel sends no flushes: it takes the disk to have no volatile cache"
            if cache == "write through"
            else "",
        )
    try:
        times = _fdatasync_times(path)
    except OSError as error:
        yield Check("fdatasync", "fails", "problem", f"{error.strerror}: buckets cannot be here")
        return
    p50, p99 = times[len(times) // 2], times[len(times) * 99 // 100]
    value = f"p50 {output.duration(p50)}, p99 {output.duration(p99)}, {len(times)} times"
    yield Check("fdatasync of 4 KiB", value)
    verdict, reason = fsync_verdict(disk, p50)
    yield Check(
        "honest fsync", {"ok": "plausible", "note": "unclear"}.get(verdict, "NO"), verdict, reason
    )


def _file_system(disk: Disk) -> Check:
    if disk.is_network:
        return Check(
            "file system",
            f"{disk.file_system} on {disk.mount}",
            "problem",
            "over the network locks and fsync may not hold; buckets refuse it unless forced"
            " (allow_network_storage)",
        )
    return Check("file system", f"{disk.file_system} on {disk.mount}")


def _mount_options(disk: Disk) -> Check:
    risky = disk.risky_options
    reason = f"{', '.join(risky)}: a power cut may take what was synced" if risky else ""
    return Check("mount options", ",".join(disk.options), "problem" if risky else "ok", reason)


def _free_space(path: Path) -> Check:
    usage = shutil.disk_usage(path)
    inodes = os.statvfs(path)
    value = f"{output.size(usage.free)} of {output.size(usage.total)}"
    if usage.free < _LEAST_FREE:
        return Check("free space", value, "note", "on a full disk flushes and puts fail")
    if inodes.f_files and inodes.f_favail < 1000:
        return Check("free space", value, "note", f"only {inodes.f_favail} more files fit")
    return Check("free space", value)


def _fdatasync_times(path: Path) -> list[float]:
    """Return how long appending 4 KiB takes to be on the disk, in order of size."""
    times = []
    with tempfile.NamedTemporaryFile(prefix=".persisting-doctor-", dir=path) as file:
        data = os.urandom(4096)
        for _ in range(_SYNCS):
            os.write(file.fileno(), data)
            started = time.perf_counter()
            os.fdatasync(file.fileno())
            times.append(time.perf_counter() - started)
    return sorted(times)
