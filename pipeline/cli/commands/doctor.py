"""`pipeline doctor`: check the installation and print each finding with its remedy."""

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import asdict, replace
from functools import partial
from importlib import import_module
from threading import Thread

import click

from pipeline import instants
from pipeline.api.reachability import Answer, Reason
from pipeline.cli.app import UNWAITED
from pipeline.cli.configuration import read_environment
from pipeline.cli.findings import print_finding
from pipeline.cli.fleet_list import as_followed
from pipeline.cli.options import Options, examples, global_options, json_option
from pipeline.cli.output import print_json
from pipeline.cli.progress import entry_progress
from pipeline.doctor.checkup import findings
from pipeline.doctor.configuration import only_follows
from pipeline.doctor.findings import Finding, exit_code
from pipeline.errors import Trouble
from pipeline.fleet.examination import Examined, examine
from pipeline.monitoring.checks import Kind
from pipeline.settings.environment import Environment
from pipeline.settings.errors import SettingsError
from pipeline.settings.fleet import needed_fleet_url
from pipeline.settings.load import Settings, load


@click.command(
    epilog=examples(
        "pipeline doctor", "pipeline doctor --online", "pipeline doctor --quick --json", "pipeline doctor --deep"
    )
)
@click.option("--quick", is_flag=True, help="Check the database quickly: a full check of a large one takes long.")
@click.option(
    "--deep",
    is_flag=True,
    help="Also compare the whole database with its checksums: 10 to 20 s for a million snapshots.",
)
@click.option(
    "--online",
    is_flag=True,
    help="Connect to the API's host too (a request without the key, free of cost), and to a fleet's PostgreSQL.",
)
@json_option
@global_options
def command(options: Options, *, quick: bool, deep: bool, online: bool, as_json: bool) -> int:
    """Check Python, SQLite, configuration, key, disk, clock, files and the database; with --online the network.

    Exits with 0 if there is no problem, 3 if the first one is the configuration or key, else 1.
    """
    if quick and deep:
        raise click.UsageError("--quick and --deep: use one of them", click.get_current_context())
    variables = read_environment()
    settings: Settings | SettingsError
    try:
        settings = load(options.config, variables, database=options.database)
    except SettingsError as error:
        settings = error
    network = None
    if isinstance(settings, Settings):
        if only_follows(settings, variables):
            settings = as_followed(settings)
        elif online:
            network = _try_network(settings)
    fleet = _try_fleet(settings, variables) if online and isinstance(settings, Settings) else None
    now = instants.utc_now()
    examine_all = partial(findings, settings, variables, now=now, network=network, fleet=fleet)
    found = _in_depth(examine_all, options) if deep else examine_all(thorough=not quick)
    found = [replace(one, remedy=one.remedy and options.repeated_in(one.remedy)) for one in found]
    if as_json:
        print_json([asdict(one) for one in found])
    else:
        for one in found:
            print_finding(one.level, _LABELS.get(one.check, one.check), one.found, one.remedy)
    return exit_code(found)


def _in_depth(examine_all: Callable[..., list[Finding]], options: Options) -> list[Finding]:
    """Return what the deep check finds, too. In a thread that exit does not wait for: an interrupt ends it at once."""
    found: Future[list[Finding]] = Future()

    def run() -> None:
        try:
            found.set_result(examine_all(thorough=True, on_deep=show))
        except BaseException as error:  # noqa: BLE001 - raised where the result is waited for
            found.set_exception(error)

    with entry_progress(options, "comparing rows") as show:
        Thread(target=run, name=UNWAITED, daemon=True).start()
        return found.result()


def _try_network(settings: Settings) -> Answer | Reason:
    """Return what the API's host answers. Its client is imported only now: without --online the doctor is quick."""
    network: Answer | Reason = import_module("pipeline.cli.online").try_network(settings)
    return network


def _try_fleet(settings: Settings, variables: Environment) -> Examined | Trouble | None:
    """Return what is found of the fleet's PostgreSQL, or why nothing is; None without a fleet."""
    if settings.fleet is None:
        return None
    try:
        return examine(needed_fleet_url(variables), now=instants.utc_now)
    except Trouble as trouble:
        return trouble


_LABELS = {Kind.OBSERVATIONS: "observations"}
