"""Renders `persisting top` over two buckets at work into docs/images/top.svg.

.venv/bin/python scripts/screenshot_top.py [FILE]
"""

from __future__ import annotations

import io
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console

from persisting.cli import top

PICTURE = Path(__file__).resolve().parent.parent / "docs" / "images" / "top.svg"
WIDTH = 148

# A program of a user: it puts batches, reads what it has put, and flushes now and then.
WORK = """
import sys
from persisting.queue import PersistingBackend

backend = PersistingBackend(
    int(sys.argv[2]), sys.argv[1], enable_metrics=True, flush_threshold=5000
).sync()
position = 0
while True:
    backend.put_batch(
        [{"id": f"episode-{position + i}", "reward": i / 10, "tokens": [1, 2]} for i in range(20)]
    )
    position += len(backend.get(20, position))
    if position == 20:
        print("working", flush=True)
"""


def picture(folder: Path) -> str:
    """Returns the third look at the buckets below a folder, as SVG."""
    looks = top.watch(folder, 1.0)
    for _ in range(2):
        next(looks)
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True)
    console.print("$ persisting top ./queue_storage", markup=False, highlight=False)
    console.print(top.render(next(looks), WIDTH))
    svg = console.export_svg(title="persisting top")
    # rich lets a viewer load its font from elsewhere; every viewer has some monospaced one.
    svg = re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)
    return re.sub(r"<!--.*?-->\s*", "", svg, flags=re.DOTALL)


def main() -> None:
    """Starts the programs, and draws what top shows of them."""
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else PICTURE
    with tempfile.TemporaryDirectory(dir=".") as storage:
        programs = []
        try:
            for number in range(2):
                bucket = Path(storage) / "rollouts" / f"bucket_{number}"
                programs.append(
                    subprocess.Popen(
                        [sys.executable, "-c", WORK, bucket, str(number)],
                        stdout=subprocess.PIPE,
                        text=True,
                    )
                )
            for program in programs:
                assert program.stdout is not None
                program.stdout.readline()
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(picture(Path(storage)), encoding="utf-8")
        finally:
            for program in programs:
                program.kill()
                program.wait()
    print(f"{target} is drawn")


if __name__ == "__main__":
    main()
