"""Measures Persisting against its peers and the hardware, in one run on one machine.

    make bench                         everything; writes docs/benchmarks.md and its pictures
    bench/run.py --only reads          one section (or more); the others stay as they were measured
    bench/run.py --page                the pages alone, from bench/results.json
    bench/run.py --smoke               tiny counts: does every case still run? Writes nothing

Rounds are interleaved: each takes every section in turn, in a process of its own.
"""

import argparse
import json
import math
import shutil
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import machine
import native
import page
import results
from cases import GROUPS
from framework import Round
from results import Measured

#: Below build, on the disk of the checkout.
SCRATCH = native.ROOT / "build" / "bench-data"
ROUNDS = 5
FLATNESS_RECORDS = 20_000_000


def arguments() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--only", action="append", choices=sorted(GROUPS), metavar="SECTION")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument(
        "--flatness-records",
        type=int,
        default=FLATNESS_RECORDS,
        help="records of the long run; about a minute for 20 million",
    )
    parser.add_argument("--flatness-rounds", type=int, help="as many as the others, by default")
    parser.add_argument("--smoke", action="store_true", help="tiny counts, one round, no pages")
    parser.add_argument("--page", action="store_true", help="write the pages from the kept results")
    parser.add_argument("--measure", metavar="SECTION", help=argparse.SUPPRESS)
    parser.add_argument("--round", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


def measure_here(options: argparse.Namespace) -> None:
    """Measure one round of one section in this process; write it beside the folder."""
    this = Round(options.folder, options.smoke, options.round, options.flatness_records)
    GROUPS[options.measure].measure(this)
    answer = {"figures": this.figures, "skipped": this.skipped}
    (options.folder / "answer.json").write_text(json.dumps(answer))


def measure_apart(name: str, number: int, options: argparse.Namespace) -> Round:
    """Measure one round of one section in a process of its own."""
    SCRATCH.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=SCRATCH))
    this = Round(folder, options.smoke, number, options.flatness_records)
    command = [sys.executable, __file__, "--measure", name, "--folder", str(folder)]
    command += ["--round", str(number), "--flatness-records", str(options.flatness_records)]
    command += ["--smoke"] if options.smoke else []
    try:
        done = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
        )
        if done.returncode != 0:
            raise SystemExit(f"bench: {name} failed:\n{done.stdout.decode(errors='replace')}")
        answer = json.loads((folder / "answer.json").read_text())
        this.figures, this.skipped = answer["figures"], answer["skipped"]
    finally:
        shutil.rmtree(folder)
    return this


def check(name: str, this: Round) -> None:
    """Make sure that each row has its figures, but for peers that are said to be missing."""
    wrong = {
        figure: value
        for figure, value in this.figures.items()
        if not (math.isfinite(value) and value > 0)
    }
    absent = [
        row.key
        for row in GROUPS[name].rows
        if row.ours not in this.figures or (row.peer not in this.figures and not this.skipped)
    ]
    if wrong or absent:
        raise SystemExit(f"bench: {name}: impossible figures {wrong}, rows without {absent}")


def say(text: str) -> None:
    """Tell how it goes."""
    print(f"bench: {text}", file=sys.stderr, flush=True)


def measure_all(options: argparse.Namespace) -> dict[str, Measured]:
    """Measure all rounds of the chosen sections."""
    described = machine.describe(native.ROOT)
    date = datetime.now(UTC).strftime("%Y-%m-%d")
    names = options.only or list(GROUPS)
    measured = {name: Measured(machine=described, date=date) for name in names}
    rounds = 1 if options.smoke else options.rounds
    for number in range(rounds):
        for name in names:
            if name == "flatness" and number >= (options.flatness_rounds or rounds):
                continue
            started = time.monotonic()
            this = measure_apart(name, number, options)
            check(name, this)
            measured[name].rounds.append(this.figures)
            measured[name].skipped |= this.skipped
            for peer, reason in this.skipped.items():
                say(f"{name}: {peer} left out: {reason}")
            took = time.monotonic() - started
            say(f"round {number + 1} of {rounds}: {name} done in {took:.1f} s")
        if not options.smoke:  # a run that ends early leaves the rounds that it has finished
            results.save(results.load() | measured)
    return measured


def main() -> None:
    """Do what the command line says."""
    options = arguments()
    if options.measure:
        measure_here(options)
        return
    if options.page:
        print(page.write(results.load()))
        return
    page.load_notes()
    native.build()
    measured = measure_all(options)
    if options.smoke:
        say(f"{len(measured)} sections ran, every figure is above zero")
        return
    # From the file, so that writing the pages again gives the same.
    print(page.write(results.load()))


if __name__ == "__main__":
    main()
