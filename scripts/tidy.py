"""Runs clang-tidy over src/, two files at a time, skipping files that were clean as they are now.

A file counts as unchanged while it, every header of ours that it reaches, its compile command and
.clang-tidy are what they were at its last clean run. The stamps are in build/tidy.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from check_includes import ROOT, includes

DATABASE = ROOT / "build/dev/compile_commands.json"
STAMPS = ROOT / "build/tidy"


def reached(path: Path, seen: set[Path]) -> set[Path]:
    """Adds to `seen` the file and every header of ours that it includes, directly or not."""
    if path in seen:
        return seen
    seen.add(path)
    for _, bracket, name in includes(path):
        for folder in (ROOT / "include", ROOT / "src"):
            if bracket == '"' and (folder / name).is_file():
                reached(folder / name, seen)
    return seen


def fingerprint(path: Path, command: str) -> str:
    """Returns a digest of everything that can change what clang-tidy says about the file."""
    digest = hashlib.sha256(command.encode())
    for part in [ROOT / ".clang-tidy", *sorted(reached(path, set()))]:
        digest.update(part.read_bytes())
    return digest.hexdigest()


def tidy(path: Path, command: str) -> bool:
    """Checks one file and returns whether it is clean."""
    stamp = STAMPS / str(path.relative_to(ROOT)).replace("/", "__")
    wanted = fingerprint(path, command)
    if stamp.is_file() and stamp.read_text(encoding="utf-8") == wanted:
        return True
    # The compiler judges the warnings (-w): clang and GCC disagree about the same flags.
    run = subprocess.run(
        ["clang-tidy", "--quiet", "-p", str(DATABASE.parent), "--extra-arg=-w", str(path)],
        capture_output=True,
        text=True,
        check=False,
    )
    clean = run.returncode == 0
    if clean:
        stamp.write_text(wanted, encoding="utf-8")
    else:
        print(run.stdout or run.stderr, end="", flush=True)
    print(f"clang-tidy {path.relative_to(ROOT)}: {'clean' if clean else 'FAILED'}", flush=True)
    return clean


def main() -> int:
    """Checks every compiled file of src/."""
    STAMPS.mkdir(parents=True, exist_ok=True)
    jobs = {
        Path(entry["file"]): entry["command"]
        for entry in json.loads(DATABASE.read_text(encoding="utf-8"))
        if Path(entry["file"]).is_relative_to(ROOT / "src")
    }
    with ThreadPoolExecutor(max_workers=2) as pool:
        results = list(pool.map(tidy, jobs.keys(), jobs.values()))
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
