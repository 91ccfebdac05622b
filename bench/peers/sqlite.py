"""SQLite: write-ahead log, synchronous=FULL, so that a commit withstands a power cut."""

import sqlite3
from pathlib import Path

from framework import Record, rate

INSERT = "INSERT INTO records VALUES (:id, :name, :reward, :text)"


def connect(path: Path) -> sqlite3.Connection:
    """Open a database, and make its table where it has none."""
    database = sqlite3.connect(path, isolation_level=None)
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("PRAGMA synchronous = FULL")
    database.execute(
        "CREATE TABLE IF NOT EXISTS records (id INTEGER, name TEXT, reward REAL, text TEXT)"
    )
    return database


def insert_rate(folder: Path, records: list[Record], batch: int) -> float:
    """Return how many records a second it inserts, `batch` a commit."""
    database = connect(folder / "records.sqlite")

    def work() -> None:
        for first in range(0, len(records), batch):
            database.execute("BEGIN")
            database.executemany(INSERT, records[first : first + batch])
            database.execute("COMMIT")

    try:
        return rate(len(records), work)
    finally:
        database.close()
