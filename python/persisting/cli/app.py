"""The commands and their options; what each does is in a module of its own."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from persisting.cli.errors import STATUS_HELP, Status, expect_interrupts, report

app = typer.Typer(
    help="Looks into stored queues and after them, moves records in and out, and measures.",
    epilog=f"Example: persisting ls ./queue_storage. {STATUS_HELP}",
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

Bucket = Annotated[Path, typer.Argument(metavar="BUCKET", help="The folder of a bucket.")]
BucketsPath = Annotated[
    Path,
    typer.Argument(metavar="PATH", help="A bucket's folder, or one with buckets below it."),
]
AsJson = Annotated[
    bool, typer.Option("--json", help="Print JSON lines, as where the output is no terminal.")
]
AsDocument = Annotated[
    bool, typer.Option("--json", help="Print one JSON document instead of lines.")
]
Interval = Annotated[float, typer.Option(min=0.05, help="Seconds between two looks.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")]


class _Globals:
    debug = False


@app.callback(invoke_without_command=True)
def _globals(
    context: typer.Context,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    version: Annotated[bool, typer.Option("--version", help="Print the version and end.")] = False,
) -> None:
    _Globals.debug = debug
    if version:
        from persisting import __version__

        typer.echo(f"persisting {__version__}")
        raise typer.Exit(Status.OK)
    if context.invoked_subcommand is None:
        typer.echo(context.get_help(), err=True)
        raise typer.Exit(Status.FAILED)


def main(arguments: list[str] | None = None) -> None:
    """Run the command, and end the process with its status."""
    _Globals.debug = False
    expect_interrupts()
    logging.basicConfig(format="persisting: %(message)s")  # warnings of the library, on stderr
    try:
        status: Any = app(arguments, prog_name="persisting", standalone_mode=False)
        sys.stdout.flush()
    except BaseException as error:
        cause: BaseException = error
        if isinstance(error, SystemExit):
            if not isinstance(error.__context__, BrokenPipeError):
                raise
            cause = error.__context__  # of which typer makes a status of its own
        status = report(cause, debug=_Globals.debug)
    sys.exit(int(status or Status.OK))


@app.command("ls", epilog="Example: persisting ls ./queue_storage")
def _ls(path: BucketsPath, as_json: AsJson = False) -> None:
    """List buckets with their records, sizes, and holders."""
    from persisting.cli.look import list_buckets

    raise typer.Exit(list_buckets(path, as_json=as_json))


@app.command("stat", epilog="Example: persisting stat ./queue_storage/events/bucket_0 --json")
def _stat(bucket: Bucket, as_json: AsJson = False) -> None:
    """Show everything there is to know of one bucket."""
    from persisting.cli.look import show_stats

    show_stats(bucket, as_json=as_json)


@app.command("schema", epilog="Example: persisting schema ./events/bucket_0 --history")
def _schema(
    bucket: Bucket,
    history: Annotated[bool, typer.Option("--history", help="How it came to be.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show the fields of a bucket with their types and defaults."""
    from persisting.cli.look import show_schema

    show_schema(bucket, history=history, as_json=as_json)


@app.command("tail", epilog="Example: persisting tail ./events -f -n 100 | jq .reward")
def _tail(
    path: BucketsPath,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on with records as they come.")
    ] = False,
    number: Annotated[
        int, typer.Option("-n", "--number", min=0, help="Records from the end of each bucket.")
    ] = 10,
    as_json: AsJson = False,
) -> None:
    """Print the last records of buckets, and those that come.

    Another process may have the buckets open, and write them.
    """
    from persisting.cli.read import tail

    tail(path, follow=follow, number=number, as_json=as_json)


