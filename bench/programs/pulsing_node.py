"""A node of a Pulsing cluster that can own buckets; ends when its standard input does.

Arguments: its own address, the addresses of seeds.
"""

import asyncio
import os
import sys

import pulsing as pul

from persisting.queue import write_queue


async def main(address: str, seeds: list[str]) -> None:
    """Join the cluster, and stay until told to leave."""
    pipe = os.dup(1)
    os.dup2(2, 1)  # Pulsing logs to stdout
    system = await pul.actor_system(addr=address, seeds=seeds)
    await write_queue(system, "of-the-node", backend="memory")
    os.write(pipe, b"ready\n")
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    await system.shutdown()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2:]))
