"""Migrating: done in a thread, so that a signal can stop it between two of its transactions."""

import asyncio
import threading
from collections.abc import Callable
from typing import TypeVar

from pipeline.cli.migration_progress import migration_progress
from pipeline.cli.options import Options
from pipeline.store.migrate import OnProgress, Progress

T = TypeVar("T")


class _Stopped(Exception):
    """A signal came: what is committed stays, and the migration is continued later."""


async def migrate_in_thread(work: Callable[[OnProgress], T], options: Options) -> T:
    """Return what `work` returns, which migrates. Where that takes time, its progress is shown.

    If this is cancelled, the migration stops after its present transaction.
    """
    is_cancelled = threading.Event()

    def on_progress(progress: Progress) -> None:
        show(progress)
        if is_cancelled.is_set():
            raise _Stopped

    with migration_progress(options) as show:
        thread = asyncio.ensure_future(asyncio.to_thread(work, on_progress))
        try:
            return await asyncio.shield(thread)
        except asyncio.CancelledError:
            is_cancelled.set()
            await asyncio.wait([thread])
            if isinstance(thread.exception(), _Stopped):
                options.say("the migration was stopped: it continues where it is, with the next command that needs it")
            raise
