"""Tasks: how one that talks to PostgreSQL is ended."""

import asyncio
from datetime import timedelta

_AGAIN = timedelta(seconds=0.5)


async def end(task: "asyncio.Task[None]") -> None:
    """Cancel a task, and return when it has ended.

    More than once, if need be: psycopg waits by `asyncio.wait_for`, which before Python 3.12 loses a cancellation that
    comes at the moment at which something arrives.
    """
    while not task.done():
        task.cancel()
        await asyncio.wait({task}, timeout=_AGAIN.total_seconds())
