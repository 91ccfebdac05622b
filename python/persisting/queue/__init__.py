"""Queues of records: their backends, and the queue itself, with or without Pulsing.

Importing this registers the durable backends with the installed Pulsing, under `lance`,
`persisting`, `LanceBackend` and `PersistingBackend`.

    writer = await write_queue(None, "events", storage_path="/data/events")
    await writer.put({"id": "1", "value": 100})  # returned: it is on the disk

    reader = await read_queue(None, "events", storage_path="/data/events")
    records = await reader.get(limit=10)
"""

from persisting import _logging
from persisting._core import decode_record
from persisting._errors import BusyError, SchemaError, StorageError, WALError
from persisting.queue.backends import LanceBackend, MemoryBackend, PersistingBackend
from persisting.queue.manager import StorageManager
from persisting.queue.protocol import StorageBackend
from persisting.queue.queue import Queue
from persisting.queue.reader import QueueReader, read_queue
from persisting.queue.registry import get_backend_class, list_backends, register_backend
from persisting.queue.storage import BucketStorage
from persisting.queue.writer import QueueWriter, write_queue

__all__ = [
    "BucketStorage",
    "BusyError",
    "LanceBackend",
    "MemoryBackend",
    "PersistingBackend",
    "Queue",
    "QueueReader",
    "QueueWriter",
    "SchemaError",
    "StorageBackend",
    "StorageError",
    "StorageManager",
    "WALError",
    "decode_record",
    "get_backend_class",
    "list_backends",
    "read_queue",
    "register_backend",
    "write_queue",
]

_logging.install()
