"""The progress of a collecting run, on a terminal's stderr; elsewhere, only why it waits."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, timedelta

import structlog
from rich.progress import MofNCompleteColumn, Progress, TaskID, TextColumn

from pipeline import instants
from pipeline.cli.options import Options
from pipeline.cli.progress import progress_bar
from pipeline.collect.active_run import ActiveRun
from pipeline.quota.estimate import THROTTLED, Wait

_REFRESH_SECONDS = 0.2
"""The bar polls the run: notifying it of each symbol would slow the run down."""


class RunProgress:
    """The progress of a collecting run: symbols done, requests a second, quota left, time to go."""

    def __init__(self, bar: Progress | None, *, note: Callable[[str], object] = lambda _text: None) -> None:
        """Draw on a bar, if there is one; `note` is called with one line for each reason to wait but the plan."""
        self._bar = bar
        self._note = note
        self._noted: list[str] = []
        """The reasons that were noted."""
        self._task: TaskID | None = None
        self.run: ActiveRun | None = None

    def started(self, run: ActiveRun) -> None:
        """Draw this run from now on."""
        self.run = run
        if self._bar is not None and run.due:
            self._task = self._bar.add_task("collecting", total=run.due, facts="")

    @property
    def blocks(self) -> tuple[str, ...]:
        """Why requests had to wait, besides the plan's pace and the short pauses of throttles."""
        return tuple(why for why in self._noted if why != THROTTLED)

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
        if self.run is None or not self.run.due:
            return
        self._note_wait(self.run.slots.waiting())
        if self._bar is None or self._task is None:
            return
        done = self.run.counts.total()
        elapsed = self._bar.tasks[self._task].elapsed or 0.0
        self._bar.update(self._task, completed=done, facts=_facts(self.run, done, elapsed))

    def _note_wait(self, wait: Wait | None) -> None:
        """Note why nothing is requested, each reason once: the bar says until when. The plan's pace needs no reason."""
        if wait is not None and wait.why is not None and wait.why not in self._noted:
            if self._bar is None and wait.why == THROTTLED:
                return  # cron would mail each such pause
            self._noted.append(wait.why)
            self._note(f"{wait.why}: no requests before {instants.for_people(wait.until)} UTC")


def _facts(run: ActiveRun, done: int, elapsed: float) -> str:
    rate = done / elapsed if elapsed else 0.0
    if (wait := run.slots.waiting()) is not None:
        return f"{rate:.1f}/s, no requests before {wait.until.astimezone(UTC):%H:%M:%S} UTC"
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
    """Yield a progress that redraws itself until the block ends. Without a terminal, reasons to wait are logged."""
    with progress_bar(options, MofNCompleteColumn(), TextColumn("{task.fields[facts]}")) as bar:
        progress = RunProgress(bar, note=structlog.get_logger().warning if bar is None else options.say)
        drawing = asyncio.create_task(progress.draw(), name="progress")
        try:
            yield progress
        finally:
            drawing.cancel()
            with suppress(asyncio.CancelledError):
                await drawing
