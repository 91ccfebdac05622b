"""Puts numbered records, flushes and compacts until it is killed; tells what is acked.

Arguments: bucket folder, number of the first record. It tells the number of records acked so far.
"""

import sys
import threading

from persisting.queue import PersistingBackend


def main(folder, number):
    backend = PersistingBackend(0, folder, flush_interval=1e6).sync()

    def compact():
        while True:
            backend.compact(target_rows_per_fragment=40)

    threading.Thread(target=compact, daemon=True).start()
    while True:
        backend.put_batch([{"id": i, "text": "x" * (i % 50)} for i in range(number, number + 3)])
        number += 3
        sys.stdout.write(f"{number}\n")
        sys.stdout.flush()
        if number % 2 == 0:
            backend.flush()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
