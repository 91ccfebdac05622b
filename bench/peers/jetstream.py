"""NATS JetStream with sync_interval always: a publish is acknowledged once it is synced."""

import asyncio
import re
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgpack

from framework import MissingPeerError, Record
from peers import server

SUBJECT = "records"
#: The first release whose sync_interval can be "always".
OLDEST = (2, 10)


@contextmanager
def running(folder: Path) -> Iterator[str]:
    """Run a server while the block runs; gives its address."""
    try:
        import nats  # noqa: F401 - what follows wants it
    except ModuleNotFoundError as error:
        raise MissingPeerError(
            "the Python package nats-py is not installed; scripts/setup bench"
        ) from error
    program = server.find_program("nats-server", "scripts/setup bench builds it where Go is")
    output = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
    found = re.search(r"v(\d+)\.(\d+)", output.stdout)
    if found is None or (int(found[1]), int(found[2])) < OLDEST:
        raise MissingPeerError(f"{output.stdout.strip()} is too old to sync each publish")
    port = server.free_port()
    settings = folder / "nats.conf"
    settings.write_text(
        f"listen: 127.0.0.1:{port}\n"
        f'jetstream {{ store_dir: "{folder / "store"}", sync_interval: always }}\n'
    )

    def is_ready() -> bool:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=1):
                return True
        except OSError:
            return False

    with server.running([program, "--config", str(settings)], folder, is_ready):
        yield f"nats://127.0.0.1:{port}"


def publish_rate(address: str, records: list[Record], producers: int) -> float:
    """Return how many records a second so many tasks publish, each one after the other."""
    import nats
    from nats.js.api import StorageType

    async def run() -> float:
        async with await nats.connect(address) as client:
            stream = client.jetstream()
            await stream.add_stream(name="s", subjects=[SUBJECT], storage=StorageType.FILE)

            async def produce(part: list[Record]) -> None:
                for record in part:
                    await stream.publish(SUBJECT, msgpack.packb(record))

            loop = asyncio.get_running_loop()
            started = loop.time()
            await asyncio.gather(*(produce(records[i::producers]) for i in range(producers)))
            elapsed = loop.time() - started
            await stream.delete_stream("s")
            return len(records) / elapsed

    return asyncio.run(run())
