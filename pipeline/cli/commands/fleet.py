"""`pipeline fleet`: the machines that share quota and record, what is stuck, and the commands that set them up."""

import click

from pipeline import extras
from pipeline.cli.configuration import load_settings, read_environment
from pipeline.cli.fleet_tables import fleet_json, print_fleet
from pipeline.cli.lazy_commands import LazyCommands
from pipeline.cli.options import Options, examples, global_options, json_option, wide_option
from pipeline.cli.output import print_json
from pipeline.errors import ExitCode
from pipeline.fleet.problems import problems
from pipeline.fleet.state import read_state
from pipeline.settings.fleet import needed_fleet_url

SUBCOMMANDS = {
    "init": "Make a fleet in PostgreSQL, and set what its members agree about.",
    "import": "Give a single machine's record to the fleet.",
    "detach": "Let a file that follows a fleet collect for itself again.",
}


class _FleetCommands(LazyCommands):
    texts = SUBCOMMANDS
    prefix = "fleet_"


@click.command(
    cls=_FleetCommands,
    invoke_without_command=True,
    subcommand_metavar="[COMMAND]...",
    epilog=examples("pipeline fleet", "pipeline fleet --json | jq .problems", "pipeline fleet init"),
)
@wide_option
@json_option
@global_options
@click.pass_context
def command(ctx: click.Context, /, options: Options, *, wide: bool, as_json: bool) -> int | None:
    """Show a fleet's members, keys and log, the runs that are under way, and what is stuck.

    PIPELINE_FLEET_URL names its PostgreSQL. All times are by PostgreSQL's clock. Exits with 7 if something is stuck.
    """
    ctx.obj = options
    if ctx.invoked_subcommand is not None:
        if as_json or wide:
            raise click.UsageError(f"write the options of {ctx.invoked_subcommand} after it", ctx)
        return None
    variables = read_environment()
    load_settings(options, variables)
    url = needed_fleet_url(variables)
    with extras.fleet():
        from pipeline.fleet.connection import place  # noqa: PLC0415 - an extra
        from pipeline.fleet.install import open_fleet  # noqa: PLC0415 - an extra
    with open_fleet(url) as db:
        state = read_state(db)
    found = problems(state)
    if as_json:
        print_json(fleet_json(state, found))
    else:
        print_fleet(state, found, place(url), wide=wide)
    return ExitCode.DONE if all(one.is_warning for one in found) else ExitCode.STALE
