"""`pipeline fleet`: the machines that share quota and record, and what is stuck."""

import click

from pipeline import extras
from pipeline.cli.configuration import load_settings, read_environment
from pipeline.cli.fleet_tables import fleet_json, print_fleet
from pipeline.cli.options import Options, examples, global_options, json_option, wide_option
from pipeline.cli.output import print_json
from pipeline.errors import ExitCode
from pipeline.fleet.problems import problems
from pipeline.fleet.state import read_state
from pipeline.settings.fleet import needed_fleet_url


@click.command(epilog=examples("pipeline fleet", "pipeline fleet --json | jq .problems"))
@wide_option
@json_option
@global_options
def command(options: Options, *, wide: bool, as_json: bool) -> int:
    """Show a fleet's members, keys and log, the runs that are under way, and what is stuck.

    PIPELINE_FLEET_URL names its PostgreSQL. All times are by PostgreSQL's clock. Exits with 7 if something is stuck.
    """
    variables = read_environment()
    load_settings(options, variables)
    url = needed_fleet_url(variables)
    connection = extras.fleet("connection")
    with connection.connected(url) as db:
        extras.fleet("install").check(db)
        state = read_state(db)
    found = problems(state)
    if as_json:
        print_json(fleet_json(state, found))
    else:
        print_fleet(state, found, connection.place(url), wide=wide)
    return ExitCode.DONE if all(one.is_warning for one in found) else ExitCode.STALE
