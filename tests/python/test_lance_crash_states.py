"""Every state of the three files that a flush adds to a Lance table, before and after retirement.

Each of the newest data file, transaction file and manifest is absent, empty, half, zero-filled or
whole: 125 states. Lance syncs nothing, so before the checkpoint names the new version a crash may
leave any of them; the log has every record then, and every one must be read. Once the log has let
go of the records the same states are real damage: it is reported with the file's name, never read
over.
"""

import itertools
import shutil
from dataclasses import dataclass
from pathlib import Path

import lance
import pytest

from helpers import check_table, emptied, halved, zero_filled
from persisting import StorageError
from persisting.queue import PersistingBackend

OLD = [{"id": i, "name": f"old {i}"} for i in range(20)]
NEW = [{"id": 20 + i, "name": f"new {i}"} for i in range(20)]
LATER = [{"id": 40 + i, "name": f"later {i}"} for i in range(5)]

HINT = "latest_version_hint.json"

STATES = {
    "absent": Path.unlink,
    "empty": emptied,
    "half": halved,
    "zeros": zero_filled,
    "whole": lambda file: None,
}


@dataclass
class Template:
    """A bucket as a crash could leave it, whole, and the files in it that its last flush made."""

    folder: Path
    data: Path  # this and the next two: relative to the folder
    transaction: Path
    manifest: Path


def newest(table: Path, before: set[Path], suffix: str) -> Path:
    (file,) = {path for path in table.rglob(f"*{suffix}") if path.is_file()} - before
    return file.relative_to(table.parent)


@pytest.fixture(scope="module")
def templates(tmp_path_factory):
    """The template before the log let go of the last flush's records, and the one after it."""
    root = tmp_path_factory.mktemp("templates")
    live, before, after = root / "live", root / "before", root / "after"
    with PersistingBackend(0, live).sync() as backend:
        backend.put_batch(OLD)
        backend.flush()
        backend.put_batch(NEW)
        shutil.copytree(live, before)
        old_files = set((live / "data.lance").rglob("*"))
        backend.flush()
        shutil.copytree(live, after)
    shutil.rmtree(before / "data.lance")
    shutil.copytree(after / "data.lance", before / "data.lance")
    names = [
        newest(live / "data.lance", old_files, suffix) for suffix in (".lance", ".txn", ".manifest")
    ]
    return Template(before, *names), Template(after, *names)


def damaged_copies(template, manifest_state, root):
    """For every state of data and transaction file: the three states, and a bucket in them."""
    for states in itertools.product(STATES, STATES, [manifest_state]):
        bucket = root / "-".join(states)
        shutil.copytree(template.folder, bucket)
        for file, state in zip(
            (template.data, template.transaction, template.manifest), states, strict=True
        ):
            STATES[state](bucket / file)
        yield states, bucket


def contents(folder):
    """Every file below the folder but Lance's hint, which names the newest version at any time."""
    return {
        path.relative_to(folder): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != HINT
    }


def check_goes_on(bucket, records):
    """The bucket has these records, takes more, and flushes; then pylance and it have all."""
    with PersistingBackend(0, bucket).sync() as backend:
        persisted = backend.stats()["persisted_count"]
        assert backend.get() == records
        backend.put_batch(LATER)
        assert backend.get() == records + LATER
        backend.flush()
        assert backend.get() == records + LATER
    assert check_table(bucket, records + LATER) == len(records + LATER)
    with PersistingBackend(0, bucket).sync() as backend:
        assert backend.get() == records + LATER
    return persisted


def check_evidence(bucket, found, set_aside):
    """Nothing of `found`, the table's files, is gone; what no longer fits lies in quarantine."""
    table = bucket / "data.lance"
    for name, bytes_ in found.items():
        quarantined = bucket / "quarantine" / name.name
        places = [file for file in (table / name, quarantined) if file.exists()]
        assert bytes_ in [file.read_bytes() for file in places], f"{name} is gone"
    assert set(contents(bucket / "quarantine")) == set_aside


