"""Run a coroutine as a command: its own event loop, and an exit that no DNS lookup can delay."""

import asyncio
import gc
import socket
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

import click

from pipeline.cli.app import UNWAITED
from pipeline.resources import Exhausted, check_resources

try:
    import uvloop

    new_event_loop: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
except ImportError:
    new_event_loop = asyncio.new_event_loop

T = TypeVar("T")


class _UnwaitedThreads(ThreadPoolExecutor):
    """Threads that exit does not wait for: a DNS lookup cannot be cancelled, and has delayed an exit by 12 s."""

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: ARG002, FBT001, FBT002 - the signature of its base
        super().shutdown(wait=False, cancel_futures=True)


def tune_garbage_collector() -> None:
    """Collect cyclic garbage rarely, as there is little of it, and never scan what the imports created."""
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


def run_async(main: Coroutine[Any, Any, T]) -> T:
    """Run the coroutine on an event loop of its own (uvloop's, if installed) and return its result.

    Raise click.Abort if it was cancelled, and Exhausted if the system allows too few threads or open files.
    """
    tune_garbage_collector()
    try:
        check_resources()
    except Exhausted:
        main.close()
        raise
    try:
        with (
            _UnwaitedThreads(max_workers=4, thread_name_prefix=UNWAITED) as dns_threads,
            asyncio.Runner(loop_factory=new_event_loop) as runner,
        ):
            loop = runner.get_loop()
            loop.set_default_executor(_UnwaitedThreads(max_workers=4, thread_name_prefix=UNWAITED))
            _resolve_names_in(dns_threads, loop)
            return runner.run(main)
    except asyncio.CancelledError:
        raise click.Abort from None


def _resolve_names_in(threads: ThreadPoolExecutor, loop: asyncio.AbstractEventLoop) -> None:
    """Resolve host names in these threads: exit would wait for uvloop's own, and the default ones serve database reads.

    (A name server that does not answer blocks four threads for half a minute.)
    """

    async def getaddrinfo(host: Any, port: Any, **options: int) -> Any:
        return await loop.run_in_executor(threads, partial(socket.getaddrinfo, host, port, **options))

    loop.getaddrinfo = getaddrinfo  # type: ignore[method-assign]  # a loop offers no other way to set it
