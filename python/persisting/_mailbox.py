"""How the core's threads reach an event loop: one completion queue a loop, woken through a file.

Guarantee: a queue is drained in its loop's thread only, and does not keep the loop alive.
Threads:   `mailbox` may be called from any thread that runs a loop.
Elsewhere: what a queue delivers, in the native module.
"""

import asyncio
import threading
from weakref import WeakKeyDictionary

from persisting._core import CompletionQueue

_queues: "WeakKeyDictionary[asyncio.AbstractEventLoop, CompletionQueue]" = WeakKeyDictionary()
_opening = threading.Lock()


def mailbox() -> CompletionQueue:
    """Return the completion queue of the running event loop, made and watched at the first call."""
    loop = asyncio.get_running_loop()
    queue = _queues.get(loop)
    return _open(loop) if queue is None else queue


def _open(loop: asyncio.AbstractEventLoop) -> CompletionQueue:
    with _opening:
        # Futures that nobody will complete any more may hold a closed loop; let go of them here.
        for known in list(_queues):
            if known.is_closed():
                _queues.pop(known).abandon()
        queue = CompletionQueue()
        loop.add_reader(queue.fileno(), queue.drain)
        _queues[loop] = queue
        return queue
