"""Counts the instructions of puts and reads in C++, and compares them with a kept baseline.

    bench/instructions.py            compare; over 5 % more than the baseline fails. In make lint
    bench/instructions.py --renew    write the baseline anew: bench/instructions.toml

An operation is counted as the difference between a run with one repeat and a run with two, so that
what a process does once is left out, and what other threads do for it is in. Counts depend on the
compiler and the libraries: where these are not the baseline's, the comparison says so and passes.
"""

import argparse
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import native

BASELINE = Path(__file__).resolve().parent / "instructions.toml"
LIMIT = 0.05
RECORDS = 20_000
#: The operations of native/persisting_bench.cc.
OPERATIONS = ("put", "make_put", "put_batch", "get", "get_arrow")
HEADER = """\
# Instructions a record, counted by valgrind in a fixed run: bench/instructions.py, in make lint.
# Growth of over 5 % fails. Where it is meant: bench/instructions.py --renew, in the same commit.
"""


def environment() -> dict[str, str]:
    """Return what counts depend on beside the sources."""
    compiler = subprocess.run(["g++", "--version"], capture_output=True, text=True, check=True)
    valgrind = subprocess.run(["valgrind", "--version"], capture_output=True, text=True, check=True)
    flags = re.search(r"^flags\s*:.*$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return {
        "compiler": compiler.stdout.splitlines()[0],
        "c_library": " ".join(platform.libc_ver()),
        "valgrind": valgrind.stdout.strip(),
        # The C library has functions of its own for it.
        "machine": platform.machine() + (" with avx2" if flags and " avx2" in flags[0] else ""),
    }


def count_run(operation: str, repeats: int) -> int:
    """Return the instructions of a whole run, of all threads."""
    with tempfile.TemporaryDirectory(prefix="instructions-", dir=native.ROOT / "build") as folder:
        command = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={folder}/out"]
        # Threads take turns: what makes room for puts gets its own.
        command += ["--fair-sched=yes"]
        command += [str(native.PROGRAMS / "persisting_bench"), operation, f"{folder}/bucket"]
        command += [str(RECORDS), str(repeats)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        collected = re.search(r"Collected : (\d+)", done.stderr)
        if done.returncode != 0 or collected is None:
            raise SystemExit(f"instructions: {operation} failed:\n{done.stderr}")
        return int(collected[1])


def count_all() -> dict[str, float]:
    """Return instructions a record of each operation."""
    runs = [(operation, repeats) for operation in OPERATIONS for repeats in (1, 2)]
    with ThreadPoolExecutor() as pool:
        counts = dict(zip(runs, pool.map(lambda run: count_run(*run), runs), strict=True))
    return {name: (counts[name, 2] - counts[name, 1]) / RECORDS for name in OPERATIONS}


def renew(counts: dict[str, float]) -> None:
    """Write the baseline."""
    lines = [HEADER, "[environment]"]
    lines += [f'{name} = "{value}"' for name, value in environment().items()]
    lines += ["", "[instructions_a_record]"]
    lines += [f"{name} = {value:.1f}" for name, value in counts.items()]
    BASELINE.write_text("\n".join(lines) + "\n")


def compare(counts: dict[str, float], baseline: dict[str, float]) -> bool:
    """Print how the counts compare; return whether none has grown beyond the limit."""
    good = True
    for name, count in counts.items():
        if name not in baseline:
            print(f"instructions: {name} has no baseline; bench/instructions.py --renew")
            good = False
            continue
        change = count / baseline[name] - 1
        line = f"instructions: {name}: {count:.0f} a record, baseline {baseline[name]:.0f}"
        if change > LIMIT:
            print(
                f"{line}: {change:+.1%}. Find out why, or, if it is meant, renew the baseline in"
                " the same commit: bench/instructions.py --renew"
            )
            good = False
        elif change < -LIMIT:
            print(f"{line}: {change:+.1%}. Keep it so: bench/instructions.py --renew")
    return good


def main() -> int:
    """Compare, or renew."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--renew", action="store_true", help="write the baseline anew")
    options = parser.parse_args()
    if shutil.which("valgrind") is None:
        print("instructions: valgrind is not installed: scripts/setup test", file=sys.stderr)
        return 1
    if options.renew:
        native.build()
        renew(count_all())
        print(BASELINE.read_text())
        return 0
    kept = tomllib.loads(BASELINE.read_text())
    differing = [
        f"{name} is {value!r}, not {kept['environment'].get(name)!r}"
        for name, value in environment().items()
        if kept["environment"].get(name) != value
    ]
    if differing:
        print(f"instructions: not compared, the baseline is of another machine: {differing}")
        return 0
    native.build()
    return 0 if compare(count_all(), kept["instructions_a_record"]) else 1


if __name__ == "__main__":
    sys.exit(main())
