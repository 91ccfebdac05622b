"""Looking for damage in stored buckets, and saving what is whole of a damaged one."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from persisting import _core


@dataclass(frozen=True)
class Finding:
    """Something in a bucket that is not as it should be.

    ``damage`` is False for what a crash may leave and the next opening mends. ``byte`` and
    ``at_stake`` (the first offset that the damage may have hit, and the one after the last) are
    None where they are not known.
    """

    damage: bool
    file: str
    message: str
    byte: int | None = None
    at_stake: tuple[int, int] | None = None

    def __str__(self) -> str:
        """Say it in one line."""
        where = self.file if self.byte is None else f"{self.file}: byte {self.byte}"
        stake = ""
        if self.at_stake is not None:
            stake = f"; offsets {self.at_stake[0]} to {self.at_stake[1]} are at stake"
        return f"{where}: {self.message}{stake}"


@dataclass(frozen=True)
class VerifyReport:
    """What :func:`verify` found in one bucket: how much it read, and what is wrong."""

    folder: str
    findings: list[Finding]
    files: int
    bytes: int
    records: int

    @property
    def whole(self) -> bool:
        """Whether nothing is damaged."""
        return not any(finding.damage for finding in self.findings)


@dataclass(frozen=True)
class RepairReport:
    """What :func:`repair` saved, and the offsets of the damaged bucket that it could not save."""

    before: VerifyReport
    records: int
    lost: list[tuple[int, int]]


def verify(path: str | os.PathLike[str]) -> list[VerifyReport]:
    """Check every bucket in ``path``, a bucket's folder or one above: one report each.

    Reads all of it: log, checkpoint, table; compares checksums of contents and decodes every
    record. Changes nothing. A bucket that is open, here or in another process, raises StorageError
    with the holder's process id; a path without a bucket raises ValueError.
    """
    return [_to_report(_core.verify_bucket(str(folder))) for folder in _buckets(Path(path))]


def repair(bucket: str | os.PathLike[str], into: str | os.PathLike[str]) -> RepairReport:
    """Write what is whole of a bucket into a new one in the folder ``into``.

    Records keep their order and times, and get offsets without gaps. The damaged bucket stays as it
    is. ``into`` must not exist (ValueError).
    """
    result = _core.repair_bucket(os.fspath(bucket), os.fspath(into))
    return RepairReport(
        _to_report(result["before"]),
        result["records"],
        [tuple(range_) for range_ in result["lost"]],
    )


def _buckets(path: Path) -> list[Path]:
    if not path.is_dir():
        raise ValueError(f"{path} is no folder")
    names = ("BUCKET", "CHECKPOINT", "wal", "data.lance")
    if any((path / name).exists() for name in names):
        return [path]
    found = {each.parent for name in names for each in path.rglob(name)}
    if not found:
        raise ValueError(f"{path} holds no bucket")
    return sorted(found)


def _to_report(result: dict[str, Any]) -> VerifyReport:
    findings = [
        Finding(each["damage"], each["file"], each["message"], each["byte"], each["at_stake"])
        for each in result["findings"]
    ]
    return VerifyReport(
        result["folder"], findings, result["files"], result["bytes"], result["records"]
    )
