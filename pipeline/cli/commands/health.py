"""`pipeline health`: whether daemon and data are healthy, on one line, for scripts and Docker's HEALTHCHECK."""

import click

from pipeline import instants
from pipeline.cli.configuration import load_settings
from pipeline.cli.options import Options, examples, global_options, json_option
from pipeline.cli.output import print_json, shown
from pipeline.errors import ExitCode
from pipeline.monitoring import heartbeat
from pipeline.monitoring.checks import problems
from pipeline.monitoring.heartbeat import Heartbeat
from pipeline.monitoring.status import Scope, Status, read_status
from pipeline.settings.load import Settings
from pipeline.store.database import DatabaseError
from pipeline.store.lock import is_daemon_running
from pipeline.store.reader import NoData


@click.command(epilog=examples("pipeline health", 'report=$(pipeline health) || echo "$report" | mail root'))
@json_option
@global_options
def command(options: Options, *, as_json: bool) -> int:
    """Report whether the daemon runs, its last run did not fail, and no symbol is stale. Exits with 7 if not."""
    settings = load_settings(options)
    now = instants.utc_now()
    beat = heartbeat.read(settings.database)
    found, unreadable = _read(settings)
    lives = is_daemon_running(settings.database)
    wrong = [*unreadable, *problems(beat, found, lives=lives, stale_after=settings.stale_after, now=now)]
    _print(wrong, beat, found, options, as_json=as_json)
    return ExitCode.STALE if wrong else ExitCode.DONE


def _print(wrong: list[str], beat: Heartbeat | None, found: Status | None, options: Options, *, as_json: bool) -> None:
    if as_json:
        print_json({"healthy": not wrong, "ailments": wrong, "daemon": beat and beat.texts()})
    elif wrong:
        click.echo(shown(f"unhealthy: {'; '.join(wrong)}"))
    elif not options.quiet:
        click.echo(shown(f"healthy: {_summary(beat, found)}"))


def _read(settings: Settings) -> tuple[Status | None, list[str]]:
    """Return the status of the database (None if nothing is stored yet), and why it cannot be read, if so."""
    try:
        scope = Scope(settings.all_symbols, settings.limits, settings.stale_after)
        found = read_status(settings.database, scope, now=instants.utc_now())
    except NoData:
        return None, []
    except DatabaseError as error:
        return None, [str(error)]
    return found, []


def _summary(beat: Heartbeat | None, found: Status | None) -> str:
    words = []
    if beat is not None:
        words.append(str(beat.state) + (f", {beat.hindrance}" if beat.hindrance else ""))
        if beat.next_fire is not None:
            words.append(f"next run {instants.for_people(beat.next_fire)} UTC")
    if found is not None and found.last_run is not None:
        words.append(f"last run {found.last_run.id} {found.last_run.status}")
    return ", ".join(words)
