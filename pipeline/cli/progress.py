"""Draw progress bars on a terminal's stderr: of a collecting run, and of an import or export."""

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
    ProgressColumn,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)

from pipeline.cli.options import Options
from pipeline.collect.active_run import ActiveRun

_REFRESH_SECONDS = 0.2
"""The bar polls the run: notifying it of each symbol would slow the run down."""


class RunProgress:
    """The progress of a collecting run: symbols done, requests a second, quota left, time to go. No bar: no drawing."""

    def __init__(self, bar: Progress | None) -> None:
        self._bar = bar
        self._task: TaskID | None = None
        self.run: ActiveRun | None = None

    def started(self, run: ActiveRun) -> None:
        """Draw this run from now on."""
        self.run = run
        if self._bar is not None and run.due:
            self._task = self._bar.add_task("collecting", total=run.due, facts="")

    def cancel_requests(self) -> Callable[[], None] | None:
        """Return the function that cancels the run's requests in flight, None before the run has started."""
        return None if self.run is None else self.run.cancel_requests

    async def draw(self) -> None:
        """Redraw until cancelled."""
        while True:
            self.update()
            await asyncio.sleep(_REFRESH_SECONDS)

    def update(self) -> None:
        """Redraw once."""
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
    return f"{rate:.1f}/s{quota}, {_span_text(to_go)} to go"


def _span_text(span: timedelta) -> str:
    seconds = round(span.total_seconds())
    if seconds < 120:
        return f"{seconds} s"
    return f"{seconds // 60} min" if seconds < 7200 else f"{seconds // 3600} h"


@asynccontextmanager
async def collection_progress(options: Options) -> AsyncIterator[RunProgress]:
    """Yield a progress that redraws itself until the block ends."""
    with _bar(options, MofNCompleteColumn(), TextColumn("{task.fields[facts]}")) as bar:
        progress = RunProgress(bar)
        if bar is None:
            yield progress
            return
        drawing = asyncio.create_task(progress.draw(), name="progress")
        try:
            yield progress
        finally:
            drawing.cancel()
            with suppress(asyncio.CancelledError):
                await drawing


@contextmanager
def byte_progress(options: Options, label: str, total: float | None) -> Iterator[Callable[[float], None]]:
    """Yield the function to call with each number of bytes done; it draws percent of `total` (None: unknown)."""
    with _bar(options, TaskProgressColumn(), TimeRemainingColumn()) as bar:
        yield _advance(bar, label, total)


@contextmanager
def row_progress(options: Options, label: str, total: float | None) -> Iterator[Callable[[float], None]]:
    """Yield the function to call with each number of rows done; it draws how many of `total` are done."""
    with _bar(options, MofNCompleteColumn(), TimeRemainingColumn()) as bar:
        yield _advance(bar, label, total)


@contextmanager
def _bar(options: Options, *columns: ProgressColumn) -> Iterator[Progress | None]:
    """Yield a bar, or None where there is no terminal to draw on."""
    if options.quiet or not sys.stderr.isatty():
        yield None
        return
    console = Console(file=sys.stderr)
    with Progress(TextColumn("{task.description}"), BarColumn(), *columns, console=console, transient=True) as bar:
        yield bar


def _advance(bar: Progress | None, label: str, total: float | None) -> Callable[[float], None]:
    if bar is None:
        return lambda _step: None
    task = bar.add_task(label, total=total)
    return lambda step: bar.advance(task, step)
