"""The errors of the library. Wrong arguments raise the built-in ValueError and TypeError."""


class StorageError(Exception):
    """The store could not do what was asked.

    The disk refused, stored bytes are damaged, another process holds the bucket, or the object was
    closed. The message says what, where and why.
    """


class BusyError(StorageError):
    """Another process holds the bucket; the message names its pid. Nothing was done."""


class WALError(StorageError):
    """The write-ahead log failed.

    A failed write or sync poisons the bucket: no later put is acknowledged until it is opened
    again.
    """


class SchemaError(StorageError, ValueError):
    """A record does not fit the fields that its bucket holds.

    Nothing of the record, or of the batch it came in, was kept. The message names the field, both
    types and the offset.
    """
