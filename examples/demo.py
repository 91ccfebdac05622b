"""Puts 336,776 flights into a queue, kills the program that does so, and shows that none is lost.

    make demo      or      .venv/bin/python examples/demo.py [--keep] [--path FOLDER]

`loader.py` uses the queue, and is what gets killed; `flights.py` knows the records. This program
starts, kills and checks the loader, and then reads its files with Lance and DuckDB.
"""

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from bisect import bisect_left
from importlib.metadata import version
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import duckdb
import lance
import pyarrow as pa

import persisting
from display import Steps, console, progress, say, show_summary, show_table
from flights import Violation, check_order, ids_by_bucket, load_airlines, load_flights
from loader import NUM_BUCKETS, RECORDS_PER_PUT, TOPIC
from persisting.queue import Queue

HERE = Path(__file__).resolve().parent

# The ids of each bucket's flights, in the order in which they are put.
Buckets = dict[int, list[int]]

DELAYS = """
    SELECT
        name AS airline,
        count(*) AS flights,
        count(*) FILTER (dep_time IS NULL) AS cancelled,
        avg(dep_delay) FILTER (origin = 'EWR') AS EWR,
        avg(dep_delay) FILTER (origin = 'JFK') AS JFK,
        avg(dep_delay) FILTER (origin = 'LGA') AS LGA
    FROM flights JOIN airlines USING (carrier)
    GROUP BY name
    ORDER BY flights DESC
    LIMIT 8
"""


def main() -> int:
    """Run the demo and return its exit code."""
    arguments = parse_arguments()
    # SIGTERM unwinds the stack as Ctrl-C does, so that the loader never outlives this program.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    folder = make_folder(arguments.path)
    exit_code = 0
    try:
        run(folder)
    except KeyboardInterrupt:
        console.print("\nstopped")
        exit_code = 128 + signal.SIGINT
    except (Violation, LoaderFailedError) as error:
        console.print(f"\n[bold red]FAILED:[/] {error}\nThe data stays in {folder}")
        return 1
    if arguments.keep:
        console.print(f"The data stays in {folder}")
    else:
        shutil.rmtree(folder)
        console.print(f"Removed the data in {folder}; --keep keeps it")
    return exit_code


def parse_arguments() -> argparse.Namespace:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--keep", action="store_true", help="keep the data at the end")
    parser.add_argument(
        "--path",
        type=Path,
        help="a new or empty folder for the data; default: a new one below build",
    )
    return parser.parse_args()


def make_folder(path: Path | None) -> Path:
    """Return the folder of this run, in which there is nothing yet."""
    if path is None:
        build = HERE.parent / "build"
        build.mkdir(exist_ok=True)
        return Path(os.path.relpath(tempfile.mkdtemp(prefix="demo-", dir=build)))
    path.mkdir(parents=True, exist_ok=True)
    if any(path.iterdir()):
        sys.exit(f"{path} is not empty; the demo wants a folder of its own")
    return path


def run(folder: Path) -> None:
    """Show everything, step by step."""
    flights = load_flights()
    total = flights.num_rows
    buckets = ids_by_bucket(flights, Queue(None, TOPIC, num_buckets=NUM_BUCKETS).get_bucket_id)
    console.print(
        f"[bold]{total:,} flights[/] into {NUM_BUCKETS} buckets of Persisting"
        f" {persisting.__version__}, over Pulsing {version('pulsing')}, in {folder}",
        soft_wrap=True,
    )

    steps = Steps()
    with LoaderProcess(folder) as loader, steps.step("Load, and kill -9 half-way"):
        acked = load_and_kill(loader, total)
    with LoaderProcess(folder) as loader:
        with steps.step("Start again and recover"):
            recovered = recover(loader, buckets, acked)
        with steps.step("Load the rest"):
            follow(loader, "acked", total - recovered)
        with steps.step("Read back through the queue"):
            follow(loader, "compared", total)
            loader.wait_for("intact")
            say("every flight is there, once, in order, and equal to its source in every field")
        with steps.step("Flush into Lance"):
            loader.wait_for("flushed")
            loader.wait_for_end()
    with steps.step("Read with pylance"):
        stored = read_with_lance(folder, flights, buckets)
    with steps.step("Query with DuckDB"):
        show_delays(stored)
    distinct = len(stored["id"].unique())
    counts = {
        "in the source": total,
        "acked before the kill": acked,
        "recovered": recovered,
        "stored at the end": stored.num_rows,
        "lost": total - distinct,
        "duplicates": stored.num_rows - distinct,
    }
    show_summary(counts, steps.seconds)