@pytest.mark.parametrize("manifest_state", STATES)
def test_before_the_log_lets_go_nothing_is_lost(templates, memory_folder, subtests, manifest_state):
    template, _ = templates
    count = 0
    for states, bucket in damaged_copies(template, manifest_state, memory_folder):
        count += 1
        data_state, transaction_state, _ = states
        with subtests.test(data=data_state, transaction=transaction_state, manifest=manifest_state):
            found = contents(bucket / "data.lance")
            persisted = check_goes_on(bucket, OLD + NEW)
            if data_state != "whole" or manifest_state != "whole":
                assert persisted == len(OLD), "a version that is not whole was accepted"
            elif transaction_state == "whole":
                assert persisted == len(OLD + NEW), "a whole version was refused"
            refused = persisted == len(OLD) and manifest_state != "absent"
            check_evidence(bucket, found, {Path(template.manifest.name)} if refused else set())
        shutil.rmtree(bucket)
    assert count == len(STATES) ** 2


def read_or_error(bucket):
    """All records, or the error of opening or reading."""
    try:
        with PersistingBackend(0, bucket).sync() as backend:
            return backend.get()
    except StorageError as error:
        return error


def check_error(error, template, states):
    """It is an error, and names a file that is damaged: its path, or what is missing where."""
    assert isinstance(error, StorageError), f"it read {error}"
    data_state, _, manifest_state = states
    version = lance.dataset(template.folder / "data.lance").version
    names = []
    if data_state != "whole":
        names.append(template.data.name)
    if manifest_state != "whole":
        names.append(template.manifest.name)
    if manifest_state == "absent":
        names.append(f"_versions: the manifest of version {version}")
    assert any(name in str(error) for name in names), f"no damaged file is named: {error}"


@pytest.mark.parametrize("manifest_state", STATES)
def test_after_the_log_let_go_damage_is_reported(
    templates, memory_folder, subtests, manifest_state
):
    _, template = templates
    log = b"".join(path.read_bytes() for path in (template.folder / "wal").iterdir())
    assert NEW[0]["name"].encode() not in log
    count = 0
    for states, bucket in damaged_copies(template, manifest_state, memory_folder):
        count += 1
        data_state, transaction_state, _ = states
        with subtests.test(data=data_state, transaction=transaction_state, manifest=manifest_state):
            found = contents(bucket / "data.lance")
            if data_state == manifest_state == "whole":
                check_goes_on(bucket, OLD + NEW)
            else:
                # Twice: the first opening must not make the bucket look like one with less in it.
                for _ in range(2):
                    error = read_or_error(bucket)
                    assert isinstance(error, StorageError), f"it read {error}"
                    if manifest_state != "whole":
                        check_error(error, template, states)
            check_evidence(bucket, found, set())
        shutil.rmtree(bucket)
    assert count == len(STATES) ** 2


@pytest.mark.parametrize("data_state", ["empty", "half", "zeros"])
def test_after_the_log_let_go_a_damaged_data_file_is_named(templates, memory_folder, data_state):
    _, template = templates
    bucket = memory_folder / "bucket"
    shutil.copytree(template.folder, bucket)
    STATES[data_state](bucket / template.data)
    check_error(read_or_error(bucket), template, (data_state, "whole", "whole"))


def wrong_version(file):
    """Not damage but an older truth: the hint is written after the commit, and not synced."""
    file.write_text(file.read_text().replace("2", "1"))


@pytest.mark.parametrize("log", ["has the records", "let go of them"])
@pytest.mark.parametrize("hint_state", [*STATES.values(), wrong_version])
def test_lances_hint_does_not_matter(templates, memory_folder, log, hint_state):
    template = templates[log == "let go of them"]
    for manifest_state in STATES if log == "has the records" else ["whole"]:
        bucket = memory_folder / manifest_state
        shutil.copytree(template.folder, bucket)
        STATES[manifest_state](bucket / template.manifest)
        hint_state(bucket / "data.lance" / "_versions" / HINT)
        check_goes_on(bucket, OLD + NEW)
