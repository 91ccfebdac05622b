"""What the tests of compaction and of maintenance share: tables of many fragments, merged."""

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import lance

import persisting
from helpers import PROGRAMS, check_table, emptied, halved, opened, zero_filled

#: What a crash may have made of a file.
STATES = {
    "absent": Path.unlink,
    "empty": emptied,
    "half": halved,
    "zeros": zero_filled,
    "whole": lambda _file: None,
}


def table_of(folder):
    return lance.dataset(str(Path(folder) / "data.lance"))


def fragments(folder):
    return [fragment.count_rows() for fragment in table_of(folder).get_fragments()]


def check_whole(folder, records):
    """pylance, verify and the bucket, opened again, agree."""
    assert check_table(folder, records) == len(records)
    for report in persisting.verify(folder):
        assert report.findings == []
    with opened(folder) as bucket:
        assert bucket.get() == records


def fill(bucket, sizes, first=0):
    """Make a fragment of each size; returns the records."""
    records = []
    for size in sizes:
        rows = [{"id": first + len(records) + i, "text": "x" * (i % 7)} for i in range(size)]
        bucket.put_batch(rows)
        bucket.flush()
        records += rows
    return records


def check_kills(folder, program, seed, most_lines):
    """Kill a program that puts numbered records, again and again: nothing acked is missing."""
    chance = random.Random(seed)
    acked = 0
    count = 0
    for _ in range(int(os.environ.get("PERSISTING_TEST_KILLS", "8"))):
        with subprocess.Popen(
            [sys.executable, PROGRAMS / program, folder, str(count)],
            stdout=subprocess.PIPE,
            text=True,
        ) as running:
            lines = chance.randrange(1, most_lines)
            for line in running.stdout:
                acked = int(line)
                lines -= 1
                if lines == 0:
                    running.send_signal(signal.SIGKILL)
            running.wait()
        with opened(folder) as bucket:
            count = bucket.total_count()
            assert count >= acked
            assert [each["id"] for each in bucket.get()] == list(range(count))
    check_whole(folder, [{"id": i, "text": "x" * (i % 50)} for i in range(count)])
