"""The command ``persisting``.

Exit status: 0 for success, 1 where damage was found or records were lost, 2 where the command could
not do its work (wrong arguments, a busy bucket, an error of the disk).
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from persisting import StorageError, VerifyReport, repair, verify

app = typer.Typer(
    help="Looks after stored queues.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of lines.")]


@app.callback()
def _main() -> None:
    """Make every command a subcommand, the first one too."""


@app.command("verify")
def verify_command(
    path: Annotated[Path, typer.Argument(help="A bucket's folder, or one with buckets below it.")],
    as_json: AsJson = False,
) -> None:
    """Read everything that buckets keep, and name what is damaged.

    Exit status 1 if anything is. Example: persisting verify ./events
    """
    with _errors():
        reports = verify(path)
    if as_json:
        typer.echo(json.dumps([_as_dict(report) for report in reports]))
    else:
        for report in reports:
            _print(report)
    if not all(report.whole for report in reports):
        raise typer.Exit(1)


@app.command("repair")
def repair_command(
    bucket: Annotated[Path, typer.Argument(help="The folder of the damaged bucket.")],
    into: Annotated[Path, typer.Option(help="The folder of the new bucket; must not exist.")],
    as_json: AsJson = False,
) -> None:
    """Save what is whole of a bucket into a new one; the damaged one stays as it is.

    Exit status 1 if records were lost.
    Example: persisting repair ./events/bucket_3 --into ./repaired/bucket_3
    """
    with _errors():
        report = repair(bucket, into)
    if as_json:
        typer.echo(json.dumps({**dataclasses.asdict(report), "before": _as_dict(report.before)}))
    else:
        _print(report.before)
        for first, end in report.lost:
            typer.echo(f"lost: offsets {first} to {end}")
        typer.echo(f"{into}: {report.records} records saved; {bucket} is as it was")
    if report.lost:
        raise typer.Exit(1)


@contextmanager
def _errors() -> Iterator[None]:
    """Turn what a user can do something about into one line."""
    try:
        yield
    except (StorageError, ValueError, OSError) as error:
        typer.echo(f"persisting: {error}", err=True)
        raise typer.Exit(2) from None


def _as_dict(report: VerifyReport) -> dict[str, object]:
    return {**dataclasses.asdict(report), "whole": report.whole}


def _print(report: VerifyReport) -> None:
    for finding in report.findings:
        typer.echo(f"{'damaged' if finding.damage else 'unfinished'}: {finding}")
    verdict = "whole" if report.whole else "DAMAGED"
    typer.echo(
        f"{report.folder}: {verdict}; read {report.records} records, {report.files} files, "
        f"{report.bytes} bytes"
    )
