"""What the kernel says of the disk below a path, and whether its fdatasync can be true."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from persisting.cli.errors import CommandError

_NETWORK = frozenset(
    [
        *("9p", "afs", "beegfs", "ceph", "cifs", "coda", "fuse.glusterfs", "fuse.sshfs"),
        *("glusterfs", "gpfs", "lustre", "ncpfs", "nfs", "nfs4", "ocfs2", "smb3", "smbfs"),
    ]
)
_MEMORY = frozenset({"tmpfs", "ramfs", "devtmpfs", "hugetlbfs"})
# ext4, xfs, reiserfs; overlayfs' `volatile` leaves every sync out.
_RISKY = frozenset({"nobarrier", "barrier=0", "barrier=none", "volatile", "nofsync"})

#: No medium has 4 KiB in less: a round trip to a fast NVMe disk with a protected cache takes more.
_LEAST_HONEST = 10e-6
_FAST = 150e-6  # faster than flash without a protected cache
_ROTATION = 2e-3  # less than a quarter of a turn at 7200 rpm


@dataclass(frozen=True)
class Disk:
    """One mount, and the block device below it; None for what is not known."""

    mount: str
    file_system: str
    options: tuple[str, ...]
    device: str | None = None
    rotational: bool | None = None
    write_cache: str | None = None  # "write back" or "write through"
    is_virtual: bool = False

    @property
    def is_network(self) -> bool:
        """Whether another machine has the data."""
        return self.file_system in _NETWORK

    @property
    def is_memory(self) -> bool:
        """Whether they are on no disk at all."""
        return self.file_system in _MEMORY

    @property
    def risky_options(self) -> list[str]:
        """Mount options that leave flushes of the disk's cache out."""
        return [each for each in self.options if each in _RISKY]


def disk_of(path: Path) -> Disk:
    """Return the disk below a path that exists."""
    device = path.stat().st_dev
    mounts = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="surrogateescape")
    disk = find_mount(mounts, str(path.resolve()), f"{os.major(device)}:{os.minor(device)}")
    return _with_device(disk, Path(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}"))


def find_mount(mounts: str, path: str, device: str) -> Disk:
    """Return the mount of a path; `mounts` as in /proc/self/mountinfo."""
    best: tuple[int, int, Disk] | None = None
    for number, line in enumerate(mounts.splitlines()):
        before, _, after = line.partition(" - ")
        _, _, numbers, _, point, options, *_ = before.split(" ")
        kind, _, super_options = after.split(" ", 2)
        point = re.sub(r"\\(\d{3})", lambda found: chr(int(found[1], 8)), point)
        if not (path == point or path.startswith(point.rstrip("/") + "/")):
            continue
        all_options = tuple(dict.fromkeys([*options.split(","), *super_options.split(",")]))
        # Of several on one point the last one is on top. btrfs has device numbers of its own.
        rank = (len(point), number + (1_000_000 if numbers == device else 0))
        if best is None or rank > best[:2]:
            best = (*rank, Disk(point, kind, all_options))
    if best is None:
        raise CommandError(f"{path} is on no mount that /proc/self/mountinfo names")
    return best[2]


def _with_device(disk: Disk, block: Path) -> Disk:
    if not block.exists():
        return disk
    found = block.resolve()
    if not (found / "queue").is_dir():  # a partition
        found = found.parent
    rotational = _read(found / "queue" / "rotational")
    name = found.name
    return Disk(
        disk.mount,
        disk.file_system,
        disk.options,
        device=name,
        rotational=None if rotational is None else rotational == "1",
        write_cache=_read(found / "queue" / "write_cache"),
        is_virtual=name.startswith(("vd", "xvd", "loop")) or "virtio" in str(found),
    )


def _read(file: Path) -> str | None:
    try:
        return file.read_text(encoding="utf-8").strip()
    except OSError:
        return None


def fsync_verdict(disk: Disk, p50: float) -> tuple[str, str]:  # noqa: PLR0911 - a table
    """Return "ok", "note" or "problem", and why; `p50`: seconds of half of the fdatasyncs."""
    if disk.is_memory:
        return "problem", f"{disk.file_system} is memory: nothing survives a power cut"
    if disk.is_network:
        return "problem", f"{disk.file_system}: another machine decides what is on a disk"
    if disk.risky_options:
        return "problem", f"mounted with {', '.join(disk.risky_options)}, which leaves flushes out"
    took = f"half of the calls take less than {p50 * 1e6:.0f} µs"
    if p50 < _LEAST_HONEST:
        return (
            "problem",
            f"{took}: no disk is so fast; something confirms what it did not do",
        )
    if disk.rotational and not disk.is_virtual and p50 < _ROTATION:
        return "problem", (
            f"{took}: the disk cannot even turn; its cache confirms, or a controller's does (fine"
            " only if that has a battery)"
        )
    if disk.is_virtual:
        return "note", (
            f"{took}; {disk.device} is virtual: whether a flush gets to a disk is decided outside"
            " (not with cache=unsafe), which cannot be seen from here"
        )
    if disk.device is None:
        return "note", f"{took}; which device is below {disk.file_system} cannot be seen from here"
    if p50 < _FAST:
        return "note", (f"{took}: true of disks with power-loss protection only; look the model up")
    return "ok", f"{took}, as a disk needs that does what it says"