class LoaderFailedError(Exception):
    """The loader ended before its time."""


class LoaderProcess:
    """`loader.py` in a process of its own: its events as they come. Leaving the block kills it."""

    def __init__(self, folder: Path) -> None:
        # In a session of its own: Ctrl-C shall reach this program alone, which then kills it.
        self._process = subprocess.Popen(
            [sys.executable, HERE / "loader.py", folder],
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        assert self._process.stdout
        self._output = self._process.stdout

    def wait_for(self, name: str) -> Any:
        """Return what the next event of this name tells; others before it are passed over."""
        for line in self._output:
            event = json.loads(line)
            if "violation" in event:
                raise Violation(event["violation"])
            if name in event:
                return event[name]
        raise LoaderFailedError(f"the loader ended with exit code {self._process.wait()}")

    def wait_for_end(self) -> None:
        """Return once the loader has ended by itself, in good order."""
        if exit_code := self._process.wait():
            raise LoaderFailedError(f"the loader ended with exit code {exit_code}")

    def kill(self) -> list[dict[str, Any]]:
        """Send SIGKILL; return the events that had been reported and not yet been waited for."""
        self._process.kill()
        self._process.wait()
        return [json.loads(line) for line in self._output]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.wait()
        self._output.close()


def load_and_kill(loader: LoaderProcess, total: int) -> int:
    """Kill the loader in the middle of a put; return how many flights were acked until then."""
    for _ in range(NUM_BUCKETS):
        loader.wait_for("recovered")  # from a folder in which there is nothing yet
    acked = 0
    with progress("acked", total) as show:
        while acked < total / 2:
            acked = loader.wait_for("acked")
            show(acked)
        loader.wait_for("putting")
        time.sleep(random.uniform(0, 0.03))  # each run kills at another point of a put
        last_events = loader.kill()
        for event in last_events:
            acked = event.get("acked", acked)
        show(acked)
    where = "between two puts" if last_events and "acked" in last_events[-1] else "inside a put"
    say(f"killed {where}, with {acked:,} flights acked")
    return acked


def recover(loader: LoaderProcess, buckets: Buckets, acked: int) -> int:
    """Check that every acked flight is there, once, in order; return how many there are."""
    rows = []
    for _ in buckets:
        bucket = loader.wait_for("recovered")
        bucket_id, ids = bucket["bucket_id"], bucket["ids"]
        # Of a put that was not acked a bucket may have kept the first flights, or all, or none.
        put = buckets[bucket_id]
        put = put[: bisect_left(put, acked + RECORDS_PER_PUT)]
        check_order(bucket_id, ids, put, acked=bisect_left(put, acked))
        rows.append((bucket_id, len(ids), bucket["in_table"], bucket["in_log"], bucket["seconds"]))
    show_table(("bucket", "flights", "in the table", "in the log", "seconds"), rows)
    recovered = sum(row[1] for row in rows)
    seconds = sum(row[4] for row in rows)
    say(f"recovered in {seconds:.2f} s: all {acked:,} acked flights are there, once, in order")
    say(f"kept as well: {recovered - acked:,} flights of a put that was still under way")
    return recovered


def follow(loader: LoaderProcess, name: str, total: int) -> None:
    """Show the events of this name as progress, until all is done."""
    done = 0
    with progress(name, total) as show:
        while done < total:
            done = loader.wait_for(name)
            show(done)


def read_with_lance(folder: Path, flights: pa.Table, buckets: Buckets) -> pa.Table:
    """Compare the files with the source, without the queue; return what they hold."""
    tables = []
    for bucket_id, ids in buckets.items():
        dataset = lance.dataset(folder / f"bucket_{bucket_id}" / "data.lance")
        table = dataset.to_table(columns=flights.column_names)
        check_order(bucket_id, table["id"].to_pylist(), put=ids, acked=len(ids))
        tables.append(table)
    stored = pa.concat_tables(tables)
    by_id = stored.sort_by("id")
    for name in flights.column_names:
        if by_id[name] != flights[name]:
            raise Violation(f"column {name} of the Lance tables differs from the source")
    say(f"{stored.num_rows:,} rows, equal to their source in every column")
    return stored


def show_delays(flights: pa.Table) -> None:
    """Print the average delay of the busiest airlines."""
    with duckdb.connect() as database:
        database.register("flights", flights)
        database.register("airlines", load_airlines())
        result = database.sql(DELAYS)
        say("average delay of the departures, in minutes, by airport")
        show_table(result.columns, result.fetchall())


if __name__ == "__main__":
    sys.exit(main())
