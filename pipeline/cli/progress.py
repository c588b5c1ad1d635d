"""Progress bars on a terminal's stderr, of an import or export. A run's has a module of its own: run_progress."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

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

Step = Callable[[str, Callable[[], float | None]], Callable[[float], None]]
"""Takes a label and what returns the total (None: unknown); returns the function to call with each number done."""


@contextmanager
def byte_progress(options: Options, *, prints_rows: bool = False) -> Iterator[Step]:
    """Yield what draws the steps of a command, each in percent of bytes, from the step's first bytes on."""
    with progress_bar(options, TaskProgressColumn(), TimeRemainingColumn(), prints_rows=prints_rows) as bar:
        yield lambda label, total: _advance(bar, label, total)


@contextmanager
def row_progress(
    options: Options, label: str, total: float | None, *, prints_rows: bool = False
) -> Iterator[Callable[[float], None]]:
    """Yield the function to call with each number of rows done; it draws how many of `total` are done."""
    with progress_bar(options, MofNCompleteColumn(), TimeRemainingColumn(), prints_rows=prints_rows) as bar:
        yield _advance(bar, label, lambda: total)


@contextmanager
def progress_bar(options: Options, *columns: ProgressColumn, prints_rows: bool = False) -> Iterator[Progress | None]:
    """Yield a bar, or None where there is no terminal to draw on.

    `prints_rows`: what the bar is of prints to stdout meanwhile, so there is no bar if that is the terminal, too.
    """
    if options.quiet or not sys.stderr.isatty() or (prints_rows and sys.stdout.isatty()):
        yield None
        return
    console = Console(file=sys.stderr)
    with Progress(TextColumn("{task.description}"), BarColumn(), *columns, console=console, transient=True) as bar:
        yield bar


@contextmanager
def entry_progress(options: Options, label: str) -> Iterator[Callable[[int, int], None]]:
    """Yield the function to call with how far something has come, and how far it goes, which may grow meanwhile."""
    with progress_bar(options, MofNCompleteColumn(), TimeRemainingColumn()) as bar:
        if bar is None:
            yield lambda _done, _total: None
            return
        task = bar.add_task(label, total=None, visible=False)
        yield lambda done, total: bar.update(task, completed=done, total=total, visible=True)


def _advance(bar: Progress | None, label: str, total: Callable[[], float | None]) -> Callable[[float], None]:
    if bar is None:
        return lambda _step: None
    task: TaskID | None = None

    def advance(step: float) -> None:
        nonlocal task
        if task is None:
            task = bar.add_task(label, total=total())
        bar.advance(task, step)

    return advance
