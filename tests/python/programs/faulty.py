"""Puts and flushes while the test makes system calls fail.

Arguments of a life: the bucket's folder, a FIFO. It puts, flushes and puts once more, so that there
is something to flush even where the next put fails, tells `ready` and waits until nobody has the
FIFO open for writing. Then, three times: it tells `s NUMBER`, puts, tells
`a NUMBER` if the put returned, and flushes. It tells `x WHAT ERROR` of all that was refused.
"""

import faulthandler
import os

from lives import serve, tell
from numbered import record

import persisting._pylance_engine  # noqa: F401 - otherwise each life would import it
from persisting.queue import PersistingBackend, StorageError

CYCLES = 3


def refused(what, call, *arguments):
    try:
        call(*arguments)
    except StorageError as error:
        tell("x", what, " ".join(str(error).split()))
        return True
    return False


def life(folder, fifo):
    faulthandler.enable()  # what crashes tells where
    gate = os.open(fifo, os.O_RDONLY)
    backend = PersistingBackend(0, folder)
    # The blocking calls: an event loop's wake-up is a write too, and no disk makes it fail.
    blocking = backend.sync()
    blocking.put(record(0))
    blocking.flush()
    blocking.put(record(1))
    tell("ready")
    os.read(gate, 1)
    os.close(gate)
    for number in range(2, CYCLES + 2):
        tell("s", number)
        if not refused("put", blocking.put, record(number)):
            tell("a", number)
        refused("flush", blocking.flush)
    refused("close", backend.__exit__, None, None, None)


if __name__ == "__main__":
    serve(life)
