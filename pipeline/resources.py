"""Resources of the process: threads, open files and memory, of which the system may allow too few.

They are looked at before an event loop starts: below Python, libraries end the process where they get none.
"""

import errno
import os
import threading
from collections.abc import Iterator
from contextlib import ExitStack

from pipeline.errors import Trouble

THREADS, FILES = 16, 32
"""What a command with an event loop may need at once, with room to spare."""
_FEW_THREADS = "the system allows this process no more threads"
_MORE_THREADS = "raise the limit of the user's processes (ulimit -u), or the container's pids limit"
_FEW_FILES = "the system allows this process no more open files"
_MORE_FILES = "raise the limit (ulimit -n)"
_NO_THREAD = "can't start new thread"
"""How Python says it, in a RuntimeError without a class of its own."""


class Exhausted(Trouble):
    """The system gives this process no more threads, files or memory."""


def check_resources(*, threads: int = THREADS, files: int = FILES) -> None:
    """Raise Exhausted unless that many threads can be started, and files opened, from now on."""
    check_threads(threads)
    with ExitStack() as opened:
        try:
            for _ in range(files):
                opened.callback(os.close, os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC))
        except OSError as error:
            raise Exhausted(_FEW_FILES, remedy=_MORE_FILES) from error


def check_threads(count: int) -> None:
    """Raise Exhausted unless that many threads can be started, from now on."""
    ended = threading.Event()
    threads: list[threading.Thread] = []
    try:
        for _ in range(count):
            thread = threading.Thread(target=ended.wait, daemon=True)
            thread.start()
            threads.append(thread)
    except RuntimeError as error:
        raise Exhausted(_FEW_THREADS, remedy=_MORE_THREADS) from error
    finally:
        ended.set()
        for thread in threads:
            thread.join()


def exhausted(error: BaseException) -> Exhausted | None:
    """Return the one line for an error which says that a resource ran out; None for any other."""
    for one in _with_causes(error):
        if isinstance(one, Exhausted):
            return one
        if isinstance(one, MemoryError) or _number(one) == errno.ENOMEM:
            return Exhausted("out of memory", remedy="stop other programs, or raise the process's or container's limit")
        if isinstance(one, RuntimeError) and str(one) == _NO_THREAD:
            return Exhausted(_FEW_THREADS, remedy=_MORE_THREADS)
        if _number(one) in (errno.EMFILE, errno.ENFILE):
            return Exhausted(_FEW_FILES, remedy=_MORE_FILES)
    return None


def _number(error: BaseException) -> int | None:
    return error.errno if isinstance(error, OSError) else None


def _with_causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error, those of which it is a group, and what caused it."""
    for _ in range(20):  # causes can go round in circles
        if error is None:
            return
        yield error
        if isinstance(error, BaseExceptionGroup):
            for one in error.exceptions:
                yield from _with_causes(one)
        error = error.__cause__
