"""The progress of a run, on a terminal: how many symbols of how many, how fast, the quota left, the time to go."""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import timedelta

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)

from pipeline.cli.options import Options
from pipeline.collect.active_run import ActiveRun

_EVERY = 0.2
"""Seconds between two looks at the run. It is looked at, rather than told, so that a symbol costs nothing."""


class RunProgress:
    """Draws a run, if there is a terminal to draw on."""

    def __init__(self, bar: Progress | None) -> None:
        self._bar = bar
        self._task: TaskID | None = None
        self.run: ActiveRun | None = None

    def started(self, run: ActiveRun) -> None:
        """Begin to draw this run."""
        self.run = run
        if self._bar is not None and run.due:
            self._task = self._bar.add_task("collecting", total=run.due, facts="")

    def cancel_requests(self) -> Callable[[], None] | None:
        """Return what breaks off the requests in flight, None while there is no run yet."""
        return None if self.run is None else self.run.cancel_requests

    async def draw(self) -> None:
        """Draw until cancelled."""
        while True:
            self.update()
            await asyncio.sleep(_EVERY)

    def update(self) -> None:
        """Draw the run as it stands."""
        if self._bar is None or self._task is None or self.run is None:
            return
        done = self.run.counts.total()
        elapsed = self._bar.tasks[self._task].elapsed or 0.0
        self._bar.update(self._task, completed=done, facts=_facts(self.run, done, elapsed))


def _facts(run: ActiveRun, done: int, elapsed: float) -> str:
    rate = done / elapsed if elapsed else 0.0
    left = run.slots.remaining()
    to_go = run.slots.time_for(run.due - done)
    if rate:
        to_go = max(to_go, timedelta(seconds=(run.due - done) / rate)) if left is None else to_go
    quota = "" if left is None else f", quota left {left:,}"
    return f"{rate:.1f}/s{quota}, {_in_words(to_go)} to go"


def _in_words(span: timedelta) -> str:
    seconds = round(span.total_seconds())
    if seconds < 120:
        return f"{seconds} s"
    return f"{seconds // 60} min" if seconds < 7200 else f"{seconds // 3600} h"


@asynccontextmanager
async def collection_progress(options: Options) -> AsyncIterator[RunProgress]:
    """Yield a progress that draws itself until the block ends."""
    if options.quiet or not sys.stderr.isatty():
        yield RunProgress(None)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[facts]}"))
    with Progress(*columns, console=Console(file=sys.stderr), transient=True) as bar:
        progress = RunProgress(bar)
        drawing = asyncio.create_task(progress.draw(), name="progress")
        try:
            yield progress
        finally:
            drawing.cancel()
            with suppress(asyncio.CancelledError):
                await drawing


@contextmanager
def step_progress(options: Options, what: str, total: float | None) -> Iterator[Callable[[float], None]]:
    """Yield what is told of each step towards `total` (None: nobody knows), and draws it if there is a terminal."""
    if options.quiet or not sys.stderr.isatty():
        yield lambda _step: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(file=sys.stderr), transient=True) as bar:
        task = bar.add_task(what, total=total)
        yield lambda step: bar.advance(task, step)
