"""Durable storage for queues: records that were acknowledged survive a crash, once and in order.

`persisting.queue` has the backends and the queue itself; importing it registers the backends with
the installed Pulsing. This module holds the version and the errors.
"""

from persisting._errors import SchemaError, StorageError, WALError

__all__ = ["SchemaError", "StorageError", "WALError", "__version__"]

__version__ = "0.1.0"
