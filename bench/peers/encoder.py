"""msgpack: the usual encoder of such records, which keeps nothing."""

import msgpack

from framework import Record, rate


def packb_rate(records: list[Record]) -> float:
    """Return how many records a second `packb` encodes, one by one."""
    return rate(len(records), lambda: [msgpack.packb(record) for record in records])


def unpackb_rate(records: list[Record]) -> float:
    """Return how many records a second `unpackb` decodes, one by one."""
    encoded = [msgpack.packb(record) for record in records]
    return rate(len(records), lambda: [msgpack.unpackb(each) for each in encoded])
