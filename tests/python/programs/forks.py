"""Forks many times while a backend is open. Arguments: folder, what to do, how often, seed.

`quiet`: nothing is under way; every call in the child is refused, and no file changes.
`busy`: threads of the parent put meanwhile, so that the fork comes at any point of that.
`own`: the child opens a bucket of its own, which it is refused: Lance, used by the parent, would
hang or crash in it.
"""

import asyncio
import atexit
import contextlib
import faulthandler
import fcntl
import gc
import os
import random
import sys
import threading
import warnings
from pathlib import Path

from persisting.queue import PersistingBackend, StorageError

REFUSED = 7

CALLS = {
    "put": lambda backend: backend.put({"id": -1}),
    "put_batch": lambda backend: backend.put_batch([{"id": -1}, {"id": -2}]),
    "put_tensor": lambda backend: backend.put_tensor({"id": -1}),
    "get": lambda backend: backend.get(10, 0),
    "get, all": lambda backend: backend.get(),
    "get_by_indices": lambda backend: backend.get_by_indices([0]),
    "get_stream": lambda backend: first_page(backend),  # noqa: PLW0108 - defined below
    "flush": lambda backend: backend.flush(),
    "stats": lambda backend: backend.stats(),
}


async def first_page(backend):
    async for _ in backend.get_stream(10, 0):
        return


def check_refused(name, call):
    try:
        call()
    except StorageError as error:
        refusal = str(error)
    else:
        refusal = "nothing"
    assert "fork" in refusal, f"{name} was refused with: {refusal}"


def be_refused(backend, turn):
    for name, call in CALLS.items():
        check_refused(name, lambda call=call: asyncio.run(call(backend)))
    blocking = backend.sync()
    for name in ("put", "put_batch", "get", "flush", "stats"):
        check_refused(f"sync().{name}", lambda call=CALLS[name]: call(blocking))
    if turn % 3 == 0:
        check_refused("close", lambda: asyncio.run(backend.close()))


def be_refused_a_bucket(folder):
    try:
        PersistingBackend(0, folder)
    except StorageError as error:
        refusal = str(error)
    else:
        refusal = "nothing"
    assert "does not survive a fork" in refusal, f"the bucket was refused with: {refusal}"


def end_child(turn):
    if turn % 10 == 0:
        sys.exit(REFUSED)
    # Its exit handlers are what may do harm; taking the interpreter down takes ten times as long.
    atexit._run_exitfuncs()
    os._exit(REFUSED)


def is_locked(folder):
    with (Path(folder) / "LOCK").open() as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False


def state(folder):
    """Name, size and time of change of every file and folder."""
    paths = sorted(Path(folder).rglob("*"))
    return [(str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in paths]


@contextlib.contextmanager
def busy_threads(backend, count):
    """Threads that put until the end of the block, in the middle of it when it begins."""
    enough = threading.Event()
    begun = threading.Barrier(count + 1)

    def put():
        backend.put({"id": 0})
        begun.wait()
        while not enough.is_set():
            backend.put({"id": 0})

    threads = [threading.Thread(target=put) for _ in range(count)]
    for thread in threads:
        thread.start()
    begun.wait()
    try:
        yield
    finally:
        enough.set()
        for thread in threads:
            thread.join()


def main(folder, what, times, seed):
    warnings.filterwarnings("ignore", "lance is not fork-safe")
    gc.freeze()  # a child that collected what was imported would copy every page of it
    chance = random.Random(seed)
    # Maintenance changes files when it likes.
    backend = PersistingBackend(0, folder, maintenance=what == "busy")
    blocking = backend.sync()
    for turn in range(times):
        count = blocking.total_count()
        blocking.put({"id": turn})
        assert blocking.total_count() == count + 1
        if turn == 0 or chance.random() < 0.2:
            blocking.flush()
        before = state(folder)
        with busy_threads(blocking, 1 if what == "busy" else 0):
            child = os.fork()
            if child == 0:
                # One that hangs in native code must not hang the parent; this tells where.
                faulthandler.dump_traceback_later(5, exit=True)
                if what == "own":
                    be_refused_a_bucket(f"{folder}_of_child_{turn}")
                else:
                    be_refused(backend, turn)
                end_child(turn)
            ended = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        assert ended == REFUSED, f"child {turn} ended with {ended}"
        assert is_locked(folder), f"child {turn} took the parent's lock with it"
        if what != "busy":
            assert state(folder) == before, f"child {turn} changed the parent's files"
    records = blocking.get()
    assert len(records) == blocking.total_count()
    turns = [record["id"] for record in records if what != "busy" or record["id"] > 0]
    assert turns == list(range(1 if what == "busy" else 0, times))
    with backend:
        pass
    assert not is_locked(folder)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
