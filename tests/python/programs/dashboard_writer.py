"""Puts records into a bucket, a few at a time, until its standard input ends; prints its pid."""

import sys
import threading

from persisting.queue import PersistingBackend

#: Markup where text belongs, as the name of a field and as a value.
MARKUP = "<img src=x onerror=document['title']='run'>"


def main():
    folder, measured = sys.argv[1], sys.argv[2] == "measured"
    stop = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), stop.set()), daemon=True).start()
    with PersistingBackend(0, folder, enable_metrics=measured, flush_interval=0.5).sync() as bucket:
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        number = 0
        while not stop.wait(0.02):
            bucket.put_batch(
                [{"id": number + i, "score": i / 7, MARKUP: MARKUP} for i in range(10)]
            )
            number += 10


if __name__ == "__main__":
    main()
