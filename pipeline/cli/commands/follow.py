"""`pipeline follow`: keep a file current with a fleet's record, on a machine that collects nothing."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, suppress
from datetime import timedelta
from functools import partial
from pathlib import Path

import click
import structlog

from pipeline import extras
from pipeline.cli.configuration import load_silently, read_environment
from pipeline.cli.event_loop import run_async
from pipeline.cli.exclusive import FOLLOWING, exclusive_run, when_to_begin
from pipeline.cli.options import Options, examples, global_options, new_record_option, wait_option
from pipeline.cli.output import print_json, print_line
from pipeline.cli.progress import entry_progress
from pipeline.cli.signals import LAST_RESORT, cancelling, stoppable
from pipeline.cli.verbosity import configure_logs, fatal_errors_logged
from pipeline.errors import ExitCode
from pipeline.instants import utc_now
from pipeline.settings.fleet import needed_fleet_url
from pipeline.settings.secrets import redaction
from pipeline.store.database import refuse_foreign
from pipeline.store.lock import hold_daemon_lock
from pipeline.store.log_place import Followed
from pipeline.text import count

Exclusive = Callable[[], AbstractAsyncContextManager[None]]
"""Holds the file's lock, with the file up to date."""


@click.command(epilog=examples("pipeline follow --once", "pipeline follow --database overviews.db"))
@click.option("--once", is_flag=True, help="End when the file has all that the fleet has at the moment.")
@wait_option("another process")
@new_record_option
@click.option("--json", "as_json", is_flag=True, help="Log JSON lines; with --once, print one JSON value.")
@global_options
def command(options: Options, *, once: bool, max_wait: timedelta, new_record: bool, as_json: bool) -> int:
    """Keep the database current with the record of the fleet in PIPELINE_FLEET_URL, until stopped.

    It requests nothing and needs no key. Every question is then answered from the file. While PostgreSQL cannot be
    reached it waits; with --once it fails.
    """
    variables = read_environment()
    redact = redaction(variables)
    configure_logs(options, redact=redact, unattended=not once, for_programs=as_json)
    begin = when_to_begin(new_record=new_record, sandbox=False)
    settings, url = load_silently(options, variables), needed_fleet_url(variables)
    refuse_foreign(settings.database)
    exclusive = partial(
        exclusive_run,
        settings.database,
        FOLLOWING,
        begin=begin,
        limits=settings.limits,
        renames=settings.configured_renames,
        max_wait=max_wait,
        options=options,
        announce=options.say if once else structlog.get_logger().info,
    )
    if once:
        written, place = run_async(_catch_up(settings.database, url, exclusive, options))
        _report(settings.database, written, place, options, as_json=as_json)
        return ExitCode.DONE
    name = "" if settings.fleet is None else settings.fleet.name
    with fatal_errors_logged(for_programs=as_json), hold_daemon_lock(settings.database, now=utc_now()):
        run_async(_follow(settings.database, url, exclusive, options, name=name))
    return ExitCode.DONE


async def _catch_up(database: Path, url: str, exclusive: Exclusive, options: Options) -> tuple[int, Followed]:
    with extras.fleet():
        from pipeline.daemon.follower import catch_up  # noqa: PLC0415 - an extra
    with stoppable(cancelling(), last_resort=LAST_RESORT, exit_code=ExitCode.INTERRUPTED):
        async with exclusive():
            with entry_progress(options, "following") as on_progress:
                written, place = await catch_up(database, url, on_progress=on_progress)
                return written, place


async def _follow(database: Path, url: str, exclusive: Exclusive, options: Options, *, name: str) -> None:
    """Follow until a signal comes. One that comes while the file is not free yet is in order, too."""
    with extras.fleet():
        from pipeline.daemon.follower import FollowerDaemon  # noqa: PLC0415 - an extra
    daemon = None
    cancel = cancelling()

    def stop() -> None:
        if daemon is None:
            cancel()
        else:
            daemon.stop()

    with suppress(asyncio.CancelledError), stoppable(stop, last_resort=LAST_RESORT, exit_code=ExitCode.DONE):
        async with exclusive():
            with entry_progress(options, "following") as on_progress:
                daemon = FollowerDaemon(database, url, name, on_progress=on_progress)
                await daemon.run()


def _report(database: Path, written: int, place: Followed, options: Options, *, as_json: bool) -> None:
    if as_json:
        print_json({"database": str(database), "fleet": place.fleet, "entry": place.seq, "written": written})
    elif not options.quiet:
        print_line(f"{database}: {count(written, 'new entry', 'new entries')} of the fleet's log, up to {place.seq:,}")
