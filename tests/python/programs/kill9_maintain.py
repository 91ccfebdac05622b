"""Puts numbered records and flushes them until it is killed; the maintenance goes on beside that.

Arguments: bucket folder, number of the first record. It tells the number of records acked so far.
"""

import sys

from persisting.queue import PersistingBackend


def main(folder, number):
    backend = PersistingBackend(0, folder, flush_interval=1e6, maintenance_bytes_per_second=0)
    bucket = backend.sync()
    while True:
        bucket.put_batch([{"id": i, "text": "x" * (i % 50)} for i in range(number, number + 3)])
        number += 3
        sys.stdout.write(f"{number}\n")
        sys.stdout.flush()
        bucket.flush()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
