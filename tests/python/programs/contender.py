"""Opens a bucket at the same time as another process does.

Arguments of a life: the bucket's folder, a FIFO, a number. It tells `ready`, and waits until
nobody has the FIFO open for writing. Then it tells `won`, having put a record of that number, and
stays until it is killed; or `lost`, with the error.
"""

import os
import signal

from lives import serve, tell

import persisting._pylance_engine  # noqa: F401 - otherwise each life would import it
from persisting.queue import PersistingBackend, StorageError


def life(folder, fifo, number):
    gate = os.open(fifo, os.O_RDONLY)
    tell("ready")
    os.read(gate, 1)
    os.close(gate)
    try:
        backend = PersistingBackend(0, folder).sync()
    except StorageError as error:
        tell("lost", error)
        return
    backend.put({"id": number})
    tell("won")
    signal.pause()


if __name__ == "__main__":
    serve(life)
