"""Checks that no file includes what its layer must not see. Exit status 1 names each offence."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

# What each layer of src/ may include besides itself, the public headers and libraries.
LAYERS: dict[str, set[str]] = {
    "base": set(),
    "wal": {"base"},
    "tail": {"base"},
    "table": {"base"},
    "schema": {"base"},
    "lance": {"base", "table"},
    "metrics": {"base", "wal"},
    "engine": {"base", "metrics", "wal", "tail", "table", "schema"},
    "queue": {"base", "engine"},
}

# What the optional components may include besides: their own library.
COMPONENTS: dict[str, str] = {
    "include/persisting/prometheus.h": "prometheus/",
}

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')
DEPENDS = re.compile(r"\bDEPENDS\s+([a-z_\s]*)")
# The C headers serve the C ABI of lance_engine.h.
STANDARD = re.compile(r"[a-z_0-9]+|stddef\.h|stdint\.h|stdbool\.h")


def includes(path: Path) -> Iterator[tuple[int, str, str]]:
    """Yields line number, opening bracket and name of each include directive."""
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if match := INCLUDE.match(line):
            yield number, match[1], match[2]


def sources(*folders: str) -> list[Path]:
    """Returns the C++ files below the folders."""
    return sorted(
        path
        for folder in folders
        for path in (ROOT / folder).rglob("*")
        if path.suffix in {".h", ".cc"}
    )


def is_public(bracket: str, name: str) -> bool:
    """Tells whether an include is a public header or one of the standard library."""
    if bracket == "<":
        return STANDARD.fullmatch(name) is not None
    return name.startswith("persisting/")


def public_problem(place: str, bracket: str, name: str) -> str | None:
    """Rule of include/ and examples/."""
    component = COMPONENTS.get(place)
    if component is not None and bracket == "<" and name.startswith(component):
        return None
    return None if is_public(bracket, name) else "only the standard library and persisting/ here"


def binding_problem(bracket: str, name: str) -> str | None:
    """Rule of python/bindings/."""
    if bracket == "<" or is_public(bracket, name):
        return None
    if (ROOT / "python/bindings" / name).is_file():
        return None
    return "of our own headers, bindings see only persisting/ and their own folder"


def layer_problem(layer: str, bracket: str, name: str) -> str | None:
    """Rule of src/<layer>/."""
    if bracket == "<" or name.startswith("persisting/"):
        return None
    target = name.partition("/")[0]
    if target not in LAYERS:
        return 'internal headers are "<layer>/<file>", library headers take <>'
    if target != layer and target not in LAYERS[layer]:
        return f"{layer} must not see {target}"
    return None


def include_problems() -> Iterator[str]:
    """Yields the includes that break a rule."""
    for path in sources("include", "examples", "python/bindings", "src"):
        place = path.relative_to(ROOT)
        for number, bracket, name in includes(path):
            match place.parts:
                case ["src", layer, *_]:
                    problem = layer_problem(layer, bracket, name)
                case ["python", *_]:
                    problem = binding_problem(bracket, name)
                case _:
                    problem = public_problem(str(place), bracket, name)
            if problem:
                yield f"{place}:{number}: includes {name}: {problem}"


def layer_problems() -> Iterator[str]:
    """Yields the layers that are unknown here or link more than they may include."""
    for folder in sorted(path for path in (ROOT / "src").iterdir() if path.is_dir()):
        lists = folder / "CMakeLists.txt"
        if folder.name not in LAYERS:
            yield f"src/{folder.name}: not a layer of scripts/check_includes.py"
        elif match := DEPENDS.search(lists.read_text(encoding="utf-8")):
            for extra in sorted(set(match[1].split()) - LAYERS[folder.name]):
                yield f"src/{folder.name}/CMakeLists.txt: must not depend on {extra}"


def main() -> int:
    """Prints every problem."""
    problems = list(layer_problems())
    # An unknown layer has no rules to check its includes against.
    problems = problems or list(include_problems())
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
