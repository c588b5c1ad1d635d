"""Single flight: what is read in a thread is read once for all who ask meanwhile, so that clients take no thread each.

The threads are those that requests to the API need, too.
"""

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Together(Generic[T]):
    """Reads something for everybody who asks at one time."""

    def __init__(self, read: Callable[[], T]) -> None:
        self._read = read
        self._task: asyncio.Task[T] | None = None

    async def __call__(self) -> T:
        """Return what is read. What is being read already was asked for just before, and will do. Raise its error."""
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(asyncio.to_thread(self._read))
            self._task.add_done_callback(_heard)
        return await asyncio.shield(self._task)


def _heard(task: "asyncio.Task[T]") -> None:
    """Take note of how it ended, which nobody does if all who waited have gone away."""
    if not task.cancelled():
        task.exception()
