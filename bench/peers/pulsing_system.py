"""Pulsing itself: its actor system, its queue with the memory backend, and a second process."""

import asyncio
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pulsing as pul
from pulsing import streaming

from framework import Record
from peers import server

NODE = Path(__file__).resolve().parent.parent / "programs" / "pulsing_node.py"
NUM_BUCKETS = 4
JOIN_SECONDS = 30
#: A topic has all its buckets in the other process in one of sixteen cases.
MOST_TOPICS = 500

OpenWriter = Callable[[str], Awaitable[Any]]


@asynccontextmanager
async def one_process() -> AsyncIterator[Any]:
    """Run a system that is alone."""
    system = await pul.actor_system()
    try:
        yield system
    finally:
        await system.shutdown()


def start_node(address: str, folder: Path) -> subprocess.Popen[bytes]:
    """Start a node in a process of its own; its log goes into the folder."""
    with (folder / "node.log").open("wb") as log:
        return subprocess.Popen(
            [sys.executable, NODE, address],
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
        )


@asynccontextmanager
async def two_processes(folder: Path) -> AsyncIterator[Any]:
    """Run a system of two nodes, the other one in a process of its own."""
    addresses = [f"127.0.0.1:{server.free_port()}" for _ in range(2)]
    node = start_node(addresses[1], folder)
    try:
        assert node.stdout is not None
        if await asyncio.to_thread(node.stdout.readline) != b"ready\n":
            raise RuntimeError(f"Pulsing's node did not start: {(folder / 'node.log').read_text()}")
        system = await pul.actor_system(addr=addresses[0], seeds=[addresses[1]])
        try:
            await until_joined(system)
            yield system
        finally:
            await system.shutdown()
    finally:
        node.communicate()


async def until_joined(system: Any) -> None:
    """Wait until both nodes know each other."""
    deadline = time.monotonic() + JOIN_SECONDS
    while sum(member.get("status") == "Alive" for member in await system.members()) < 2:
        if time.monotonic() > deadline:
            raise RuntimeError("Pulsing's nodes did not find each other")
        await asyncio.sleep(0.05)


async def open_own(system: Any, topic: str) -> Any:
    """Open a topic with Pulsing's own writer and memory backend."""
    inner = getattr(system, "_inner", system)
    return await streaming.write_queue(inner, topic, num_buckets=NUM_BUCKETS, backend="memory")


async def open_elsewhere(system: Any, name: str, open_writer: OpenWriter) -> Any:
    """Open a topic of which all buckets are in the other process; a record is in it already."""
    for attempt in range(MOST_TOPICS):
        topic = f"{name}{attempt}"
        writer = await open_writer(topic)
        mark = f"actors/bucket_{topic}_"
        for i in range(4 * NUM_BUCKETS):  # so that each bucket has been asked for
            await writer.put({"id": i})
            if any(each.startswith(mark) for each in system.local_actor_names()):
                break
        else:
            return writer
    raise RuntimeError("no topic has all its buckets in the other process")


async def put_rate(writer: Any, records: list[Record]) -> float:
    """Return how many records of a list a second the writer puts."""
    await writer.put(records[:10])  # the first put finds the actors
    started = time.perf_counter()
    await writer.put(records)
    return len(records) / (time.perf_counter() - started)
