"""Where buckets lie below a folder."""

import os
from pathlib import Path

#: The bucket of dead letters, in the folder of the bucket that refused them.
DEAD_LETTERS = "dead_letters"

#: One of these is in every bucket's folder.
_NAMES = frozenset({"BUCKET", "CHECKPOINT", "wal", "data.lance"})


def bucket_folders(path: str | os.PathLike[str]) -> list[Path]:
    """Return the folders of all buckets at or below ``path``, those of dead letters too.

    ValueError where ``path`` is no folder.
    """
    if not Path(path).is_dir():
        raise ValueError(f"{os.fspath(path)} is no folder")
    found = []
    for folder, below, files in os.walk(path, onerror=_report):
        if _NAMES.isdisjoint(below) and _NAMES.isdisjoint(files):
            continue
        found.append(Path(folder))
        below[:] = [DEAD_LETTERS] if DEAD_LETTERS in below else []
    return sorted(found)


def _report(error: OSError) -> None:
    """Raise what keeps a folder from being read; one that was removed meanwhile holds nothing."""
    if not isinstance(error, FileNotFoundError):
        raise error
