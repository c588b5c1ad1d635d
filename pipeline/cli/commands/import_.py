"""`pipeline import FILE...`: import API responses that were recorded elsewhere."""

import asyncio
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import click

from pipeline.cli.configuration import load_silently, read_environment
from pipeline.cli.event_loop import run_async
from pipeline.cli.exclusive import exclusive_run, when_to_begin
from pipeline.cli.fleet_conflicts import refuse_import, refuse_other_record
from pipeline.cli.import_summary import ProblemReport, ending, print_summary, summary_json
from pipeline.cli.options import Instant, Options, examples, global_options, json_option, new_record_option, wait_option
from pipeline.cli.output import print_json
from pipeline.cli.progress import byte_progress
from pipeline.cli.signals import interruptible
from pipeline.cli.verbosity import configure_logs
from pipeline.clock import Clock
from pipeline.collect.halt import Halt
from pipeline.errors import ExitCode, Trouble
from pipeline.instants import utc_now
from pipeline.model.outcomes import RunStatus
from pipeline.settings.load import Settings
from pipeline.settings.secrets import redaction
from pipeline.store.database import beside, database_files, refuse_foreign
from pipeline.store.record import Begin
from pipeline.transfer.archives import Archive, Archives, check_archives
from pipeline.transfer.entries import Problem, Received
from pipeline.transfer.git_history import GitHistory
from pipeline.transfer.importing import ImportResult, import_archives
from pipeline.transfer.name_patterns import NamePattern
from pipeline.transfer.repository import open_repository, refuse_url


class _NamePattern(click.ParamType[NamePattern]):
    """A pattern of the end of a path. `names_something`: it has to name a symbol or a time."""

    name = "pattern"

    def __init__(self, *, names_something: bool) -> None:
        self._names_something = names_something

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> NamePattern:
        try:
            return NamePattern(str(value), names_something=self._names_something)
        except ValueError as error:
            self.fail(str(error), param, ctx)


