"""Durable storage for queues: records that were acknowledged survive a crash, once and in order.

`persisting.queue` has the backends and the queue itself; importing it registers the backends with
the installed Pulsing. This module holds the version, the errors, and what looks after stored
buckets.
"""

from persisting._errors import SchemaError, StorageError, WALError
from persisting._verify import Finding, RepairReport, VerifyReport, repair, verify

__all__ = [
    "Finding",
    "RepairReport",
    "SchemaError",
    "StorageError",
    "VerifyReport",
    "WALError",
    "__version__",
    "repair",
    "verify",
]

__version__ = "0.1.0"
