"""``verify``, ``repair``, ``recover`` and ``compact``."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path

import typer

from persisting import RepairReport, VerifyReport, repair, verify
from persisting.cli import json_text, output
from persisting.cli.buckets import find_one
from persisting.cli.errors import Status


def verify_buckets(path: Path, *, as_json: bool) -> Status:
    """Print what is damaged."""
    reports = verify(path)
    if as_json:
        typer.echo(json_text.dumps([_as_dict(report) for report in reports]))
    else:
        for report in reports:
            _print(report)
    return Status.OK if all(report.whole for report in reports) else Status.FOUND


def repair_bucket(bucket: Path, into: Path, *, as_json: bool) -> Status:
    """Save what is whole, and print what is not."""
    report = repair(bucket, into)
    if as_json:
        typer.echo(json_text.dumps(_repair_as_dict(report)))
    else:
        _print_repair(report, into)
        if report.dead_letters is not None:
            _print_repair(report.dead_letters, into / "dead_letters")
        typer.echo(f"{bucket} is as it was")
    letters = report.dead_letters
    lost = report.lost or (letters is not None and letters.lost)
    return Status.FOUND if lost else Status.OK


def _as_dict(report: VerifyReport) -> dict[str, object]:
    return {**dataclasses.asdict(report), "whole": report.whole}


def _repair_as_dict(report: RepairReport) -> dict[str, object]:
    letters = report.dead_letters
    return {
        **dataclasses.asdict(report),
        "before": _as_dict(report.before),
        "dead_letters": None if letters is None else _repair_as_dict(letters),
    }


def _print_repair(report: RepairReport, into: Path) -> None:
    _print(report.before)
    for first, end in report.lost:
        typer.echo(f"lost: offsets {first} to {end}")
    typer.echo(f"{into}: {report.records} records saved")


def _print(report: VerifyReport) -> None:
    for finding in report.findings:
        typer.echo(f"{'damaged' if finding.damage else 'unfinished'}: {finding}")
    verdict = "whole" if report.whole else "DAMAGED"
    typer.echo(
        f"{report.folder}: {verdict}; read {report.records} records, {report.files} files, "
        f"{report.bytes} bytes"
    )


def recover(bucket: Path, *, as_json: bool) -> None:
    """Open the bucket as its writer, flush what its log holds, and say what that was."""
    from persisting.queue import PersistingBackend

    folder = find_one(bucket)
    started = time.perf_counter()
    with PersistingBackend(folder.bucket_id, folder.folder).sync() as backend:
        before = backend.stats()
        backend.flush()
        records = backend.total_count()
    result = {
        "folder": folder.folder,
        "recovered": before["total_count"] - before["persisted_count"],
        "records": records,
        "seconds": time.perf_counter() - started,
    }
    if not output.is_for_people(as_json):
        output.print_line(result)
        return
    output.show_line(
        f"{folder.folder}: {result['recovered']:,} records went from the log into the table,"
        f" which holds all {records:,} now ({output.duration(result['seconds'])})"
    )


def compact(bucket: Path, *, as_json: bool, quiet: bool) -> None:
    """Open the bucket as its writer, and merge its fragments."""
    from persisting.cli.progress import steps
    from persisting.queue import PersistingBackend

    folder = find_one(bucket)
    with (
        PersistingBackend(folder.bucket_id, folder.folder).sync() as backend,
        steps(f"compacting {folder.folder}", "fragments", quiet=quiet) as advance,
    ):
        result = backend.compact(advance)
    if not output.is_for_people(as_json):
        output.print_line({"folder": folder.folder, **result})
        return
    output.show_line(
        f"{folder.folder}: {result['fragments_before']} fragments are"
        f" {result['fragments_after']} now, {result['versions_removed']} versions and"
        f" {output.size(result['bytes_removed'])} removed"
        f" ({output.duration(result['duration_seconds'])})"
    )
