"""Exit statuses, and errors as one line on stderr."""

from __future__ import annotations

import enum
import os
import signal
import sys
import traceback

from persisting import BusyError, StorageError


class Status(enum.IntEnum):
    """What the command's exit status says; docs/cli.md has the same table."""

    OK = 0
    FOUND = 1  # damage or a problem was found, or records were lost
    FAILED = 2  # could not do its work: usage, no bucket, permissions, I/O, damage in the way
    BUSY = 3  # another process holds the bucket
    INTERRUPTED = 130
    PIPE_CLOSED = 141  # who read our output went away; as a shell shows a death by SIGPIPE


STATUS_HELP = (
    "Exit status: 0 done; 1 damage or a problem was found, or records were lost; 2 it could not do"
    " its work; 3 another process holds the bucket; 130 interrupted; 141 the reader of its output"
    " went away."
)


class Interrupted(KeyboardInterrupt):
    """Ctrl-C. Of KeyboardInterrupt itself, in code that exec() runs, Python dies at its exit."""


class _Interrupts:
    seen = False


def expect_interrupts() -> None:
    """Remember Ctrl-C, also where it comes in a function that the core calls and that swallows it.

    A process for which SIGINT is ignored, as in the background of a script, goes on ignoring it.
    """

    def interrupted(_signal: int, _frame: object) -> None:
        _Interrupts.seen = True
        raise Interrupted

    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, interrupted)


def check_interrupt() -> None:
    """Raise Interrupted where Ctrl-C has come; for loops without an end of their own."""
    if _Interrupts.seen:
        raise Interrupted


class CommandError(Exception):
    """Something the user can act upon; the message is the whole line."""


def say(message: str) -> None:
    """Write one line to stderr."""
    line = " ".join(message.split())
    try:
        sys.stderr.write(f"persisting: {line}\n")
        sys.stderr.flush()
    except OSError:
        pass  # there is nobody left to tell


def report(error: BaseException, *, debug: bool) -> Status:
    """Say what went wrong, and return the status to exit with."""
    if _Interrupts.seen or isinstance(error, KeyboardInterrupt):
        return Status.INTERRUPTED
    if isinstance(error, BrokenPipeError):
        silence_stdout()
        return Status.PIPE_CLOSED
    if debug:
        traceback.print_exception(error)
    say(one_line(error))
    return Status.BUSY if is_busy(error) else Status.FAILED


def is_busy(error: BaseException) -> bool:
    """Whether another process holds the bucket."""
    return isinstance(error, BusyError)


def one_line(error: BaseException) -> str:
    """Return what a user can do something about; of a bug, how to report it."""
    if isinstance(error, OSError) and error.strerror:
        where = f"{os.fsdecode(error.filename)}: " if error.filename else ""
        return f"{where}{error.strerror}"
    if isinstance(error, (CommandError, StorageError, ValueError, TypeError, OSError)):
        return str(error)
    if hasattr(error, "format_message"):  # typer's own, whose class differs between its releases
        return f"{error.format_message()} {_hint(error)}"
    return (
        f"unexpected {type(error).__name__}: {error}; run persisting --debug … for the traceback,"
        " and report it"
    )


def _hint(error: BaseException) -> str:
    context = getattr(error, "ctx", None)
    command = "persisting" if context is None else context.command_path
    return f"(see {command} --help)"


def silence_stdout() -> None:
    """Let what is buffered for a reader that went away go nowhere, also at exit."""
    sys.stdout = sys.__stdout__  # typer may have put something before it
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
