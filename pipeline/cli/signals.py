"""Running a coroutine as a command: its loop, its signals, and an end that nothing can hold up."""

import asyncio
import gc
import os
import select
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from queue import SimpleQueue
from typing import Any, TypeVar

from pipeline.cli.app import UNWAITED
from pipeline.cli.options import Options
from pipeline.collect.halt import Halt
from pipeline.collect.run import DRAIN, Interrupted
from pipeline.errors import ExitCode

try:
    import uvloop

    new_event_loop: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
except ImportError:
    new_event_loop = asyncio.new_event_loop

T = TypeVar("T")
Drain = Callable[[], None]

_SHOW_CURSOR = b"\x1b[?25h"
_STDERR = 2


class _Unwaited(ThreadPoolExecutor):
    """Threads that nobody waits for: a DNS query cannot be cancelled, and has kept a command from ending for 12 s."""

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: ARG002, FBT001, FBT002 - the signature of its base
        super().shutdown(wait=False, cancel_futures=True)


def spare_the_collector() -> None:
    """Look for garbage that refers to itself, of which there is little, seldom, and not in what was imported."""
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


def run(main: Coroutine[Any, Any, T]) -> T:
    """Return what the coroutine returns, run on a loop of its own (uvloop's, where it is installed)."""
    spare_the_collector()
    try:
        with (
            _Unwaited(max_workers=4, thread_name_prefix=UNWAITED) as for_names,
            asyncio.Runner(loop_factory=new_event_loop) as runner,
        ):
            loop = runner.get_loop()
            loop.set_default_executor(_Unwaited(max_workers=4, thread_name_prefix=UNWAITED))
            _resolve_in(for_names, loop)
            return runner.run(main)
    finally:
        _leave_stderr()


def _resolve_in(threads: ThreadPoolExecutor, loop: asyncio.AbstractEventLoop) -> None:
    """Let the loop ask DNS in these threads: in uvloop's it would be waited for, in the rest it would hold up others.

    (A name server that is silent holds four threads for half a minute, and questions to the file need some too.)
    """

    async def getaddrinfo(host: Any, port: Any, **how: int) -> Any:
        return await loop.run_in_executor(threads, partial(socket.getaddrinfo, host, port, **how))

    loop.getaddrinfo = getaddrinfo  # type: ignore[method-assign]  # a loop has no other way to be told


def _leave_stderr() -> None:
    """Let go of lines that stderr does not take, its reader gone or its disk full: Python would end with 120."""
    try:
        sys.stderr.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), _STDERR)


@contextmanager
def interruptible(halt: Halt, under_way: Callable[[], Drain | None], options: Options) -> Iterator[None]:
    """Let SIGINT and SIGTERM end the run: what is in flight finishes, 5 s at most. A second signal ends the process.

    `under_way` returns what breaks off the rest at the deadline, or None while there is no run yet.
    """
    loop, main = asyncio.get_running_loop(), asyncio.current_task()
    assert main is not None

    def stop() -> None:
        halt(Interrupted("stopped by a signal"))
        drain = under_way()
        if drain is None:
            main.cancel()  # it waits for the lock
            return
        loop.call_later(DRAIN.total_seconds(), drain)
        options.say(
            f"stopping: what is in flight may finish, {DRAIN.total_seconds():g} s at most; again to end at once"
        )

    with stoppable(stop, last_resort=DRAIN.total_seconds() + 3, exit_code=ExitCode.INTERRUPTED):
        yield


@contextmanager
def stoppable(stop: Callable[[], None], *, last_resort: float, exit_code: int) -> Iterator[None]:
    """Let the first SIGINT or SIGTERM call `stop`, and a second one end the process at once.

    After so many seconds as the last resort has, the process ends with the exit code, whatever hangs: a DNS query in a
    thread, a disk, or the loop itself, over a log line that nobody reads.
    """
    loop = asyncio.get_running_loop()
    told: SimpleQueue[float | None] = SimpleQueue()

    def end_by_then() -> None:
        seconds = told.get()
        if seconds is not None:
            time.sleep(seconds)  # in a thread of its own: the loop may be what hangs
            _die(exit_code)

    # Not a handler of the loop's, which a loop that hangs never calls. The thread waits from the start: to start one
    # takes a lock, which what the signal interrupts may hold.
    threading.Thread(target=end_by_then, name="last resort", daemon=True).start()

    def second(_number: int, _frame: object) -> None:
        _die(ExitCode.INTERRUPTED)

    def first(_number: int, _frame: object) -> None:
        for number in signals:
            signal.signal(number, second)
        told.put(last_resort)
        loop.call_soon_threadsafe(stop)

    signals = {number: signal.signal(number, first) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, before in signals.items():
            signal.signal(number, before)
        told.put(None)  # only where no signal came: after one, what is still to be closed may hang too


@contextmanager
def reloadable(reload: Callable[[], None]) -> Iterator[None]:
    """Let SIGHUP call `reload`: once for however many come before it is called. Later ones are ignored for good."""
    loop = asyncio.get_running_loop()
    is_asked = False

    def asked(_number: int, _frame: object) -> None:
        nonlocal is_asked
        if not is_asked:
            is_asked = True
            loop.call_soon_threadsafe(comply)

    def comply() -> None:
        nonlocal is_asked
        is_asked = False
        reload()

    signal.signal(signal.SIGHUP, asked)
    try:
        yield
    finally:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)


def _die(exit_code: int) -> None:
    """End the process now. Whatever was acknowledged is in the file; what was not, the next run asks again.

    Nothing is waited for, so stderr is not flushed, and a terminal that takes nothing (Ctrl-S) is left alone.
    """
    with suppress(OSError, ValueError):
        if sys.stderr.isatty() and select.select([], [_STDERR], [], 0)[1]:
            os.write(_STDERR, _SHOW_CURSOR)
    os._exit(exit_code)
