"""Servers beside a test, in a thread: for commands called in this one, which run an event loop of their own."""

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager, contextmanager
from threading import Thread
from typing import TypeVar

T = TypeVar("T")


@contextmanager
def beside(serving: Callable[[], AbstractAsyncContextManager[T]]) -> Iterator[T]:
    """Enter what `serving` returns in a thread with a loop of its own, and leave it when the block ends."""
    ready: Future[tuple[T, Callable[[], object]]] = Future()

    async def serve() -> None:
        loop, stopped = asyncio.get_running_loop(), asyncio.Event()
        async with serving() as served:
            ready.set_result((served, lambda: loop.call_soon_threadsafe(stopped.set)))
            await stopped.wait()

    thread = Thread(target=lambda: asyncio.run(serve()), name="beside")
    thread.start()
    served, stop = ready.result(timeout=30)
    try:
        yield served
    finally:
        stop()
        thread.join()
