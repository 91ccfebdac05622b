"""A stand-in of an earlier Python backend: each flush reads all, appends, and writes all anew.

A put survives nothing until its flush, and that is not synced. The time of a flush grows with the
table, so the rate depends on how many records are put: 20,000 at full length.
"""

import asyncio
from pathlib import Path

import lance
import pyarrow as pa

from framework import Record

FLUSH_RECORDS = 100


class RewritingBackend:
    """Buffers a hundred records, then rewrites the table with them at its end."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "data.lance"
        self._buffer: list[Record] = []
        self._lock = asyncio.Lock()

    async def put(self, record: Record) -> None:
        async with self._lock:
            self._buffer.append(record)
            if len(self._buffer) >= FLUSH_RECORDS:
                self._flush()

    async def put_batch(self, records: list[Record]) -> None:
        for record in records:
            await self.put(record)

    def _flush(self) -> None:
        table = pa.Table.from_pylist(self._buffer)
        if self._path.exists():
            table = pa.concat_tables([lance.dataset(str(self._path)).to_table(), table])
            lance.write_dataset(table, str(self._path), mode="overwrite")
        else:
            lance.write_dataset(table, str(self._path), mode="create")
        self._buffer = []
