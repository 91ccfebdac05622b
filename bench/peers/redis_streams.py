"""Redis Streams with appendfsync always: XADD answers once its bytes are synced."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from framework import MissingPeerError, Record, rate
from peers import server

STREAM = "records"


@contextmanager
def running(folder: Path) -> Iterator[Path]:
    """Run a server while the block runs; gives the socket that it listens on."""
    try:
        import redis
    except ModuleNotFoundError as error:
        raise MissingPeerError(
            "the Python package redis is not installed; scripts/setup bench"
        ) from error
    program = server.find_program("redis-server", "Debian's package redis-server")
    path = folder / "socket"
    command = [program, "--port", "0", "--unixsocket", str(path), "--dir", str(folder)]
    command += ["--appendonly", "yes", "--appendfsync", "always", "--save", ""]

    def is_ready() -> bool:
        try:
            with redis.Redis(unix_socket_path=str(path)) as client:
                return bool(client.ping())
        except redis.ConnectionError:
            return False

    with server.running(command, folder, is_ready):
        yield path


def add_rate(path: Path, records: list[Record], batch: int) -> float:
    """Return how many records a second one client adds, `batch` in one pipeline."""
    import redis

    with redis.Redis(unix_socket_path=str(path)) as client:

        def work() -> None:
            if batch == 1:
                for record in records:
                    client.xadd(STREAM, record)
                return
            for first in range(0, len(records), batch):
                pipeline = client.pipeline(transaction=False)
                for record in records[first : first + batch]:
                    pipeline.xadd(STREAM, record)
                pipeline.execute()

        return rate(len(records), work)


def concurrent_add_rate(path: Path, records: list[Record], producers: int) -> float:
    """Return how many records a second as many clients of one event loop add together."""
    import redis.asyncio

    async def produce(client: Any, part: list[Record]) -> None:
        for record in part:
            await client.xadd(STREAM, record)

    async def run() -> float:
        clients: list[Any] = [
            redis.asyncio.Redis(unix_socket_path=str(path)) for _ in range(producers)
        ]
        for client in clients:
            await client.ping()  # connects
        now = asyncio.get_running_loop().time
        started = now()
        await asyncio.gather(
            *(produce(client, records[i::producers]) for i, client in enumerate(clients))
        )
        elapsed = now() - started
        for client in clients:
            await client.aclose()
        return len(records) / elapsed

    return asyncio.run(run())
