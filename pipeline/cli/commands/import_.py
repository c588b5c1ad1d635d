"""`pipeline import FILE...`: import API responses that were recorded elsewhere."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path

import click

from pipeline.cli.configuration import load_silently, read_environment
from pipeline.cli.event_loop import run_async
from pipeline.cli.exclusive import exclusive_run, when_to_begin
from pipeline.cli.options import (
    Instant,
    Options,
    Seconds,
    examples,
    global_options,
    json_option,
    new_record_option,
)
from pipeline.cli.output import print_json, print_table, shown, tolerate_closed_stdout
from pipeline.cli.progress import byte_progress
from pipeline.cli.signals import interruptible
from pipeline.cli.verbosity import configure_logs
from pipeline.clock import Clock
from pipeline.collect.halt import Halt
from pipeline.errors import ExitCode
from pipeline.instants import utc_now
from pipeline.model.outcomes import Outcome, RunStatus, Trigger
from pipeline.settings.load import Settings
from pipeline.settings.secrets import redaction
from pipeline.store.database import refuse_foreign
from pipeline.store.record import Begin
from pipeline.text import count
from pipeline.transfer.archives import archive_size, check_archives, read_archive
from pipeline.transfer.entries import Entry, Problem
from pipeline.transfer.importing import ImportResult, Refused, import_archives

_REPORTED = 100
"""How many bad lines are reported one by one without -v; the rest are counted."""


@click.command(
    name="import",
    epilog=examples(
        "pipeline import daily.jsonl.gz",
        "zcat old/*.gz | pipeline import -",
        "pipeline import 2024-03-14/ --observed-at 2024-03-14",
    ),
)
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path, allow_dash=True))
@click.option(
    "--observed-at",
    type=Instant(day_ends=True),
    help="When responses without a time of their own were received; a date means its end (UTC).",
)
@click.option("--strict", is_flag=True, help="Stop at the first bad line.")
@click.option(
    "--wait",
    metavar="SECONDS",
    type=Seconds(),
    default=60,
    help="Wait this long for another process to end [60].",
)
@new_record_option
@json_option
@global_options
def command(
    options: Options,
    *,
    files: tuple[Path, ...],
    observed_at: datetime | None,
    strict: bool,
    wait: float,
    new_record: bool,
    as_json: bool,
) -> int:
    """Import recorded API responses, in any order; importing the same file again changes nothing.

    A FILE is JSON Lines (gzip is fine, - is standard input) of objects with "symbol", "observed_at", and "body" (the
    response's text) or "document" (its JSON). Or it is a folder of SYMBOL.json files, with --observed-at. Responses are
    classified like live ones: an error message does not become a snapshot. Stored snapshots are never replaced.
    """
    sources = [None if str(file) == "-" else file for file in files]
    check_archives(sources, observed_at)
    variables = read_environment()
    settings = load_silently(options, variables)
    redact = redaction(variables)
    configure_logs(options, redact=redact)
    refuse_foreign(settings.database)
    sizes = [archive_size(source) for source in sources]
    total = None if None in sizes else sum(filter(None, sizes))
    report = _BadLineReport(options)

    def entries(advance: Callable[[float], None]) -> Iterator[Entry]:
        now = utc_now()
        for source in sources:
            yield from read_archive(source, observed_at=observed_at, now=now, on_read=advance, redaction=redact)

    done = run_async(
        _import(
            settings,
            entries,
            total,
            report,
            options,
            begin=when_to_begin(new_record=new_record, sandbox=False),
            strict=strict,
            max_wait=timedelta(seconds=wait),
        )
    )
    report.end()
    if options.quiet and done.exit_code != ExitCode.DONE:
        options.error(_ending(done))
    with tolerate_closed_stdout():
        if as_json:
            print_json(_json(done))
        elif not options.quiet:
            _print(done, settings.database, noun="file" if _hold_files(sources, observed_at) else "line")
    return done.exit_code


async def _import(
    settings: Settings,
    entries: Callable[[Callable[[float], None]], Iterator[Entry]],
    total: int | None,
    report: Callable[[Problem], None],
    options: Options,
    *,
    begin: Begin,
    strict: bool,
    max_wait: timedelta,
) -> ImportResult:
    database = settings.database
    halt, has_begun = Halt(), asyncio.Event()
    with interruptible(halt, lambda: _nothing_in_flight if has_begun.is_set() else None, options):
        async with exclusive_run(
            database, "import", begin=begin, limits=settings.limits, max_wait=max_wait, options=options
        ):
            has_begun.set()
            with byte_progress(options, "importing", total) as advance:
                return await import_archives(
                    database,
                    entries(advance),
                    strict=strict,
                    halt=halt,
                    on_problem=report,
                    clock=Clock(),
                    on_retry=options.say,
                )


def _nothing_in_flight() -> None:
    """Cancel nothing: between two chunks an import waits for no response."""


class _BadLineReport:
    """Prints bad lines to stderr: the first hundred, or with -v all, and then refused responses too."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._count = 0

    def __call__(self, problem: Problem) -> None:
        """Print this line, or count it."""
        if isinstance(problem, Refused):
            if self._options.verbose:
                self._options.say(f"{problem.place}: {problem.reason}")
            return
        self._count += 1
        if self._count <= _REPORTED or self._options.verbose:
            self._options.say(f"{problem.place}: {problem.reason}")

    def end(self) -> None:
        """Print how many were only counted."""
        if self._count > _REPORTED and not self._options.verbose:
            self._options.say(f"and {self._count - _REPORTED:,} more problems: -v shows them all")


def _json(done: ImportResult) -> dict[str, object]:
    return {
        "run": done.run,
        "trigger": Trigger.IMPORT,
        "status": done.status,
        "lines": done.lines,
        "symbols": len(done.symbols),
        **{outcome.value: done.counts[outcome] for outcome in Outcome},
        "refused": dict(done.refused),
        "conflicts": done.conflicts,
        "bad": done.bad,
        "seconds": round(done.seconds, 3),
        "detail": done.detail,
    }


_ENDED = {RunStatus.FAILED: "failed", RunStatus.INTERRUPTED: "was interrupted"}


def _hold_files(sources: Sequence[Path | None], observed_at: datetime | None) -> bool:
    """Return whether the sources are SYMBOL.json files, alone or in folders, and not lines."""
    return observed_at is not None and all(
        source is not None and (source.is_dir() or source.suffix.lower() == ".json") for source in sources
    )


def _ending(done: ImportResult) -> str:
    """Return in one line how the import ended, and why."""
    why = done.detail or (count(done.bad, "bad entry", "bad entries") if done.bad else "")
    return f"run {done.run} {_ENDED.get(done.status, f'is {done.status}')}" + (f": {shown(why)}" if why else "")


def _print(done: ImportResult, database: Path, *, noun: str) -> None:
    kinds = ", ".join(f"{number:,} {kind}" for kind, number in done.refused.items())
    rows: list[tuple[str, int, str]] = [
        ("stored", done.counts[Outcome.STORED], "new snapshots stored"),
        ("unchanged", done.counts[Outcome.UNCHANGED], "same document as before, or imported already"),
        ("unknown", done.counts[Outcome.UNKNOWN], "symbol not covered by the API then"),
        ("refused", done.refused.total(), f"not an overview (-v shows them): {kinds}"),
        ("in conflict", done.conflicts, "a different document is stored for that time; it was kept"),
        ("bad", done.bad, "unreadable: shown above"),
    ]
    print_table(["responses", "count", ""], [row for row in rows if row[1]])
    click.echo()
    rate = f", {done.lines / done.seconds:,.0f} a second" if done.seconds >= 1 else ""
    click.echo(_ending(done))
    click.echo(f"{count(done.lines, noun)} of {count(len(done.symbols), 'symbol')} took {done.seconds:.2f} s{rate}")
    click.echo(f"database: {database}")
