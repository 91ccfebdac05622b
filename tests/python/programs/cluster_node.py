"""One node of a cluster, driven by lines of JSON on stdin; answers with lines of JSON.

Arguments: own address, storage folder, addresses of seeds.
"""

import asyncio
import importlib
import json
import os
import sys

import pulsing as pul

from persisting import metrics
from persisting.queue import read_queue, write_queue
from persisting.queue._pulsing import queue_module


class Node:
    """What the test can ask of a node."""

    def __init__(self, system, storage, num_buckets):
        self.system = system
        self.arguments = {"storage_path": storage, "num_buckets": num_buckets}
        self.writer = None

    async def members(self):
        return sum(member.get("status") == "Alive" for member in await self.system.members())

    async def put(self, first, count):
        """Put numbered records as one list; a failed put is repeated by the test, not here."""
        if self.writer is None:
            self.writer = await write_queue(self.system, "t", **self.arguments)
        await self.writer.put([{"id": i, "half": i / 2} for i in range(first, first + count)])
        return count

    async def get(self):
        """Everything, by a new reader."""
        reader = await read_queue(self.system, "t", **self.arguments)
        records = []
        while page := await reader.get(10_000):
            records += page
        assert all(record["half"] == record["id"] / 2 for record in records)
        return [record["id"] for record in records]

    async def wait_for(self, offset):
        """Wait for a record beyond `offset` in any bucket."""
        reader = await read_queue(self.system, "t", **self.arguments)
        reader.set_offset(offset)
        return len(await reader.get(1, wait=True, timeout=30))

    async def flush(self):
        await self.writer.flush()
        return True

    async def serve_metrics(self):
        """Count from now on; returns the port of the metrics."""
        server, _ = metrics.start_http_server(0)
        return server.server_port

    async def stats(self):
        """The figures of every bucket of the cluster, by id."""
        return (await self.writer.stats())["buckets"]

    async def double(self, bucket_id, storage):
        """Make one more actor of a bucket, as a node does that has not heard of the other's yet."""
        manager = importlib.import_module(f"{queue_module().__name__}.manager")
        await manager.BucketStorage.local(
            self.system._inner,
            bucket_id=bucket_id,
            storage_path=f"{storage}/bucket_{bucket_id}",
            backend="persisting",
            name=f"bucket_t_{bucket_id}",
            public=True,
        )
        return len(await self.instances(bucket_id))

    async def instances(self, bucket_id):
        return await self.system._inner.get_named_instances(f"bucket_t_{bucket_id}")

    async def buckets(self):
        """The ids of the buckets whose actors run on this node."""
        names = self.system.local_actor_names()
        mark = "actors/bucket_t_"
        return [int(name.removeprefix(mark)) for name in names if name.startswith(mark)]


async def main(address, storage, num_buckets, seeds):
    pipe = os.dup(1)
    os.dup2(2, 1)  # Pulsing logs to stdout
    system = await pul.actor_system(addr=address, seeds=seeds)
    module = queue_module()
    await module.get_storage_manager(system._inner)
    node = Node(system, storage, num_buckets)
    lines = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(lines), sys.stdin
    )
    os.write(pipe, b'{"result": "ready"}\n')
    while line := await lines.readline():
        name, *arguments = json.loads(line)
        try:
            answer = {"result": await getattr(node, name)(*arguments)}
        except Exception as error:  # noqa: BLE001 - the test gets it as the answer
            answer = {"error": f"{type(error).__name__}: {error}"}
        os.write(pipe, json.dumps(answer).encode() + b"\n")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4:]))
