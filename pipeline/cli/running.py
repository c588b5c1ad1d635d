"""Running a coroutine as a command: its loop, its signals, and an end that nothing can hold up."""

import asyncio
import gc
import os
import signal
import sys
import threading
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

from pipeline.cli import UNWAITED
from pipeline.cli.options import Options
from pipeline.collect import DRAIN, Interrupted
from pipeline.fetch import Halt
from pipeline.outcome import ExitCode

try:
    import uvloop

    new_event_loop: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
except ImportError:
    new_event_loop = asyncio.new_event_loop

T = TypeVar("T")
Drain = Callable[[], None]

_SHOW_CURSOR = "\x1b[?25h"


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
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.get_loop().set_default_executor(_Unwaited(max_workers=4, thread_name_prefix=UNWAITED))
        return runner.run(main)


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
    thread, a disk.
    """
    loop = asyncio.get_running_loop()
    signals = (signal.SIGINT, signal.SIGTERM)

    def first() -> None:
        for number in signals:
            loop.add_signal_handler(number, _die, ExitCode.INTERRUPTED)
        timer = threading.Timer(last_resort, _die, [exit_code])
        timer.daemon = True
        timer.start()
        stop()

    for number in signals:
        loop.add_signal_handler(number, first)
    try:
        yield
    finally:
        for number in signals:
            loop.remove_signal_handler(number)


def _die(exit_code: int) -> None:
    """End the process now. Whatever was acknowledged is in the file; what was not, the next run asks again."""
    if sys.stderr.isatty():
        sys.stderr.write(_SHOW_CURSOR)
    sys.stderr.flush()
    os._exit(exit_code)