@app.command("get", epilog='Example: persisting get ./events/bucket_0 --where "reward > 0.5"')
def _get(
    bucket: Bucket,
    offset: Annotated[int, typer.Option(min=0, help="The first record.")] = 0,
    limit: Annotated[
        int | None, typer.Option(min=0, help="Most records to print; without it all.")
    ] = None,
    where: Annotated[
        str | None,
        typer.Option(help="Only records that fit, in the SQL of Lance's filters."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Print records, flushed or not."""
    from persisting.cli.read import get

    get(bucket, offset=offset, limit=limit, where=where, as_json=as_json)


@app.command("verify", epilog="Example: persisting verify ./queue_storage")
def _verify(path: BucketsPath, as_json: AsDocument = False) -> None:
    """Read all that buckets keep, and name what is damaged.

    Nobody may have them open. Exit status 1 if anything is damaged.
    """
    from persisting.cli.mend import verify_buckets

    raise typer.Exit(verify_buckets(path, as_json=as_json))


@app.command(
    "repair",
    epilog="Example: persisting repair ./events/bucket_3 --into ./repaired/bucket_3",
)
def _repair(
    bucket: Annotated[
        Path, typer.Argument(metavar="BUCKET", help="The folder of the damaged bucket.")
    ],
    into: Annotated[Path, typer.Option(help="The folder of the new bucket; must not exist.")],
    as_json: AsDocument = False,
) -> None:
    """Save what is whole of a bucket into a new one.

    The damaged one stays as it is. Exit status 1 if records were lost.
    """
    from persisting.cli.mend import repair_bucket

    raise typer.Exit(repair_bucket(bucket, into, as_json=as_json))


@app.command("recover", epilog="Example: persisting recover ./queue_storage/events/bucket_0")
def _recover(bucket: Bucket, as_json: AsJson = False) -> None:
    """Bring what a bucket's log holds into its table.

    It takes the bucket's lock, and does what the next opening by its program would do.
    """
    from persisting.cli.mend import recover

    recover(bucket, as_json=as_json)


@app.command("compact", epilog="Example: persisting compact ./queue_storage/events/bucket_0")
def _compact(bucket: Bucket, as_json: AsJson = False, quiet: Quiet = False) -> None:
    """Merge small fragments of a table, and drop old versions."""
    from persisting.cli.mend import compact

    compact(bucket, as_json=as_json, quiet=quiet)


@app.command("import", epilog="Example: persisting import rollouts.parquet ./events/bucket_0")
def _import(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What to read; - is stdin.")],
    bucket: Annotated[
        Path, typer.Argument(metavar="BUCKET", help="The folder of the bucket; made if missing.")
    ],
    *,
    format: Annotated[  # noqa: A002 - the option's name
        str | None, typer.Option(help="arrow, parquet, jsonl or csv; without it by the suffix.")
    ] = None,
    type: Annotated[  # noqa: A002 - the option's name
        list[str] | None,
        typer.Option(metavar="COLUMN=TYPE", help="Type of a CSV column, say id=string."),
    ] = None,
    skip: Annotated[int, typer.Option(min=0, help="Rows at the start to leave out.")] = 0,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Append the rows of a file to a bucket, durably."""
    from persisting.cli.transfer import import_file

    import_file(
        file, bucket, format_name=format, types=type or [], skip=skip, as_json=as_json, quiet=quiet
    )


@app.command("export", epilog="Example: persisting export ./events/bucket_0 events.parquet")
def _export(
    bucket: Bucket,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What to write; - is stdout.")],
    *,
    format: Annotated[  # noqa: A002 - the option's name
        str | None, typer.Option(help="arrow, parquet, jsonl or csv; without it by the suffix.")
    ] = None,
    offset: Annotated[int, typer.Option(min=0, help="The first record.")] = 0,
    limit: Annotated[int | None, typer.Option(min=0, help="Most records; without it all.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace FILE.")] = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Write the records of a bucket into a file."""
    from persisting.cli.transfer import export_bucket

    export_bucket(
        bucket,
        file,
        format_name=format,
        offset=offset,
        limit=limit,
        overwrite=overwrite,
        as_json=as_json,
        quiet=quiet,
    )


@app.command("bench", epilog="Example: persisting bench /data")
def _bench(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="A folder on the disk to measure.")],
    seconds: Annotated[float, typer.Option(min=0.05, help="For each measurement.")] = 1.0,
    as_json: AsJson = False,
) -> None:
    """Measure this disk and this build beside yardsticks.

    It works in a folder of its own below the path, and leaves nothing behind.
    """
    from persisting.cli.bench import bench

    bench(path, seconds=seconds, as_json=as_json)


@app.command("top", epilog="Example: persisting top ./queue_storage --interval 2")
def _top(
    path: BucketsPath,
    interval: Interval = 1.0,
    once: Annotated[bool, typer.Option("--once", help="Show one interval, then end.")] = False,
    as_json: AsJson = False,
) -> None:
    """Watch buckets at work: rates, lag, sizes and times.

    Times of puts are those of buckets whose program has enable_metrics on.
    """
    from persisting.cli.top import top

    top(path, interval=interval, once=once, as_json=as_json)


@app.command("serve-metrics", epilog="Example: persisting serve-metrics ./queue_storage")
def _serve_metrics(
    path: BucketsPath,
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any that is free.")] = 9464,
    addr: Annotated[str, typer.Option(help="The address to listen at.")] = "127.0.0.1",
) -> None:
    """Serve the metrics of other processes to Prometheus."""
    from persisting.cli.serve_metrics import serve_metrics

    serve_metrics(path, port=port, addr=addr)


@app.command("dashboard", epilog="Example: persisting dashboard ./queue_storage --open")
def _dashboard(
    path: BucketsPath,
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Of the page; 0: any that is free.")
    ] = 0,
    open_browser: Annotated[bool, typer.Option("--open", help="Open it in a browser.")] = False,
) -> None:
    """Show buckets at work on a local page, live.

    It only reads, and only this machine can reach it.
    """
    from persisting.cli.dashboard import show_dashboard

    show_dashboard(path, port=port, open_browser=open_browser)


@app.command("doctor", epilog="Example: persisting doctor /data")
def _doctor(
    path: Annotated[
        Path, typer.Argument(metavar="PATH", help="A folder on the disk to look at.")
    ] = Path(),
    as_json: AsJson = False,
) -> None:
    """Look at versions, limits, the disk, and its fsync.

    Exit status 1 if something endangers what was acknowledged.
    """
    from persisting.cli.doctor import doctor

    raise typer.Exit(doctor(path, as_json=as_json))
