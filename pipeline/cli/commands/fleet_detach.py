"""`pipeline fleet detach`: let a file that follows a fleet collect for itself again."""

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipeline import extras, instants
from pipeline.cli.configuration import load_settings, read_environment
from pipeline.cli.event_loop import run_async
from pipeline.cli.exclusive import exclusive_record
from pipeline.cli.options import Options, examples, global_options, json_option
from pipeline.cli.output import print_json, print_line
from pipeline.cli.scope import lookout_of
from pipeline.instants import utc_now
from pipeline.quota.limits import longest_window
from pipeline.settings.fleet import fleet_url
from pipeline.text import count, few

if TYPE_CHECKING:  # an extra
    from pipeline.fleet.detaching import Detached


@click.command(name="detach", epilog=examples("pipeline fleet detach", "pipeline fleet detach --database overviews.db"))
@json_option
@global_options
def command(options: Options, *, as_json: bool) -> None:
    """Let the database follow its fleet no longer: it has the whole record, and collects for itself from now on.

    The requests that still count are copied from PostgreSQL, so that the plan is not exceeded. If it cannot be reached,
    nothing is requested until the plan's longest window has passed. In the fleet nothing changes. Nothing else may run
    on the database.
    """
    variables = read_environment()
    settings = load_settings(options, variables)
    lookout = lookout_of(settings, variables)
    done = run_async(_detach(settings.database, fleet_url(variables), longest_window(settings.limits), options))
    look = None if lookout is None or done.unreachable is not None else lookout.look()
    state = None if look is None else look.state
    running = [] if state is None else [one.name for one in state.running("member")]
    if as_json:
        print_json(
            {
                "database": str(settings.database),
                "requests": done.requests,
                "unreachable": done.unreachable,
                "blocked_until": done.blocked_until and instants.to_text(done.blocked_until),
                "running": running,
            }
        )
        return
    print_line(f"{settings.database} follows no fleet any more")
    if done.unreachable is not None:
        print_line(f"what counts in the plan is not known: {done.unreachable}")
    elif done.requests:
        print_line(f"its ledger has {count(done.requests, 'request')} that still count")
    if done.blocked_until is not None:
        print_line(f"no requests before {instants.for_people(done.blocked_until)} UTC")
    if running:
        print_line(f"still running: {few(running)}; stop them, or give this machine a key that they do not have")
    if settings.fleet is not None:
        print_line("next: remove PIPELINE_FLEET_URL and [fleet] here, then pipeline collect")


async def _detach(database: Path, url: str | None, longest: timedelta, options: Options) -> "Detached":
    with extras.fleet():
        from pipeline.fleet.detaching import detach  # noqa: PLC0415 - an extra
    async with exclusive_record(database, "fleet detach", options):
        return detach(database, url, longest=longest or None, now=utc_now())
