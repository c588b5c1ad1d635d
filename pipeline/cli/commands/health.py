"""`pipeline health`: whether daemon and data are healthy, on one line, for scripts and Docker's HEALTHCHECK."""

from pathlib import Path

import click

from pipeline import instants
from pipeline.cli.configuration import load_silently, read_environment
from pipeline.cli.options import Options, examples, global_options, json_option
from pipeline.cli.output import print_json, print_line
from pipeline.cli.scope import scope_of
from pipeline.errors import ExitCode
from pipeline.monitoring.checks import Problem, health_problems, unusable_database
from pipeline.monitoring.daemon_sign import look_at_daemon
from pipeline.monitoring.heartbeat import Heartbeat
from pipeline.monitoring.status import Scope, Status, read_status
from pipeline.store.database import DatabaseError
from pipeline.store.reader import NoData
from pipeline.text import count, few


@click.command(epilog=examples("pipeline health", 'report=$(pipeline health) || echo "$report" | mail root'))
@json_option
@global_options
def command(options: Options, *, as_json: bool) -> int:
    """Report whether the daemon runs, its last run did not fail, and no symbol is stale. Exits with 7 if not."""
    variables = read_environment()
    settings = load_silently(options, variables)
    now = instants.utc_now()
    status, unreadable = _read(settings.database, scope_of(settings, variables))
    beat, is_running = look_at_daemon(settings.database)
    problems = health_problems(beat, status, is_running=is_running, stale_after=settings.stale_after, now=now)
    wrong = [str(problem) for problem in (*unreadable, *problems)]
    _print(wrong, beat if isinstance(beat, Heartbeat) else None, status, options, as_json=as_json)
    return ExitCode.STALE if wrong else ExitCode.DONE


def _print(wrong: list[str], beat: Heartbeat | None, status: Status | None, options: Options, *, as_json: bool) -> None:
    if as_json:
        print_json(
            {
                "healthy": not wrong,
                "ailments": wrong,
                "daemon": beat and beat.texts(),
                "pending": [] if status is None else status.pending,
                "uncovered": [] if status is None else status.uncovered,
            }
        )
    elif wrong:
        print_line(f"unhealthy: {'; '.join(wrong)}")
    elif not options.quiet:
        print_line(f"healthy: {_summary(beat, status)}")


def _read(database: Path, scope: Scope) -> tuple[Status | None, list[Problem]]:
    """Return the status of the database (None if nothing is stored yet), and why it cannot be read, if so."""
    try:
        status = read_status(database, scope, now=instants.utc_now())
    except NoData:
        return None, []
    except DatabaseError as error:
        return None, [unusable_database(error)]
    return status, []


def _summary(beat: Heartbeat | None, status: Status | None) -> str:
    words = []
    if beat is not None:
        words.append(str(beat.state) + (f", {beat.blocked_by}" if beat.blocked_by else ""))
        if beat.next_fire is not None:
            words.append(f"next run {instants.for_people(beat.next_fire)} UTC")
    if status is not None and status.last_run is not None:
        words.append(f"last run {status.last_run.id} {status.last_run.status}")
    if status is not None and status.pending:
        words.append(f"{count(len(status.pending), 'symbol')} pending")
    if status is not None and status.uncovered:
        words.append(f"the API denies {few(status.uncovered)}")
    return ", ".join(words)
