"""Stop a command on SIGINT or SIGTERM, at a deadline whatever hangs; reload its configuration on SIGHUP."""

import asyncio
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from queue import SimpleQueue

from pipeline.cli import watchdog
from pipeline.cli.options import Options
from pipeline.collect.halt import INTERRUPT_GRACE, Halt, Interrupted
from pipeline.errors import ExitCode

CancelRequests = Callable[[], None]

LAST_RESORT = 7.0
"""Seconds after the first signal at which the process ends itself, whatever hangs. Docker kills after 10."""

_SHOW_CURSOR = b"\x1b[?25h"
_STDERR = 2


@contextmanager
def interruptible(halt: Halt, find_cancel: Callable[[], CancelRequests | None], options: Options) -> Iterator[None]:
    """Let SIGINT and SIGTERM end the run: requests in flight get up to 5 s. A second signal ends the process at once.

    `find_cancel` returns what cancels requests still in flight at that deadline, or None while no run has begun.
    """
    loop, main = asyncio.get_running_loop(), asyncio.current_task()
    seconds = INTERRUPT_GRACE.total_seconds()
    assert main is not None

    def stop() -> None:
        halt(Interrupted("stopped by a signal"))
        cancel_requests = find_cancel()
        if cancel_requests is None:
            main.cancel()  # it is waiting for the lock
            return
        loop.call_later(seconds, cancel_requests)
        options.say(f"stopping: up to {seconds:g} s for requests in flight; a second signal quits at once")

    with stoppable(stop, last_resort=LAST_RESORT, exit_code=ExitCode.INTERRUPTED):
        yield


@contextmanager
def stoppable(stop: Callable[[], None], *, last_resort: float, exit_code: int) -> Iterator[None]:
    """Let the first SIGINT or SIGTERM call `stop`, and a second one end the process at once.

    `last_resort` seconds after the first signal the process ends with `exit_code` whatever hangs: a DNS lookup in a
    thread, a disk, or the event loop itself, blocked by a log line that nobody reads. Where C code holds Python's lock,
    the watchdog kills it.
    """
    loop = asyncio.get_running_loop()
    deadline: SimpleQueue[float | None] = SimpleQueue()

    def exit_at_deadline() -> None:
        seconds = deadline.get()
        if seconds is not None:
            time.sleep(seconds)  # in a thread of its own: the event loop may be what hangs
            _exit_now(exit_code)

    # Not a handler of the loop, which a loop that hangs never calls. The thread starts now and waits: starting one
    # takes a lock that the code interrupted by the signal may hold.
    threading.Thread(target=exit_at_deadline, name="last resort", daemon=True).start()

    is_stopping = False

    def handle(_number: int, _frame: object) -> None:
        nonlocal is_stopping
        if is_stopping:
            _exit_now(ExitCode.INTERRUPTED)
        is_stopping = True  # before any call: another signal may come within it
        deadline.put(last_resort)
        loop.call_soon_threadsafe(stop)

    previous = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    for number in previous:
        watchdog.alert_on(number)
    try:
        yield
    finally:
        for number, handler in previous.items():
            watchdog.alert_no_more(number)
            signal.signal(number, handler)
        deadline.put(None)  # ends the thread if no signal came: after one, closing the rest may hang too


def cancelling() -> Callable[[], None]:
    """Return the function that cancels the task that calls this."""
    main = asyncio.current_task()

    def cancel() -> None:
        assert main is not None
        main.cancel()

    return cancel


@contextmanager
def reloadable(reload: Callable[[], None]) -> Iterator[None]:
    """Let SIGHUP call `reload`, once for all signals that come before the call. After the block SIGHUP is ignored."""
    loop = asyncio.get_running_loop()
    is_pending = False

    def request(_number: int, _frame: object) -> None:
        nonlocal is_pending
        if not is_pending:
            is_pending = True
            loop.call_soon_threadsafe(run)

    def run() -> None:
        nonlocal is_pending
        is_pending = False
        reload()

    signal.signal(signal.SIGHUP, request)
    try:
        yield
    finally:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)


def _exit_now(exit_code: int) -> None:
    """End the process. What the store acknowledged is in the file; the next run requests the rest again.

    It waits for nothing: stderr is not flushed, and a terminal that accepts no output (Ctrl-S) is left as it is.
    """
    with suppress(OSError, ValueError):
        if sys.stderr.isatty() and select.select([], [_STDERR], [], 0)[1]:
            os.write(_STDERR, _SHOW_CURSOR)
    os._exit(exit_code)
