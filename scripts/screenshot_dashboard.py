"""Makes docs/images/dashboard.png: the dashboard over a live run of several topics.

    .venv/bin/python scripts/screenshot_dashboard.py

Wants scripts/setup test first. Takes two minutes: what the page shows is what happened in them.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from selenium import webdriver

from persisting.dashboard import Dashboard
from persisting.queue import write_queue

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "python"))

from chromium import chromium  # noqa: E402 - from the tests

SECONDS = 100.0
WIDTH, HEIGHT = 1400, 1245


def rollout(number: int, late: bool) -> dict[str, Any]:
    """A step of an episode; later ones say which policy took it, and have a finer reward."""
    step: dict[str, Any] = {
        "id": f"episode-{number // 8:05}",
        "step": number % 8,
        "action": random.choice(["search", "read", "answer", "run_tests"]),
        "reward": round(random.gauss(0.6, 0.2), 3) if late else random.randint(0, 1),
        "tokens": [random.randrange(50_000) for _ in range(3)],
    }
    return step | ({"policy": f"v{number // 40_000 + 3}"} if late else {})


def reward(number: int, _late: bool) -> dict[str, Any]:
    """A judgement of an episode."""
    return {"id": f"episode-{number:05}", "judge": "rubric", "score": random.random()}


def tool_call(number: int, _late: bool) -> dict[str, Any]:
    """A call of a tool, with its answer."""
    return {"id": f"call-{number}", "tool": "python", "seconds": random.random(), "output": "ok"}


def evaluation(number: int, _late: bool) -> dict[str, Any]:
    """A question of an evaluation."""
    return {"id": f"question-{number}", "passed": random.random() > 0.3}


#: topic: what it holds, number of buckets, records a second, whether it measures.
TOPICS: dict[str, tuple[Callable[[int, bool], dict[str, Any]], int, int, bool]] = {
    "rollouts": (rollout, 4, 1600, True),
    "rewards": (reward, 4, 200, True),
    "tool-calls": (tool_call, 8, 500, False),
    "evaluation": (evaluation, 2, 0, True),  # done before the page is opened
}


async def write(root: Path, topic: str) -> None:
    """Put records into a topic at a rate that rises and falls; the schema changes on the way."""
    make, num_buckets, rate, measured = TOPICS[topic]
    random.seed(topic)
    options = {
        "flush_interval": random.uniform(6, 9),
        "flush_threshold": 100_000,
        "enable_metrics": measured,
    }
    writer = await write_queue(
        None,
        topic,
        num_buckets=num_buckets,
        storage_path=str(root / topic),
        backend_options=options,
    )
    async with writer:
        if rate == 0:
            await writer.put([make(i, False) for i in range(12_000)])
            return
        began, number = time.monotonic(), 0
        while (passed := time.monotonic() - began) < SECONDS:
            wave = 1 + 0.5 * math.sin(passed / 9) + 0.2 * random.random()
            batch = max(int(rate * wave * 0.05), 1)
            late = passed > SECONDS / 2
            await writer.put([make(number + i, late) for i in range(batch)])
            number += batch
            await asyncio.sleep(0.05)


@contextlib.contextmanager
def writers(root: Path) -> Iterator[None]:
    """A process for each topic that is still written."""
    with contextlib.ExitStack() as stack:
        for topic in TOPICS:
            command = [sys.executable, __file__, str(root), topic]
            process = stack.enter_context(subprocess.Popen(command))
            if TOPICS[topic][2] == 0:
                process.wait()
        yield


@contextlib.contextmanager
def new_folder(name: str) -> Iterator[Path]:
    """A folder of this name, which the picture shows, and which goes with what is in it."""
    folder = Path(tempfile.gettempdir()) / name
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


@contextlib.contextmanager
def browser(folder: str) -> Iterator[webdriver.Chrome]:
    """Chromium without a window."""
    with chromium(folder, "--hide-scrollbars") as driver:
        size = {"width": WIDTH, "height": HEIGHT, "deviceScaleFactor": 1, "mobile": False}
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        yield driver


def dashboard_screenshot(image: Path) -> None:
    """Run the topics, and take the picture shortly before they end."""
    with (
        new_folder("queue_storage") as folder,
        tempfile.TemporaryDirectory() as profile,
        Dashboard(folder) as dashboard,
    ):
        server = threading.Thread(target=dashboard.run)
        server.start()
        with writers(folder), browser(profile) as page:
            page.get(f"{dashboard.url}#rollouts%2Fbucket_1")
            time.sleep(SECONDS - 10)
            image.parent.mkdir(parents=True, exist_ok=True)
            page.save_screenshot(str(image))
        dashboard.stop()
        server.join()
    print(f"{image}: {image.stat().st_size // 1024} KiB")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        asyncio.run(write(Path(sys.argv[1]), sys.argv[2]))
    else:
        dashboard_screenshot(ROOT / "docs" / "images" / "dashboard.png")
