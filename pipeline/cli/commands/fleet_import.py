"""`pipeline fleet import DATABASE`: give the record of a single machine to the fleet."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipeline import extras
from pipeline.cli.configuration import load_settings, read_environment
from pipeline.cli.event_loop import run_async
from pipeline.cli.exclusive import exclusive_record
from pipeline.cli.options import Options, examples, global_options, json_option
from pipeline.cli.output import print_json, print_line
from pipeline.cli.progress import entry_progress
from pipeline.cli.signals import LAST_RESORT, cancelling, stoppable
from pipeline.clock import REAL_CLOCK
from pipeline.errors import ExitCode
from pipeline.quota.keys import ApiKey
from pipeline.settings.api_keys import api_keys
from pipeline.settings.fleet import needed_fleet_url
from pipeline.store.database import refuse_foreign
from pipeline.text import count

if TYPE_CHECKING:  # an extra
    from pipeline.fleet.importing import Imported


@click.command(name="import", epilog=examples("pipeline fleet import data/overviews.db"))
@click.argument("record", metavar="DATABASE", type=click.Path(path_type=Path))
@json_option
@global_options
def command(options: Options, *, record: Path, as_json: bool) -> None:
    """Give DATABASE, which a single machine collected, to the fleet: members and followers get it from the log.

    If the fleet has no runs yet, it takes over the whole record with its runs, and DATABASE follows the fleet from then
    on. Else it takes over what was observed, and DATABASE stays as it is. What was requested with this machine's keys
    counts in their windows. If it is interrupted, call it again: it continues where it stopped.
    """
    variables = read_environment()
    settings, url = load_settings(options, variables), needed_fleet_url(variables)
    assert settings.fleet is not None  # there is a URL
    keys = api_keys(variables, settings)
    refuse_foreign(record)
    with extras.fleet():
        from pipeline.fleet.install import check_fleet  # noqa: PLC0415 - an extra
    check_fleet(url)  # it says at once, and better than a pool, what is wrong
    done = run_async(_import(record, url, settings.fleet.name, keys, options))
    if as_json:
        print_json(
            {
                "database": str(record),
                "whole": done.is_whole,
                "continued": done.was_begun,
                "symbols": done.symbols,
                "observations": done.observations,
            }
        )
    elif not options.quiet:
        what = f"{count(done.observations, 'observation')} of {count(done.symbols, 'symbol')}"
        if done.is_whole:
            print_line(f"the fleet has the record of {record}: {what}, and its runs")
            print_line(f"next: {replace(options, database=record).command('run')}, which follows the fleet now")
        else:
            print_line(f"the fleet has what {record} observed: {what}")
            print_line("its runs stay in the file alone, as the fleet has had runs of its own")


async def _import(record: Path, url: str, member: str, keys: Sequence[ApiKey], options: Options) -> "Imported":
    with extras.fleet():
        from pipeline.fleet.importing import import_record  # noqa: PLC0415 - an extra
        from pipeline.fleet.pool import open_pool  # noqa: PLC0415 - an extra
    with stoppable(cancelling(), last_resort=LAST_RESORT, exit_code=ExitCode.INTERRUPTED):
        async with exclusive_record(record, "fleet import", options), open_pool(url) as pool:
            with entry_progress(options, "importing") as on_progress:
                return await import_record(
                    record,
                    pool,
                    member=member,
                    keys={key.id: key.name for key in keys},
                    clock=REAL_CLOCK,
                    on_progress=on_progress,
                )
