"""Single flight: what is read in a thread is read once for all who ask meanwhile, so that clients take no thread each.

The threads are those that requests to the API need, too.
"""

import asyncio
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

T = TypeVar("T")


class Together(Generic[T]):
    """Reads something for everybody who asks at one time."""

    def __init__(self, read: Callable[[], T]) -> None:
        self._read = read
        self._task: asyncio.Task[T] | None = None
        self._state: Hashable = None

    async def __call__(self, state: Hashable = None) -> T:
        """Return what is read, of this state or a later one. Raise its error.

        What is being read already will do if it was begun in the same state. If not, it may lack what was written
        since: then the next reading is shared, so that there is one at a time.
        """
        if self._task is not None and self._state != state:
            await asyncio.wait({self._task})
        if self._task is None or self._task.done():
            self._task, self._state = asyncio.create_task(asyncio.to_thread(self._read)), state
            self._task.add_done_callback(_heard)
        return await asyncio.shield(self._task)


def _heard(task: "asyncio.Task[T]") -> None:
    """Take note of how it ended, which nobody does if all who waited have gone away."""
    if not task.cancelled():
        task.exception()