@click.command(
    name="import",
    epilog=examples(
        "pipeline import daily.jsonl.gz",
        "zcat old/*.gz | pipeline import -",
        "pipeline import 2024-03-14/ --observed-at 2024-03-14",
        "pipeline import archive/ --name-pattern '{symbol}/{date}.json'",
        "pipeline import --git collector/ --path 'data/{symbol}.json'",
    ),
)
@click.argument("files", nargs=-1, type=click.Path(path_type=Path, allow_dash=True))
@click.option(
    "--observed-at",
    type=Instant(day_ends=True),
    help="When responses without a time of their own were received; a date means its end (UTC).",
)
@click.option(
    "--name-pattern",
    metavar="PATTERN",
    type=_NamePattern(names_something=True),
    help="What paths name: '{symbol}/{date}.json', or {time} for an instant; * is anything.",
)
@click.option(
    "--git",
    "repository",
    metavar="REPOSITORY",
    help="Import every version of the files in a git repository, as of its commit.",
)
@click.option(
    "--path",
    "path",
    metavar="PATTERN",
    type=_NamePattern(names_something=False),
    help="With --git: which files; like --name-pattern. Without it, SYMBOL.json in capitals.",
)
@click.option("--branch", metavar="NAME", help="With --git: a branch, tag or commit, not what is checked out.")
@click.option("--author-date", is_flag=True, help="With --git: when commits were written, not when they were made.")
@click.option("--each", is_flag=True, help="With --git: each file holds many documents.")
@click.option(
    "--allow-back-dated",
    "back_dated",
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
    repository: str | None,
    path: NamePattern | None,
    branch: str | None,
    author_date: bool,
    each: bool,
    back_dated: bool,
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
    LatestQuarter was over, nothing is stored. With --git, the archive is a repository that somebody collects in.
    """
    of_files = {"FILES": files, "--observed-at": observed_at, "--name-pattern": name_pattern}
    of_git = {"--path": path, "--branch": branch, "--author-date": author_date, "--each": each}
    _check_usage(ctx, repository, of_files, of_git)
    sources = _sources(ctx, files, observed_at, name_pattern)
    variables = read_environment()
    settings = load_silently(options, variables)
    redact = redaction(variables)
    configure_logs(options, redact=redact)
    _refuse_itself(sources, settings.database)
    refuse_foreign(settings.database)
    refuse_import(settings.fleet)
    refuse_other_record(settings.database, settings.fleet)
    report = ProblemReport(options)
    received = Received(observed_at, utc_now(), redact)
    opened: AbstractContextManager[Archive] = (
        Archives(sources, received, name_pattern)
        if repository is None
        else _history(repository, branch, received, path, by_author=author_date, each=each)
    )
    begin = when_to_begin(new_record=new_record, sandbox=False)
    with opened as archive:
        importing = _import(
            settings, archive, report, options, begin, max_wait=max_wait, allow_back_dated=back_dated, strict=strict
        )
        done = run_async(importing)
    report.end()
    return _report(done, settings.database, options, noun=archive.noun, as_json=as_json)


def _check_usage(
    ctx: click.Context, repository: str | None, of_files: Mapping[str, object], of_git: Mapping[str, object]
) -> None:
    """Raise UsageError for an import of nothing, or with options of the other kind."""
    wrong = [option for option, value in (of_git if repository is None else of_files).items() if value]
    if wrong and repository is None:
        raise click.UsageError(f"{wrong[0]} needs --git REPOSITORY", ctx)
    if wrong:
        raise click.UsageError(f"{wrong[0]} cannot be given with --git", ctx)
    if repository is None and not of_files["FILES"]:
        raise click.UsageError("Missing argument 'FILES...', or --git REPOSITORY.", ctx)
    if of_git["--each"] and not of_git["--path"]:
        raise click.UsageError("--each needs --path: which files hold many documents?", ctx)


def _sources(
    ctx: click.Context, files: tuple[Path, ...], observed_at: datetime | None, pattern: NamePattern | None
) -> list[Path | None]:
    """Return the archives, None for standard input. Raise UsageError or Trouble where one cannot be read at all."""
    if observed_at is not None and pattern is not None and pattern.names_time:
        raise click.UsageError("--observed-at and --name-pattern both say when: drop one", ctx)
    sources = [None if str(file) == "-" else file for file in files]
    check_archives(sources, observed_at, pattern)
    return sources


def _refuse_itself(sources: Sequence[Path | None], database: Path) -> None:
    """Raise Trouble if a source is the database: nothing else may open its file while it is written to."""
    for source in sources:
        if source is not None and beside(source, "") in database_files(database):
            raise Trouble(f"{source} belongs to the database itself", remedy="name a file that pipeline export wrote")


@contextmanager
def _history(
    repository: str, branch: str | None, received: Received, path: NamePattern | None, *, by_author: bool, each: bool
) -> Iterator[GitHistory]:
    refuse_url(repository)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # like Ctrl-C: ends git, and removes its folder
    with open_repository(Path(repository), branch) as opened:
        history = GitHistory(opened, received, path, by_author=by_author, each=each)
        history.check()
        yield history


def _report(done: ImportResult, database: Path, options: Options, *, noun: str, as_json: bool) -> int:
    """Print what the import did, and on stderr that it failed. Return its exit code."""
    if done.status is RunStatus.FAILED or (options.quiet and done.exit_code != ExitCode.DONE):
        options.error(ending(done))
    if as_json:
        print_json(summary_json(done))
    elif not options.quiet:
        print_summary(done, database, options, noun=noun)
    return done.exit_code


async def _import(
    settings: Settings,
    archive: Archive,
    report: Callable[[Problem], None],
    options: Options,
    begin: Begin,
    *,
    max_wait: timedelta,
    allow_back_dated: bool,
    strict: bool,
) -> ImportResult:
    database = settings.database
    halt, has_begun = Halt(), asyncio.Event()
    with interruptible(halt, lambda: _nothing_in_flight if has_begun.is_set() else None, options):
        async with exclusive_run(
            database,
            "import",
            begin=begin,
            limits=settings.limits,
            renames=settings.configured_renames,
            max_wait=max_wait,
            options=options,
        ):
            has_begun.set()
            with byte_progress(options) as progress:
                return await import_archives(
                    database,
                    archive,
                    allow_back_dated=allow_back_dated,
                    strict=strict,
                    halt=halt,
                    on_problem=report,
                    clock=Clock(),
                    on_retry=options.say,
                    on_check=progress("checking", lambda: archive.size),
                    on_read=progress("importing", lambda: archive.size),
                )


def _nothing_in_flight() -> None:
    """Cancel nothing: between two chunks an import waits for no response."""
