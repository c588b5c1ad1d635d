"""`pipeline import FILE...`: import API responses that were recorded elsewhere."""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import click

from pipeline.cli.configuration import load_silently, read_environment
from pipeline.cli.event_loop import run_async
from pipeline.cli.exclusive import exclusive_run, when_to_begin
from pipeline.cli.import_summary import ProblemReport, ending, print_summary, summary_json
from pipeline.cli.options import Instant, Options, examples, global_options, json_option, new_record_option, wait_option
from pipeline.cli.output import print_json, tolerate_closed_stdout
from pipeline.cli.progress import byte_progress
from pipeline.cli.signals import interruptible
from pipeline.cli.verbosity import configure_logs
from pipeline.clock import Clock
from pipeline.collect.halt import Halt
from pipeline.errors import ExitCode
from pipeline.instants import utc_now
from pipeline.model.outcomes import RunStatus
from pipeline.settings.load import Settings
from pipeline.settings.secrets import redaction
from pipeline.store.database import refuse_foreign
from pipeline.store.record import Begin
from pipeline.transfer.archives import Archives, check_archives
from pipeline.transfer.entries import Problem, Received
from pipeline.transfer.importing import ImportResult, import_archives
from pipeline.transfer.name_patterns import NamePattern


class _NamePattern(click.ParamType[NamePattern]):
    """A pattern of the end of a path."""

    name = "pattern"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> NamePattern:
        try:
            return NamePattern(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


@click.command(
    name="import",
    epilog=examples(
        "pipeline import daily.jsonl.gz",
        "zcat old/*.gz | pipeline import -",
        "pipeline import 2024-03-14/ --observed-at 2024-03-14",
        "pipeline import archive/ --name-pattern '{symbol}/{date}.json'",
    ),
)
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path, allow_dash=True))
@click.option(
    "--observed-at",
    type=Instant(day_ends=True),
    help="When responses without a time of their own were received; a date means its end (UTC).",
)
@click.option(
    "--name-pattern",
    metavar="PATTERN",
    type=_NamePattern(),
    help="What paths name: '{symbol}/{date}.json', or {time} for an instant; * is anything.",
)
@click.option(
    "--allow-back-dated",
    is_flag=True,
    help="Store documents received before their LatestQuarter was over, however many.",
)
@click.option("--strict", is_flag=True, help="Stop at the first bad line.")
@wait_option("another process")
@new_record_option
@json_option
@global_options
@click.pass_context
def command(
    ctx: click.Context,
    options: Options,
    *,
    files: tuple[Path, ...],
    observed_at: datetime | None,
    name_pattern: NamePattern | None,
    allow_back_dated: bool,
    strict: bool,
    max_wait: timedelta,
    new_record: bool,
    as_json: bool,
) -> int:
    """Import recorded API responses, in any order; importing the same file again changes nothing.

    A FILE is JSON Lines (gzip is fine, - is standard input) of objects with "symbol", "observed_at", and "body" (the
    response's text) or "document" (its JSON). Or it is a folder of SYMBOL.json files, with --observed-at, or of files
    whose paths match --name-pattern. Responses are classified like live ones: an error message does not become a
    snapshot. Stored snapshots are never replaced. If more than a tenth of the documents were received before their
    LatestQuarter was over, nothing is stored.
    """
    if observed_at is not None and name_pattern is not None and name_pattern.names_time:
        raise click.UsageError("--observed-at and --name-pattern both say when: drop one", ctx)
    sources = [None if str(file) == "-" else file for file in files]
    check_archives(sources, observed_at, name_pattern)
    variables = read_environment()
    settings = load_silently(options, variables)
    redact = redaction(variables)
    configure_logs(options, redact=redact)
    refuse_foreign(settings.database)
    report = ProblemReport(options)
    with Archives(sources, Received(observed_at, utc_now(), redact), name_pattern) as archives:
        done = run_async(
            _import(
                settings,
                archives,
                report,
                options,
                begin=when_to_begin(new_record=new_record, sandbox=False),
                allow_back_dated=allow_back_dated,
                strict=strict,
                max_wait=max_wait,
            )
        )
    report.end()
    noun = "file" if archives.are_files else "line"
    _report(done, settings.database, options, noun=noun, as_json=as_json)
    return done.exit_code


def _report(done: ImportResult, database: Path, options: Options, *, noun: str, as_json: bool) -> None:
    """Print what the import did, and on stderr that it failed."""
    if done.status is RunStatus.FAILED or (options.quiet and done.exit_code != ExitCode.DONE):
        options.error(ending(done))
    with tolerate_closed_stdout():
        if as_json:
            print_json(summary_json(done))
        elif not options.quiet:
            print_summary(done, database, noun=noun)


async def _import(
    settings: Settings,
    archives: Archives,
    report: Callable[[Problem], None],
    options: Options,
    *,
    begin: Begin,
    allow_back_dated: bool,
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
            with byte_progress(options) as progress:
                return await import_archives(
                    database,
                    archives,
                    allow_back_dated=allow_back_dated,
                    strict=strict,
                    halt=halt,
                    on_problem=report,
                    clock=Clock(),
                    on_retry=options.say,
                    on_check=progress("checking", lambda: archives.size),
                    on_read=progress("importing", lambda: archives.size),
                )


def _nothing_in_flight() -> None:
    """Cancel nothing: between two chunks an import waits for no response."""
