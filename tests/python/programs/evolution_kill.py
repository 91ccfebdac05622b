"""Puts the records of every case of evolution_table.py and gets killed, its buckets still open.

Arguments: a folder; "logged" or "flushed", the records before. Each case has a bucket of its own,
named by its number.
"""

import contextlib
import os
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from evolution_table import CASES, records
from persisting.queue import PersistingBackend, SchemaError

folder, before_the_kill = Path(sys.argv[1]), sys.argv[2]
buckets = []
for number, (_, case) in enumerate(CASES):
    bucket = PersistingBackend(0, folder / str(number), flush_interval=1e6).sync()
    buckets.append(bucket)
    before, brings = records(case)
    bucket.put_batch(before)
    if before_the_kill == "flushed":
        bucket.flush()
    with contextlib.suppress(SchemaError):
        bucket.put_batch(brings)
os.kill(os.getpid(), signal.SIGKILL)
