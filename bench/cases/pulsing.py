"""Lists of records over real Pulsing, whose actors own the buckets, and over TransferQueue."""

import asyncio
from pathlib import Path
from typing import Any

from framework import NOTHING, POWER, Group, MissingPeerError, Round, Row, at_least
from peers import pulsing_system, transfer_queue
from persisting.queue import write_queue
from workload import make_records

LIST = 5_000


async def measure_process(this: Round, system: Any, where: str, folder: Path, own: int) -> None:
    """Measure our writer and Pulsing's own, with the buckets here or in the other process."""

    async def ours(topic: str) -> Any:
        return await write_queue(
            system, topic, storage_path=folder / topic, num_buckets=pulsing_system.NUM_BUCKETS
        )

    async def pulsings(topic: str) -> Any:
        return await pulsing_system.open_own(system, topic)

    records = make_records(this.count(LIST, 100))
    for name, open_writer, count in (("ours", ours, len(records)), ("pulsing", pulsings, own)):
        if where == "same":
            writer = await open_writer(name)
        else:
            writer = await pulsing_system.open_elsewhere(system, name, open_writer)
        figures = await pulsing_system.put_rate(writer, records[:count])
        this.figures[f"{name}_{where}"] = figures


def measure(this: Round) -> None:
    async def same() -> None:
        async with pulsing_system.one_process() as system:
            folder = this.new_folder()
            await measure_process(this, system, "same", folder, this.count(LIST, 100))

    async def other() -> None:
        folder = this.new_folder()
        async with pulsing_system.two_processes(folder) as system:
            # At some hundred records a second, a part of the list tells the rate.
            await measure_process(this, system, "other", folder, this.count(500, 20))

    asyncio.run(same())
    asyncio.run(other())
    with this.peer("TransferQueue"):
        if this.smoke:
            raise MissingPeerError("it is left out of the smoke run: Ray takes long to start")
        this.figures["transfer_queue"] = transfer_queue.put_rate(this.count(LIST, 100), 5)


OWN = f"Pulsing's own put of it, memory backend (survives {NOTHING})"
GROUP = Group(
    "pulsing",
    "Over Pulsing",
    "A list of 5,000 records through our writer, with the default backend, over real Pulsing"
    " actors, in four buckets of this process or of another one on this machine. Pulsing's own"
    " writer puts the same list (500 of it where the buckets are in another process) into its"
    " memory backend. TransferQueue keeps the list in memory in Ray's processes.",
    rows=(
        Row(
            "list of 5,000, same process",
            POWER,
            "ours_same",
            "pulsing_same",
            OWN,
            target=at_least(50),
        ),
        Row(
            "list of 5,000, other process",
            POWER,
            "ours_other",
            "pulsing_other",
            OWN,
            target=at_least(100),
        ),
        Row(
            "list of 5,000, other process",
            POWER,
            "ours_other",
            "transfer_queue",
            f"TransferQueue (survives {NOTHING})",
        ),
    ),
    measure=measure,
)
