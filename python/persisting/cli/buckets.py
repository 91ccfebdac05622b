"""Buckets below a path, looked at without their lock."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from persisting.cli.errors import CommandError

if TYPE_CHECKING:
    from persisting import BucketFolder, BucketView


def find(path: Path) -> list[BucketFolder]:
    """Return every bucket below a path; CommandError where there is none."""
    from persisting import find_buckets

    if not path.exists():
        raise CommandError(f"{path} does not exist")
    if not path.is_dir():
        raise CommandError(f"{path} is no folder")
    next(path.iterdir(), None)  # PermissionError, which a search would pass over
    found = find_buckets(str(path))
    if not found:
        raise CommandError(f"{path} holds no bucket; a bucket's folder has a file BUCKET")
    return found


def find_one(path: Path) -> BucketFolder:
    """Return the bucket whose folder the path is; CommandError where it is none."""
    found = find(path)
    own = [each for each in found if Path(each.folder).resolve() == path.resolve()]
    if not own:
        hint = f"; below it are {len(found)} buckets, such as {found[0].folder}"
        raise CommandError(f"{path} is no bucket's folder{hint}")
    return own[0]


@contextmanager
def view_of(path: Path) -> Iterator[BucketView]:
    """Open a view of the one bucket at a path."""
    from persisting import open_view

    with open_view(find_one(path).folder) as view:
        yield view
