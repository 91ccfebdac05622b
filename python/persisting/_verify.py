"""Looking for damage in stored buckets, and saving what is whole of a damaged one."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from persisting import _core
from persisting._folders import DEAD_LETTERS, bucket_folders


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
    """What :func:`repair` saved, and the offsets of the damaged bucket that it could not save.

    ``dead_letters`` says the same of the bucket's dead letters; None where there were none.
    """

    before: VerifyReport
    records: int
    lost: list[tuple[int, int]]
    dead_letters: RepairReport | None = None


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
    report = _repair(Path(bucket), Path(into))
    letters = Path(bucket) / DEAD_LETTERS
    if not letters.is_dir():
        return report
    return replace(report, dead_letters=_repair(letters, Path(into) / DEAD_LETTERS))


def _repair(bucket: Path, into: Path) -> RepairReport:
    result = _core.repair_bucket(str(bucket), str(into))
    return RepairReport(
        _to_report(result["before"]),
        result["records"],
        [tuple(range_) for range_ in result["lost"]],
    )


def _buckets(path: Path) -> list[Path]:
    folders = bucket_folders(path)
    if not folders:
        raise ValueError(f"{path} holds no bucket")
    return folders


def _to_report(result: dict[str, Any]) -> VerifyReport:
    findings = [
        Finding(each["damage"], each["file"], each["message"], each["byte"], each["at_stake"])
        for each in result["findings"]
    ]
    return VerifyReport(
        result["folder"], findings, result["files"], result["bytes"], result["records"]
    )
