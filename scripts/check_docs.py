"""Checks that every relative link of the documentation leads to a file and a heading that exist."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

ROOT = Path(__file__).resolve().parent.parent

FENCE = re.compile(r"^(```|~~~).*?^\1", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"`[^`\n]*`")
HEADING = re.compile(r"^#{1,6}\s+(.+?)\s*#*$", re.MULTILINE)
LINK = re.compile(r"\]\(\s*<?([^)\s>]+)>?[^)]*\)|^\[[^\]]+\]:\s*(\S+)", re.MULTILINE)
ABSOLUTE = re.compile(r"[a-z][a-z0-9+.-]*:", re.IGNORECASE)


def prose(path: Path) -> str:
    """Returns the text without fenced code, its line numbers kept."""
    return FENCE.sub(lambda found: "\n" * found[0].count("\n"), path.read_text(encoding="utf-8"))


def anchors(path: Path) -> set[str]:
    """Returns the anchors that the page's headings get."""
    found: set[str] = set()
    for heading in HEADING.findall(prose(path)):
        text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        anchor = re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")
        count = 1
        unique = anchor
        while unique in found:
            unique = f"{anchor}-{count}"
            count += 1
        found.add(unique)
    return found


def problems(page: Path) -> Iterator[str]:
    """Yields the broken links of one page."""
    text = CODE.sub(lambda found: " " * len(found[0]), prose(page))
    for match in LINK.finditer(text):
        link = match[1] or match[2]
        if ABSOLUTE.match(link):
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / unquote(name)).resolve() if name else page
        where = f"{page.relative_to(ROOT)}:{text.count(chr(10), 0, match.start()) + 1}"
        if not target.is_relative_to(ROOT) or not target.exists():
            yield f"{where}: {link}: no such file"
        elif anchor and target.suffix == ".md" and anchor not in anchors(target):
            yield f"{where}: {link}: no such heading"


def main() -> int:
    """Prints every broken link."""
    pages = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
    broken = [problem for page in pages for problem in problems(page)]
    for problem in broken:
        print(problem, file=sys.stderr)
    print(f"docs: {len(pages)} pages, {len(broken)} broken links")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
