"""The C++ programs of the bench: built once a run, and run in processes of their own."""

import subprocess
from pathlib import Path

from framework import Figures, MissingPeerError

ROOT = Path(__file__).resolve().parent.parent
PROGRAMS = ROOT / "build" / "bench" / "bench" / "native"


def build() -> None:
    """Build them; does nothing where nothing changed."""
    for command in (["cmake", "--preset", "bench"], ["cmake", "--build", "--preset", "bench"]):
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise SystemExit(f"bench: {' '.join(command)} failed:\n{done.stdout}{done.stderr}")


def run(program: str, *arguments: object) -> Figures:
    """Run a program; return the figures that it prints."""
    path = PROGRAMS / program
    if not path.exists():
        raise MissingPeerError(f"{program} is not built: scripts/setup bench brings what it wants")
    command = [str(path), *(str(argument) for argument in arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)} failed: {done.stderr.strip()}")
    lines = [line.split() for line in done.stdout.splitlines()]
    return {name: float(value) for name, value in lines}
