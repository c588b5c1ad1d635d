"""Watchdog: a child process that kills this one if a signal to stop it had no effect in time, whatever hangs.

Python handles a signal between two of its own instructions. While C code holds Python's lock (matching a regular
expression, say), no handler runs and no thread does. Below Python there is `faulthandler`: in the very handler of the
signal it writes where the process is to a pipe, and the child reads that.
"""

import faulthandler
import os
import re
import select
import signal
import time
from contextlib import suppress
from datetime import timedelta
from itertools import islice
from typing import NoReturn

GRACE = timedelta(seconds=7.5)
"""From the first signal to the kill: the process's own last resort comes earlier, and docker's SIGKILL after 10 s."""
GRACE_AFTER_SECOND = timedelta(seconds=0.5)
"""From the second signal, which ends the process at once unless it hangs."""
_STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_STANDARD_ERROR = 2
_REPORT = b"(most recent call first)"
"""In each of faulthandler's reports, once."""
_FRAMES = 4
"""How many of the innermost functions are printed."""
_FRAME = re.compile(rb'File "(?:[^"\n]{1,500}/)?([^"/\n]{1,200})", line ([0-9]{1,9}) in ([^\n]{1,200})')

_alarm: int | None = None
"""The pipe's end that faulthandler writes to; None in a process without a watchdog."""


def start(*, grace: timedelta = GRACE) -> None:
    """Start the watchdog of this process, before it has threads or files: a child inherits what is open.

    The child ends with this process, however that ends.
    """
    global _alarm  # noqa: PLW0603 - signals are the process's, and so is its watchdog
    watched = os.getpid()
    reader, writer = os.pipe()
    if os.fork() == 0:
        os.close(writer)
        _watch(watched, reader, grace)
    os.close(reader)
    os.set_blocking(writer, False)
    _alarm = writer


def alert_on(number: int) -> None:
    """Let a signal alert the watchdog, if there is one, before its present handler in Python is called."""
    if _alarm is not None:
        faulthandler.unregister(number)
        faulthandler.register(number, file=_alarm, all_threads=False, chain=True)


def alert_no_more(number: int) -> None:
    """Let a signal call its present handler alone."""
    if _alarm is not None:
        faulthandler.unregister(number)


def _watch(watched: int, reader: int, grace: timedelta) -> NoReturn:
    """Be the child: wait for a report, then for the end of the process, and kill it if that does not come in time."""
    try:
        for number in _STOPPING:
            signal.signal(number, signal.SIG_IGN)  # a terminal or service manager sends them to all of its processes
        null = os.open(os.devnull, os.O_RDWR)
        for standard in range(_STANDARD_ERROR):
            os.dup2(null, standard)
        reports = _reports_until_end(reader, grace)
        if reports is not None and os.getppid() == watched:
            os.kill(watched, signal.SIGKILL)
            _print(f"pipeline: killed: a signal to stop had no effect{_place(reports)}")
    finally:
        os._exit(0)


def _reports_until_end(reader: int, grace: timedelta) -> bytes | None:
    """Return faulthandler's reports once the time after them is up, None if the process ends before."""
    reports = b""
    deadline: float | None = None
    while True:
        left = None if deadline is None else max(deadline - time.monotonic(), 0)
        if not select.select([reader], [], [], left)[0]:
            return reports
        received = os.read(reader, 65_536)
        if not received:
            return None
        count = reports.count(_REPORT)
        reports += received
        if deadline is None:
            deadline = time.monotonic() + grace.total_seconds()
        if count < 2 <= reports.count(_REPORT):
            deadline = min(deadline, time.monotonic() + GRACE_AFTER_SECOND.total_seconds())


def _place(reports: bytes) -> str:
    """Return where the main thread was when the signal came, as the end of a sentence; nothing if no report says it."""
    frames = [
        "{}:{} {}".format(*(part.decode(errors="backslashreplace") for part in frame.groups()))
        for frame in islice(_FRAME.finditer(reports), _FRAMES)
    ]
    return f"; the main thread was in {' < '.join(frames)}" if frames else ""


def _print(line: str) -> None:
    """Write a line to stderr, unless nobody reads that."""
    with suppress(OSError, ValueError):
        if select.select([], [_STANDARD_ERROR], [], 0)[1]:
            os.write(_STANDARD_ERROR, f"{line}\n".encode())
