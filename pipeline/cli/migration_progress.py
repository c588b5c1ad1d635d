"""Migration progress: shows how far the migrations of a database have come."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from rich.progress import MofNCompleteColumn, Progress, TaskID, TimeRemainingColumn

from pipeline.cli.options import Options
from pipeline.cli.progress import progress_bar
from pipeline.store.migrate import OnProgress
from pipeline.store.migrate import Progress as Migrating


@contextmanager
def migration_progress(options: Options) -> Iterator[OnProgress]:
    """Yield the function that shows the progress of migrations: a bar on a terminal, elsewhere a line for each.

    Nothing is shown of those that one transaction completes.
    """
    with ExitStack() as stack:
        bar: Progress | None = None
        tasks: dict[int, TaskID] = {}

        def show(progress: Migrating) -> None:
            nonlocal bar
            version = progress.migration.version
            if version not in tasks:
                if progress.is_complete:
                    return
                options.say(f"migrating ({progress.migration.name}): {progress.total:,} rows")
                bar = bar or stack.enter_context(progress_bar(options, MofNCompleteColumn(), TimeRemainingColumn()))
                tasks[version] = TaskID(0) if bar is None else bar.add_task("migrating", total=progress.total)
            if bar is not None:
                bar.update(tasks[version], completed=progress.done)

        yield show
