"""Lives of a program, each a fork of one process that has imported everything beforehand.

A life is a process of its own, killed or ended as any other, but begins in milliseconds: importing
pylance takes most of a second. The forks are safe because nothing was opened before them; the
threads that exist by then are the allocator's and numpy's, which see to their own state in a child.

Input: the arguments of a life as a list in JSON, a line each.
Output: `p PID` as a life begins, the lines that it tells, `e STATUS` when it has ended (a signal is
negative). It is not waited for before the next line of input, so until then its pid is not used
again.
"""

import gc
import json
import os
import sys
import warnings

# Pulsing logs to stdout: our lines go to a copy of it, and everything else to stderr.
_PIPE = os.dup(1)
os.dup2(2, 1)


def tell(*words):
    """Write one line, whole or not at all."""
    os.write(_PIPE, (" ".join(map(str, words)) + "\n").encode())


def serve(life):
    """Call `life` in a child for each line of input. It returns in the child too, so that the
    child's interpreter ends as that of a program does.
    """
    warnings.filterwarnings("ignore", "lance is not fork-safe")
    gc.collect()
    gc.freeze()  # a child that collected what was imported would copy every page of it
    child = None
    for line in sys.stdin:
        if child is not None:
            os.waitpid(child, 0)
        child = os.fork()
        if child == 0:
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            tell("p", os.getpid())
            life(*json.loads(line))
            return
        ended = os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
        killed = ended.si_code != os.CLD_EXITED
        tell("e", -ended.si_status if killed else ended.si_status)
