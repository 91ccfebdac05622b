"""Puts and flushes twice; prints a mark between. Argument: the bucket's folder."""

import asyncio
import os
import sys

from persisting.queue import PersistingBackend


async def main(folder):
    records = [{"id": i} for i in range(10)]
    async with PersistingBackend(0, folder) as backend:
        await backend.put_batch(records)
        await backend.flush()
        os.write(1, b"BEGIN\n")
        await backend.put_batch(records)
        os.write(1, b"ACKNOWLEDGED\n")
        await backend.flush()
        os.write(1, b"END\n")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
