"""Durable storage for queues: records that were acknowledged survive a crash, once and in order.

`persisting.queue` has the backends and the queue itself; importing it registers the backends with
the installed Pulsing. This module holds the version, the errors, and what looks after stored
buckets and reads them beside their writer.
"""

from persisting._errors import BusyError, SchemaError, StorageError, WALError
from persisting._verify import Finding, RepairReport, VerifyReport, repair, verify
from persisting._view import BucketFolder, BucketView, find_buckets, open_view

__all__ = [
    "BucketFolder",
    "BucketView",
    "BusyError",
    "Finding",
    "RepairReport",
    "SchemaError",
    "StorageError",
    "VerifyReport",
    "WALError",
    "__version__",
    "find_buckets",
    "open_view",
    "repair",
    "verify",
]

__version__ = "0.1.0"
